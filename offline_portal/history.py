"""The story of one row: from its line in the file to the last answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

import connectors
from offline_portal import redaction
from offline_portal.models import Attempt, AuditEntry, Delivery, Edit, Outcome

_ACTS = {
    "send.checked": "Checked",
    "send.queueing": "Sent on its way",
    "approval.asked": "Approval asked for",
    "approval.approved": "Approved",
    "approval.rejected": "Rejected before it left",
    "send.scheduled": "Set to start at its time",
    "send.withdrawn": "Send taken back",
    "send.queued": "Queued",
    "send.paused": "Send paused",
    "send.resumed": "Send resumed",
    "send.cancelled": "Send cancelled",
    "send.retried": "Rows queued again",
    "delivery.resolved": "Resolved",
    "delivery.revealed": "Personal values shown",
}


class Moment(NamedTuple):
    """One thing that happened: when, what in plain words, and by whom (a username, or `portal`)."""

    at: datetime
    what: str
    who: str


def attempts_of(delivery: Delivery) -> list[Attempt]:
    """All requests that carried the row, the oldest first, with their copies and answers."""
    numbers = set(Outcome.objects.filter(delivery=delivery).values_list("attempt_id", flat=True))
    if delivery.status == Delivery.Status.SENDING:
        numbers |= _under_way(delivery)
    found = Attempt.objects.filter(pk__in=numbers).select_related(
        "copy", "answer", "answer__copy", "batch__destination"
    )
    return list(found.order_by("pk"))


def veil_of(attempt: Attempt, reveal: Delivery | None) -> Callable[[str], str]:
    """Masks the personal values of every row in the request, but for those of the row to `reveal`."""
    connector = connectors.get(attempt.batch.destination.connector)
    if connector.transport == "file" and attempt.copy.body is None:
        # Of a long file only name, size and digest are kept: none of its thousands of rows can show.
        return lambda text: text
    carried = Delivery.objects.filter(pk__in=json.loads(attempt.deliveries)).values_list("pk", "payload")
    hidden = [json.loads(payload) for pk, payload in carried if payload and (reveal is None or pk != reveal.pk)]
    return lambda text: redaction.mask_in(text, hidden, connector)


def timeline(delivery: Delivery, attempts: Iterable[Attempt]) -> list[Moment]:
    """Everything that happened to the row, in order of time. Quotes no cell."""
    upload = delivery.send.upload
    read = Moment(
        upload.created_at, f"Line {delivery.line} of “{upload.filename}” uploaded", upload.created_by.get_username()
    )
    found = [read, *_edits(delivery), *_acts(delivery), *_requests(delivery, attempts)]
    return sorted(found, key=lambda one: one.at)


def _under_way(delivery: Delivery) -> set[int]:
    waiting = Attempt.objects.filter(batch=delivery.batch_id, answer=None).values_list("pk", "deliveries")
    return {number for number, ids in waiting if delivery.pk in json.loads(ids)}


def _edits(delivery: Delivery) -> Iterable[Moment]:
    edits = Edit.objects.filter(send=delivery.send_id, line=delivery.line).select_related("created_by").order_by("pk")
    for edit in edits:
        place = "Left out" if edit.excluded else "Taken back in"
        what = place if edit.column is None else f"“{edit.column}” changed"
        yield Moment(edit.created_at, what, edit.created_by.get_username())


def _acts(delivery: Delivery) -> Iterable[Moment]:
    objects = (f"send:{delivery.send_id}", f"delivery:{delivery.pk}")
    for entry in AuditEntry.objects.filter(object__in=objects, action__in=_ACTS).order_by("seq"):
        what = _ACTS[entry.action]
        if entry.action == "delivery.resolved":
            detail = json.loads(entry.detail)
            what = f"{what} as {detail.get('as')}: {detail.get('reason')}"
        yield Moment(entry.at, what, entry.actor)


def _requests(delivery: Delivery, attempts: Iterable[Attempt]) -> Iterable[Moment]:
    outcomes = {one.attempt_id: one for one in Outcome.objects.filter(delivery=delivery)}
    for number, attempt in enumerate(attempts, start=1):
        yield Moment(attempt.started_at, f"Request {number} sent", "portal")
        answer = getattr(attempt, "answer", None)
        if answer is None:
            continue
        came = f"answered with status {answer.status}" if answer.status else "no usable answer"
        outcome = outcomes.get(attempt.pk)
        meaning = f": {_outcome(outcome)}" if outcome else ""
        yield Moment(answer.ended_at, f"Request {number} {came}{meaning}", "portal")


def _outcome(outcome: Outcome) -> str:
    more = ", ".join(text for text in (outcome.evidence, outcome.code) if text)
    return f"{outcome.status} ({more})" if more else outcome.status
