"""A clock that was set back: what lies in the future because of it must not stand still until the clock is there again.

Order is by number everywhere, and a lease that ends too early is harmless. But leases, pauses and wake-ups that were
noted by a clock an hour ahead would hold everything for an hour.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

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

log = logging.getLogger(__name__)

SWEEPER = "sweeper"
UNNOTICED = timedelta(seconds=60)
"""Clocks of several machines differ by less, and a delay by less does no harm."""


def mend() -> timedelta | None:
    """Where the sweeper's last pass lies in the future, set everything back by as much; returns by how much."""
    now = timezone.now()
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
        for model in (Batch, Reader, Send, Upload):
            model.objects.filter(lease_until__gt=longest).update(lease_until=longest)
        for waiting in (Destination, Reader):
            waiting.objects.filter(waits_until__gt=now).update(waits_until=F("waits_until") - back)
        Wakeup.objects.filter(created_at__gt=now).delete()
        IdempotencyKey.objects.filter(created_at__gt=now).update(created_at=now)
    log.warning("The clock was set back by %d s; what waits for a time waits for so much less", back.total_seconds())
    return back
