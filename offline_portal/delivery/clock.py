"""A clock that was set back, or goes wrong: what lies in the future because of it must not stand still until then.

Order is by number everywhere, and a lease that ends too early is harmless. But leases, pauses and wake-ups that were
noted by a clock an hour ahead would hold everything for an hour.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from redis.exceptions import RedisError

from offline_portal.delivery.hold import ASKED_AGAIN_AFTER
from offline_portal.models import (
    Batch,
    Destination,
    Heartbeat,
    IdempotencyKey,
    Readback,
    Reader,
    Send,
    Upload,
    Wakeup,
)
from offline_portal.wake import impatient

log = logging.getLogger(__name__)

SWEEPER = "sweeper"
UNNOTICED = timedelta(seconds=60)
"""Clocks of several machines differ by less, and a delay by less does no harm."""
_CLAIMED = (Batch, Reader, Send, Upload)


def mend() -> timedelta | None:
    """Where the sweeper's last pass lies in the future, set everything back by as much; returns by how much.

    And cut what a worker noted whose clock alone is ahead.
    """
    now = timezone.now()
    back = _set_back(now)
    _cut(now)
    return back


def _set_back(now: datetime) -> timedelta | None:
    seen = Heartbeat.objects.filter(name=SWEEPER, at__gt=now + UNNOTICED).values_list("at", flat=True).first()
    if seen is None:
        return None
    back = seen - now
    with transaction.atomic():
        # Of two sweepers that notice it, one mends.
        if not Heartbeat.objects.filter(name=SWEEPER, at=seen).update(at=now):
            return None
        longest = now + timedelta(seconds=settings.PORTAL_LEASE)
        Batch.objects.filter(done=False, due_at__gt=now).update(due_at=F("due_at") - back)
        Readback.objects.filter(due_at__gt=now).update(due_at=F("due_at") - back)
        for model in _CLAIMED:
            model.objects.filter(lease_until__gt=longest).update(lease_until=longest)
        for waiting in (Destination, Reader):
            waiting.objects.filter(waits_until__gt=now).update(waits_until=F("waits_until") - back)
        Wakeup.objects.filter(created_at__gt=now).delete()
        IdempotencyKey.objects.filter(created_at__gt=now).update(created_at=now)
    log.warning("The clock was set back by %d s; what waits for a time waits for so much less", back.total_seconds())
    return back


def _cut(now: datetime) -> None:
    """What nobody can have noted whose clock goes right, for none of it is ever so long: leases, pauses after failures.

    Whoever noted it could go on; but once it had ended, all others would wait until their clocks are there. A vendor
    that fails and has asked for a longer pause is asked once too early.
    """
    lease = now + timedelta(seconds=settings.PORTAL_LEASE)
    longest = now + timedelta(seconds=ASKED_AGAIN_AFTER)
    rows: list[tuple[QuerySet[Any], dict[str, datetime]]] = [
        *((one.objects.filter(lease_until__gt=lease + UNNOTICED), {"lease_until": lease}) for one in _CLAIMED),
        (Batch.objects.filter(done=False, due_at__gt=longest + UNNOTICED), {"due_at": now}),
        (Destination.objects.filter(failures__gt=0, waits_until__gt=longest + UNNOTICED), {"waits_until": now}),
        (Wakeup.objects.filter(created_at__gt=now + UNNOTICED), {"created_at": now}),
        (IdempotencyKey.objects.filter(created_at__gt=now + UNNOTICED), {"created_at": now}),
    ]
    found = [(wrong, right) for wrong, right in rows if wrong.exists()]
    if not found or not _goes_right(now):
        return
    for wrong, right in found:
        wrong.update(**right)
    log.warning("Another machine's clock is ahead; what it noted for later than anything can be was cut")


def _goes_right(now: datetime) -> bool:
    """Whether Redis has the same time. Were it this clock that is behind, every lease would be cut to nothing."""
    try:
        seconds, _microseconds = impatient(settings.RQ_QUEUES["delivery"]["URL"]).time()
    except (RedisError, OSError):
        return False
    return abs(now.timestamp() - seconds) < UNNOTICED.total_seconds()
