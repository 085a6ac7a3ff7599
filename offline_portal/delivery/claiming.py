"""Which Batch a worker takes next; what a dead one had begun of it comes to its end first."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import transaction
from django.db.models import Max, Min, Q
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from offline_portal import claims, secrets
from offline_portal.delivery import abandoned
from offline_portal.delivery import hold as holding
from offline_portal.delivery.hold import Hold, OfAnotherVersion
from offline_portal.delivery.pausing import pause_destination, pause_send
from offline_portal.models import Batch, Send
from offline_portal.trouble import DATABASE_TROUBLE

log = logging.getLogger(__name__)

_ALIVE = (Send.Status.QUEUED, Send.Status.SENDING)


def claim_due(busy: set[int]) -> list[Hold]:
    """Claim one due Batch of each destination that is not in `busy`, the least recently served Send first."""
    holds: list[Hold] = []
    taken = set(busy)
    now = timezone.now()
    sends = Send.objects.filter(
        Q(destination__waits_until=None) | Q(destination__waits_until__lte=now),
        status__in=_ALIVE, destination__paused=False,
    ).order_by("served", "pk").values_list("pk", "destination_id", "destination__failures")
    for send_id, destination_id, failures in sends:
        if destination_id in taken or (failures and _is_probed(destination_id)):
            continue
        if hold := _claim_one(send_id):
            taken.add(destination_id)
            holds.append(hold)
    return holds


def next_due() -> datetime | None:
    """When somebody can take the next Batch of a living Send: it is due, its destination waits no longer, and nobody
    holds it or their lease is over. None when there is none."""
    waiting = Batch.objects.filter(done=False, send__status__in=_ALIVE, send__destination__paused=False)
    held, waits = Coalesce("lease_until", "due_at"), Coalesce("send__destination__waits_until", "due_at")
    return waiting.aggregate(first=Min(Greatest("due_at", held, waits)))["first"]


def _claim_one(send_id: int) -> Hold | None:
    due = Batch.objects.filter(claims.free(), send=send_id, done=False, due_at__lte=timezone.now())
    for batch_id in due.order_by("number").values_list("pk", flat=True)[:5]:
        fence = claims.take(Batch, batch_id, done=False)
        if fence is None:
            continue
        try:
            hold = holding.load(batch_id, fence)
        except secrets.Unreadable as error:
            with transaction.atomic():
                destination = Batch.objects.values_list("destination_id", flat=True).get(pk=batch_id)
                pause_destination(destination, str(error))
            _leave(batch_id, fence)
            return None
        except OfAnotherVersion as error:
            pause_send(send_id, str(error))
            _leave(batch_id, fence)
            return None
        if hold.failures and _is_probed(hold.destination, batch_id):
            # Two workers at the same moment: a vendor that is down is probed by one of them.
            _leave(batch_id, fence)
            return None
        _mark_served(send_id)
        return hold
    return None


def _leave(batch_id: int, fence: int) -> None:
    """Give back what is not sent now. Nobody would look again for what a dead worker had begun of it."""
    try:
        if abandoned.of(batch_id).exists():
            abandoned.close(holding.to_close(batch_id, fence))
        claims.give_back(Batch, batch_id, fence)
    except DATABASE_TROUBLE:
        raise
    except Exception as error:
        # The sweeper tries again once the lease is over; other Batches need not wait for that.
        log.warning("Batch %s could not be given back (%s: %s)", batch_id, type(error).__name__, error)


def _is_probed(destination: int, but: int | None = None) -> bool:
    """Whether somebody holds a Batch of the destination, other than the one named."""
    held = Batch.objects.filter(destination=destination, done=False, lease_until__gt=timezone.now())
    return held.exclude(pk=but).exists()


def _mark_served(send_id: int) -> None:
    with transaction.atomic():
        turn = (Send.objects.filter(status__in=_ALIVE).aggregate(last=Max("served"))["last"] or 0) + 1
        Send.objects.filter(pk=send_id).update(served=turn)
        Send.objects.filter(pk=send_id, status=Send.Status.QUEUED).update(status=Send.Status.SENDING)
