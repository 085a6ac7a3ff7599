"""Wake-ups: what lies in Redis says only that there is something to do; the database says what.

A wake-up is noted in the database first and put into Redis after the commit. When Redis is away, or loses it, the
sweeper finds the note (or the work itself) and wakes again. Waking once too often does no harm: every piece of work is
claimed in the database before anything is done.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import django_rq
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string
from redis.exceptions import RedisError

from offline_portal.models import Wakeup

log = logging.getLogger(__name__)

LOST_AFTER = timedelta(seconds=75)
"""A wake-up that no worker started within this time is taken for lost: a shift ends after 30 s and the
flight it still awaits after as many again."""

_STAGES = {
    "read": "offline_portal.intake.store.read",
    "check": "offline_portal.checks.run",
    "queue": "offline_portal.delivery.queue.run",
    "cancel": "offline_portal.delivery.control.run_cancel",
    "shift": "offline_portal.delivery.shift.run",
}


def wake(queue: str, work: str, most: int = 1) -> bool:
    """Have a worker of `queue` ("intake" or "delivery") do `work` ("read:ID", "check:ID", "queue:ID", "cancel:ID",
    "shift").

    At most `most` wake-ups for the same work are outstanding. Never raises when Redis is away. Returns whether a new
    wake-up was noted.
    """
    fresh = Wakeup.objects.filter(queue=queue, work=work, created_at__gt=timezone.now() - LOST_AFTER)
    if fresh.count() >= most:
        return False
    note = Wakeup.objects.create(queue=queue, work=work)
    transaction.on_commit(lambda: _enqueue(queue, work, note.pk))
    return True


def start(work: str, note: int) -> None:
    """What an RQ job runs: do the work that woke us."""
    Wakeup.objects.filter(pk=note).delete()
    stage, _, number = work.partition(":")
    arguments: list[Any] = [int(number)] if number else []
    import_string(_STAGES[stage])(*arguments)


def load() -> None:
    """Import all stages, so that the work-horses that a worker forks find them imported."""
    for stage in _STAGES.values():
        import_string(stage)


def _enqueue(queue: str, work: str, note: int) -> None:
    try:
        django_rq.get_queue(queue).enqueue(
            "offline_portal.wake.start", work, note, job_timeout=-1, result_ttl=0, failure_ttl=3600
        )
    except (RedisError, OSError) as error:
        log.warning("Redis is away (%s); the sweeper will wake %s again", type(error).__name__, work)
        Wakeup.objects.filter(pk=note).delete()
