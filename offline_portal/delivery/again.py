"""Rows that a person has sent again: each gets a new Batch, and claims its key anew. Of very many, chunk by chunk."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from django.db import transaction

import connectors
from offline_portal import bulk
from offline_portal.delivery import batches, counting
from offline_portal.delivery.cancelling import GAP
from offline_portal.delivery.states import Conflict, locked
from offline_portal.models import Batch, Delivery, Destination, Send, SentKey
from offline_portal.wake import wake

CHUNK = 5_000
Ended = tuple[int, str, bytes]
"""A row that came to its end: its id, its status, its duplicate key."""


def may_be_queued(send: Send) -> None:
    """Raises Conflict where rows of this Send would go nowhere, or take others with them."""
    destination: Destination = send.destination  # type: ignore[assignment]
    if destination.archived_at:
        raise Conflict("destination_archived", f"“{destination.name}” has been archived: nothing is sent there now.")
    if send.status == Send.Status.CANCELLED and (send.queued or send.sending):
        # What comes back from the wire to be repeated would be sent along with them.
        raise Conflict("still_cancelling", "The rest of this send is still being cancelled. Try again in a moment.")


def run(send_id: int) -> None:
    """Worker: queue what is left of a Send that somebody retries, however large it is."""
    more = True
    while more:
        with transaction.atomic():
            send = locked(Send.objects.get(pk=send_id))
            more = bool(send.again) and next_rows(send)[1]
        time.sleep(GAP if more else 0)


def next_rows(send: Send) -> tuple[int, bool]:
    """The next CHUNK rows in the statuses of `again`: how many were queued, and whether there are more.

    Inside a transaction that holds the Send.
    """
    statuses, behind = Send.objects.values_list("again", "again_behind").get(pk=send.pk)
    found = Delivery.objects.filter(
        send=send, generation=send.generation, status__in=statuses.split(","), line__gt=behind
    ).order_by("line").values_list("pk", "status", "duplicate_key", "line")
    rows = list(found[:CHUNK])
    more = len(rows) == CHUNK
    values = {"again": statuses, "again_behind": rows[-1][3]} if more else {"again": "", "again_behind": -1}
    Send.objects.filter(pk=send.pk).update(**values)
    return queue(send, [(pk, status, bytes(key)) for pk, status, key, _line in rows]), more


def queue(send: Send, rows: Sequence[Ended]) -> int:
    """Put these rows into new Batches; returns how many could claim their keys. Inside such a transaction."""
    change: Counter[str] = Counter()
    size = connectors.get(send.destination.connector).rows_a_batch  # type: ignore[union-attr]
    last = Batch.objects.filter(send=send).order_by("-number").values_list("number", flat=True).first() or 0
    for start in range(0, len(rows), size):
        chunk = _with_keys(send, rows[start : start + size])
        if not chunk:
            continue
        last += 1
        batch = batches.make(send, last, rows=len(chunk))
        values = {"status": "queued", "batch_id": batch.pk, "part": 0, "tries": 0, "code": "", "message": ""}
        bulk.set_by_ids(Delivery, values, [pk for pk, _status in chunk])
        for _pk, status in chunk:
            change.update({status: -1, "queued": 1})
    counting.move(send.pk, change)
    if change and send.status != Send.Status.PAUSED:
        Send.objects.filter(pk=send.pk).update(status=Send.Status.QUEUED, finished_at=None)
        wake("delivery", "shift")
    return change["queued"]


def _with_keys(send: Send, rows: Sequence[Ended]) -> list[tuple[int, str]]:
    """Those of the rows that hold, or can claim, their duplicate key (all of them when duplicates are sent)."""
    keys = sorted((key, pk) for pk, _status, key in rows)
    fields = ("destination_id", "key", "delivery_id", "forced")
    bulk.insert_ignoring(SentKey, fields, ((send.destination_id, key, pk, False) for key, pk in keys))
    held = set(SentKey.objects.filter(delivery__in=[row[0] for row in rows]).values_list("delivery_id", flat=True))
    if send.duplicates == "send":
        bulk.insert(SentKey, fields, ((send.destination_id, key, pk, True) for key, pk in keys if pk not in held))
        held = {row[0] for row in rows}
    return [(pk, status) for pk, status, _key in rows if pk in held]
