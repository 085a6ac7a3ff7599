"""Wake-ups: what lies in Redis says only that there is something to do; the database says what.

A wake-up is noted in the database first and put into Redis after the commit. When Redis is away, or loses it, the
sweeper finds the note (or the work itself) and wakes again. Waking once too often does no harm: every piece of work is
claimed in the database before anything is done.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from functools import lru_cache
from typing import Any

import django_rq
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeout
from redis.retry import Retry

from offline_portal import schema
from offline_portal.collector import leave_alone_what_is_here
from offline_portal.models import Wakeup
from offline_portal.trouble import DATABASE_TROUBLE, first_line

log = logging.getLogger(__name__)

_STAGES = {
    "read": "offline_portal.intake.store.read",
    "check": "offline_portal.checks.run",
    "queue": "offline_portal.delivery.queue.run",
    "again": "offline_portal.delivery.again.run",
    "cancel": "offline_portal.delivery.cancelling.run",
    "shift": "offline_portal.delivery.shift.run",
}
_WITHOUT_NUMBER = ("shift",)
REDIS_SECONDS = 2.0
"""How long somebody who wakes waits for a Redis that hangs, and as long once more for a new connection."""
NOT_ASKED_FOR = 5.0
"""For so many seconds a Redis that hung is not asked again: fifty wake-ups must not wait one after the other."""
_hung: dict[str, float] = {}


def lost_after() -> timedelta:
    """A wake-up that no worker started within this time is taken for lost, 75 s as shipped.

    Until then a worker may still be at a shift, and at the flight that it awaits behind it.
    """
    return timedelta(seconds=1.25 * (settings.PORTAL_SHIFT_SECONDS + settings.PORTAL_REQUEST_DEADLINE))


def wake(queue: str, work: str, most: int = 1) -> bool:
    """Have a worker of `queue` ("intake" or "delivery") do `work` ("read:ID", "check:ID", "queue:ID", "again:ID",
    "cancel:ID", "shift").

    At most `most` wake-ups for the same work are outstanding. Never raises when Redis is away. Returns whether a new
    wake-up was noted.
    """
    fresh = Wakeup.objects.filter(queue=queue, work=work, created_at__gt=timezone.now() - lost_after())
    if fresh.count() >= most:
        return False
    note = Wakeup.objects.create(queue=queue, work=work)
    transaction.on_commit(lambda: _enqueue(queue, work, note.pk))
    return True


def start(work: str = "", note: object = None) -> None:
    """What an RQ job runs: do the work that woke us. What this version does not know is refused, in one line."""
    stage, colon, number = work.partition(":")
    if stage not in _STAGES or bool(colon) == (stage in _WITHOUT_NUMBER) or (colon and not _is_id(number)):
        log.error("“%s” is no work of this version of the portal; the sweeper wakes for whatever is due", work)
        return
    arguments: list[Any] = [int(number)] if number else []
    try:
        if isinstance(note, int):
            Wakeup.objects.filter(pk=note).delete()
        if why := schema.misfit():
            log.error("Nothing is done: %s", why)
            return
        import_string(_STAGES[stage])(*arguments)
    except DATABASE_TROUBLE as error:
        log.warning("The database is away (%s); the sweeper will wake %s again", first_line(error), work)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def load() -> None:
    """Import all stages, so that the work-horses that a worker forks find them imported and share their memory."""
    for stage in _STAGES.values():
        import_string(stage)
    leave_alone_what_is_here()


@lru_cache(maxsize=4)
def impatient(url: str) -> Redis:
    """The Redis at `url` for somebody who will not wait: a page, or the sweeper. One that hangs fails in seconds."""
    seconds = {"socket_timeout": REDIS_SECONDS, "socket_connect_timeout": REDIS_SECONDS}
    return Redis.from_url(url, retry=Retry(NoBackoff(), 1), **seconds)


def _enqueue(queue: str, work: str, note: int) -> None:
    url = settings.RQ_QUEUES[queue]["URL"]
    try:
        if time.monotonic() < _hung.get(url, 0.0):
            raise RedisTimeout("it hung a moment ago")
        django_rq.get_queue(queue, connection=impatient(url)).enqueue(
            "offline_portal.wake.start", work, note, job_timeout=-1, result_ttl=0, failure_ttl=3600
        )
    except (RedisError, OSError) as error:
        log.warning("Redis is away (%s); the sweeper will wake %s again", type(error).__name__, work)
        if isinstance(error, RedisTimeout):
            _hung[url] = max(time.monotonic() + NOT_ASKED_FOR, _hung.get(url, 0.0))
        Wakeup.objects.filter(pk=note).delete()
