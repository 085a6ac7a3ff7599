"""Attempts that a worker began and never closed, because it died: they may have arrived."""

from __future__ import annotations

import json

from django.db.models import QuerySet
from django.utils import timezone

from connectors.base import NoAnswer, Request
from offline_portal.delivery.hold import Hold, QueuedRow
from offline_portal.delivery.verdict import Judge
from offline_portal.delivery.writing import Book, Parcel
from offline_portal.models import Attempt, Delivery

_NO_REQUEST = Request("", "")


def of(batch_id: int) -> QuerySet[Attempt]:
    """The Attempts of a Batch that have no Answer; while nobody sends it, nobody will write one."""
    return Attempt.objects.filter(batch=batch_id, answer=None, readback=None).order_by("pk")


def close(hold: Hold) -> int:
    """Give every Attempt of the Batch that has no Answer its honest end; returns how many there were.

    Its rows are `unknown`, or `queued` again where a repeat is harmless. Raises ClaimLost.
    """
    attempts = list(of(hold.batch))
    if attempts:
        Book(hold).turn([_parcel(hold, attempt) for attempt in attempts], [])
    return len(attempts)


def _parcel(hold: Hold, attempt: Attempt) -> Parcel:
    ids = json.loads(attempt.deliveries)
    found = {
        pk: QueuedRow(pk, hold.payload(text, wire_key), part, tries)
        for pk, text, wire_key, part, tries in Delivery.objects.filter(pk__in=ids).values_list(
            "pk", "payload", "wire_key", "part", "tries"
        )
    }
    rows = [found[pk] for pk in ids]
    error = NoAnswer("The worker stopped before an answer was written.")
    harmless = [hold.connector.harmless_to_repeat(row.payload.values, hold.settings) for row in rows]
    judge = Judge(hold.connector, harmless, [row.payload for row in rows])
    return Parcel(
        rows, _NO_REQUEST, attempt=attempt.pk, error=error, ended_at=timezone.now(), verdict=judge.of_error(error)
    )
