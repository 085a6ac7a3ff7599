"""Whether a destination lets us look at all, and when again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from offline_portal import bulk, claims
from offline_portal.delivery import counting
from offline_portal.delivery.pausing import back_off
from offline_portal.delivery.readback.look import Look
from offline_portal.delivery.readback.reading import Desk
from offline_portal.models import Readback, Reader, Send

CHUNK = 5_000


def note(desk: Desk, looks: Sequence[Look]) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Inside the transaction that wrote these looks: note what they tell of the destination as a whole.

    Returns what is to be logged: that the vendor lets nobody look, once until it lets somebody look again.
    """
    said = [one.said for one in looks if one.said is not None]
    mine = Reader.objects.filter(pk=desk.destination)
    waits = [one.wait for one in said if one.wait is not None]
    if waits:
        _wait(desk, max(waits) or back_off(desk.failures + 1))
    if any(one.shown is not None for one in said):
        mine.update(failures=0, refused="", refused_at=None)
    elif not waits and not any(one.refused or one.at_once for one in said):
        failures = min(Reader.objects.values_list("failures", flat=True).get(pk=desk.destination) + 1, 1_000)
        mine.update(failures=failures)
        _wait(desk, back_off(failures))
    refused = {one.send: one.said.words for one in looks if one.said is not None and one.said.refused}
    if not refused:
        return []
    Send.objects.filter(pk__in=refused).update(readback_refused=True)
    send, words = next(iter(refused.items()))
    first = mine.filter(refused="").update(refused=words, refused_at=timezone.now())
    return [("portal", "readback.refused", f"destination:{desk.destination}", {"reason": words, "send": send})] * first


def _wait(desk: Desk, seconds: float) -> None:
    Reader.objects.filter(pk=desk.destination).update(waits_until=timezone.now() + timedelta(seconds=seconds))


def close(desk: Desk) -> int:
    """Look no more for some thousand rows of a Send at which the vendor lets nobody look; returns how many.

    Raises ClaimLost.
    """
    with transaction.atomic():
        claims.keep(Reader, desk.destination, desk.fence)
        refused = Send.objects.filter(destination=desk.destination, readback_refused=True, readback_looking__gt=0)
        send = refused.select_for_update(of=("self",)).order_by("pk").first()
        if send is None:
            return 0
        rows = Readback.objects.filter(send=send, due_at__isnull=False).order_by("group")
        ids = list(rows.values_list("pk", flat=True)[:CHUNK])
        closed = {"state": Readback.State.NOT_AVAILABLE.value, "due_at": None, "attempt": None}
        number = bulk.set_by_ids(Readback, closed, ids, "state = 'looking'")
        counting.move(send.pk, {"readback_looking": -number, "readback_not_available": number})
        return number
