"""A database that is older than it was: restored from a backup, or set back when the power failed.

What was sent since then stands in it as not sent. So the end of the audit log is noted outside of it, in Redis and in
PORTAL_DATA, and looked for in the database before anything is sent. Where it is missing, all destinations are paused,
and say why. Both notes may get lost, and with them only this warning.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from redis.exceptions import RedisError

from offline_portal.audit import chain
from offline_portal.audit.verification import hash_at
from offline_portal.delivery.pausing import pause_destination
from offline_portal.models import AuditEntry, AuditHead, Destination
from offline_portal.wake import impatient

log = logging.getLogger(__name__)

ACTION = "log.set_back"
_KEY = "portal:log"
_AWAY = (RedisError, OSError)


@dataclass(frozen=True)
class Mark:
    """An end of the log as it once was: entry `seq` had this `hash`. `first`, the hash of entry 1, tells the log from
    that of another database. `at`: when it was noted, ISO 8601, UTC."""

    first: str
    seq: int
    hash: str
    at: str


def note() -> None:
    """Keep where the log ends now. Nothing happens where that cannot be kept."""
    end = AuditHead.objects.filter(seq__gt=0).first()
    if end is None:
        return
    now = Mark(hash_at(1), end.seq, end.hash, timezone.now().isoformat())
    for place in (_in_redis, _in_a_file):
        with suppress(*_AWAY):
            if (there := _mark(place())) is None or (there.seq, there.hash) != (now.seq, now.hash):
                place(json.dumps(asdict(now)))


def notice() -> bool:
    """Pause all destinations, once, if what was noted last is missing in the log. Returns whether it was."""
    lost = next((mark for mark in _marks() if _is_missing(mark)), None)
    if lost is None:
        return False
    end = AuditHead.objects.get()
    reason = _reason(lost)
    log.error("%s", reason)
    with transaction.atomic():
        open_ = Destination.objects.filter(archived_at=None, paused=False).order_by("pk")
        for pk in open_.values_list("pk", flat=True):
            pause_destination(pk, reason)
        detail = {"noted": lost.seq, "noted_hash": lost.hash, "noted_at": lost.at, "entries": end.seq}
        chain.add("portal", ACTION, "portal", detail)
    note()
    return True


def _is_missing(mark: Mark) -> bool:
    """Whether the log of this database once went up to there, and does no longer, and nobody was told yet."""
    if mark.first != hash_at(1) or hash_at(mark.seq) == mark.hash:
        return False
    return not AuditEntry.objects.filter(action=ACTION, at__gte=mark.at).exists()


def _reason(lost: Mark) -> str:
    noted_at: datetime = parse_datetime(lost.at)  # type: ignore[assignment]
    return (
        f"The database is older than it was: on {noted_at:%d %B %Y, %H:%M} UTC its log had {lost.seq:,} entries, and "
        f"the last of them is missing. It was probably restored from a backup. What was sent in between stands here as "
        "not sent, and would be sent again. See at the vendor what is there before you open this destination."
    )


def _marks() -> Iterator[Mark]:
    """What was noted, as far as it can still be read."""
    for place in (_in_redis, _in_a_file):
        with suppress(*_AWAY):
            if mark := _mark(place()):
                yield mark


def _mark(text: str | bytes | None) -> Mark | None:
    try:
        mark = Mark(**json.loads(text or ""))
        return mark if isinstance(mark.seq, int) and parse_datetime(mark.at) else None
    except (ValueError, TypeError):
        return None


def _in_redis(new: str = "") -> bytes | None:
    """What is noted in Redis; with `new`, that from now on."""
    redis = impatient(settings.RQ_QUEUES["delivery"]["URL"])
    return redis.set(_KEY, new, get=True) if new else redis.get(_KEY)


def _in_a_file(new: str = "") -> bytes | None:
    """What is noted in PORTAL_DATA; with `new`, that from now on, whole or not at all."""
    file = Path(settings.PORTAL_DATA) / "end-of-log.json"
    if new:
        part = file.with_suffix(f".{os.getpid()}")
        with part.open("w") as written:
            written.write(new)
            written.flush()
            os.fsync(written.fileno())
        part.replace(file)
    return file.read_bytes() if file.exists() else None
