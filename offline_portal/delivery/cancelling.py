"""What becomes of the rows of a cancelled Send that still wait: chunk by chunk, beside others who write."""

from __future__ import annotations

import time

from django.db import transaction

import connectors
from offline_portal import bulk
from offline_portal.delivery import counting, doubt
from offline_portal.delivery.readback import asking
from offline_portal.models import Delivery, Send, SentKey

CHUNK = 5_000
GAP = 0.1
"""Seconds between two chunks: on SQLite nobody else could write otherwise."""
_IN_DOUBT = "It was to be sent once more when the send was cancelled; an earlier try may have arrived."


def run(send_id: int) -> None:
    """Worker: go through a cancelled Send. Rows that are being begun at this moment are left to the sweeper."""
    send, line = Send.objects.get(pk=send_id), -1
    while (line := next_rows(send, line)) is not None:
        time.sleep(GAP)


def next_rows(send: Send, after: int = -1) -> int | None:
    """Cancel the next CHUNK rows that wait behind line `after`; the last of them, None when there are no more.

    Rows of which nobody may say that they did not arrive become `unknown`; the others are `cancelled`.
    """
    waiting = Delivery.objects.filter(
        send=send, generation=send.generation, verdict="ready", status="queued", line__gt=after
    )
    lines = dict(waiting.order_by("line").values_list("pk", "line")[:CHUNK])
    if not lines:
        return None
    with transaction.atomic():
        # Not those that a worker is about to begin, which would wait for us, and we for it.
        mine = waiting.filter(pk__in=lines).order_by("pk").select_for_update(skip_locked=True)
        if not _cancel(send, list(mine.values_list("pk", flat=True))):
            transaction.set_rollback(True)
            return None
    return max(lines.values())


def _cancel(send: Send, ids: list[int]) -> bool:
    """False, and then to be undone, when a person has had a row of it sent again meanwhile."""
    doubtful = doubt.in_doubt(ids, connectors.get(send.destination.connector))  # type: ignore[union-attr]
    in_doubt = {"status": "unknown", "code": "cancelled", "message": _IN_DOUBT}
    unknown = bulk.set_by_ids(Delivery, in_doubt, sorted(doubtful), "status = 'queued'")
    surely = [pk for pk in ids if pk not in doubtful]
    cancelled = bulk.set_by_ids(Delivery, {"status": "cancelled"}, surely, "status = 'queued'")
    SentKey.objects.filter(delivery__in=surely).delete()
    sought = asking.ask_for_unknown(send, sorted(doubtful))
    counting.move(send.pk, {"queued": -cancelled - unknown, "cancelled": cancelled, "unknown": unknown} | sought)
    return Send.objects.filter(pk=send.pk, status=Send.Status.CANCELLED).exists()
