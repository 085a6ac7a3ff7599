"""The sweeper: brings back, from the database alone, whatever a dead worker or an empty Redis left lying."""

from __future__ import annotations

import logging
from datetime import timedelta

import django_rq
from django.conf import settings
from django.db import Error as DatabaseError
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone
from redis.exceptions import RedisError
from rq import Worker

from offline_portal import claims, schema
from offline_portal.delivery import abandoned, clock, counting, release, restored
from offline_portal.delivery import hold as holding
from offline_portal.delivery.readback import findings, reading
from offline_portal.models import Attempt, Batch, Heartbeat, IdempotencyKey, Send, Upload, Wakeup
from offline_portal.wake import impatient, lost_after, wake

log = logging.getLogger(__name__)

_ALIVE = (Send.Status.QUEUED, Send.Status.SENDING)


def one_pass() -> dict[str, int]:
    """Look once; returns what was brought back, by kind. Two sweepers at once do no harm.

    Where the tables are another version's nothing is done, and nothing returned.
    """
    if why := schema.misfit():
        log.error("Nothing is swept: %s", why)
        return {}
    clock.mend()
    if not restored.notice():
        restored.note()
    now = timezone.now()
    Wakeup.objects.filter(created_at__lt=now - lost_after()).delete()
    found = {
        "intake": _wake_intake(),
        "scheduled": release.release_due(),
        "abandoned": _close_abandoned() + findings.close_silent(),
        "finished": _finish_over(),
        "shifts": _wake_shifts(),
    }
    IdempotencyKey.objects.filter(created_at__lt=now - timedelta(hours=24)).delete()
    Heartbeat.objects.update_or_create(name=clock.SWEEPER, defaults={"at": timezone.now(), "detail": found})
    return found


def _wake_intake() -> int:
    """Reading, checking, queueing (also again) and cancelling that nobody is at."""
    reading = Upload.objects.filter(claims.free(), status=Upload.Status.READING).values_list("pk", flat=True)
    work = [f"read:{pk}" for pk in reading]
    for status, stage in ((Send.Status.CHECKING, "check"), (Send.Status.QUEUEING, "queue")):
        left = Send.objects.filter(claims.free(), status=status).exclude(upload__status=Upload.Status.READING)
        work += [f"{stage}:{pk}" for pk in left.values_list("pk", flat=True)]
    waiting = Send.objects.filter(status=Send.Status.CANCELLED, queued__gt=0)
    work += [f"cancel:{pk}" for pk in waiting.values_list("pk", flat=True)]
    work += [f"again:{pk}" for pk in Send.objects.exclude(again="").values_list("pk", flat=True)]
    return sum(wake("intake", one) for one in work)


def _close_abandoned() -> int:
    """Batches whose worker has been silent for longer than its lease: close what it began, and free them.

    Those, too, that nobody holds and nobody will take, since their Send stands still or is over.
    """
    closed = 0
    silent = Batch.objects.filter(done=False, lease_until__lt=timezone.now())
    left = Batch.objects.filter(
        Exists(Attempt.objects.filter(batch=OuterRef("pk"), answer=None, readback=None)),
        done=False, lease_until=None, send__sending__gt=0,
    ).exclude(send__status__in=_ALIVE)
    for batch_id in [*_some(silent.order_by("lease_until")), *_some(left)]:
        fence = claims.take(Batch, batch_id, done=False)
        if fence is None:
            continue
        try:
            hold = holding.to_close(batch_id, fence)
            closed += abandoned.close(hold)
            holding.give_back(hold, again=False, settled=False)
        except claims.ClaimLost:
            continue
        except holding.OfAnotherVersion as error:
            log.warning("Batch %s could not be closed: %s", batch_id, error)
        except DatabaseError:
            raise
        except Exception:
            # One Batch that cannot be closed must not keep all others waiting; it comes back with its next lease.
            log.exception("Batch %s could not be closed", batch_id)
    return closed


def _some(batches: QuerySet[Batch]) -> list[int]:
    return list(batches.values_list("pk", flat=True)[:200])


def _finish_over() -> int:
    over = Send.objects.filter(status__in=(*_ALIVE, Send.Status.PAUSED), queued=0, sending=0, ready__gt=F("queued"))
    return sum(counting.finish_if_over(pk) for pk in over.values_list("pk", flat=True))


def _wake_shifts() -> int:
    """As many wake-ups as there are workers, while anything is due."""
    due = Batch.objects.filter(
        claims.free(), Q(send__destination__waits_until=None) | Q(send__destination__waits_until__lte=timezone.now()),
        done=False, due_at__lte=timezone.now(), send__status__in=_ALIVE,
        send__destination__paused=False,
    )
    batches = due.values_list("pk", flat=True)[: 64].count()
    next_look = reading.next_due()
    looks = 1 if next_look is not None and next_look <= timezone.now() else 0
    return sum(wake("delivery", "shift", most=_workers()) for _ in range(min(batches + looks, _workers())))


def _workers() -> int:
    try:
        connection = impatient(settings.RQ_QUEUES["delivery"]["URL"])
        return max(1, Worker.count(queue=django_rq.get_queue("delivery", connection=connection)))
    except (RedisError, OSError):
        return settings.WORKERS
