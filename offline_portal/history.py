"""The story of one row: from its line in the file to the last answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import connectors
from connectors.base import Connector, ConnectorError, Response
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


_UNMASKABLE = "(not shown: too long to find the personal values in it)"


class Moment(NamedTuple):
    """One thing that happened: when, what in plain words, and by whom (a username, or `portal`)."""

    at: datetime
    what: str
    who: str


class Exchanges(NamedTuple):
    """All requests about a row, the oldest first, with their copies and answers."""

    sent: list[Attempt]
    """Those that carried it."""
    looks: list[Attempt]
    """Those that looked up at the vendor what it has stored of it."""


def exchanges_of(delivery: Delivery) -> Exchanges:
    """What went over the wire about the row."""
    numbers = set(Outcome.objects.filter(delivery=delivery).values_list("attempt_id", flat=True))
    if delivery.status == Delivery.Status.SENDING:
        numbers |= _under_way(delivery)
    readback = getattr(delivery, "readback", None)
    if readback is not None and readback.attempt:
        numbers.add(readback.attempt)
    found = Attempt.objects.filter(pk__in=numbers).select_related(
        "copy", "answer", "answer__copy", "batch__destination"
    )
    attempts = list(found.order_by("pk"))
    return Exchanges([one for one in attempts if not one.readback], [one for one in attempts if one.readback])


def veil_of(attempt: Attempt, reveal: Delivery | None) -> Callable[[str], str]:
    """Masks the personal values of every row in the request, but for those of the row to `reveal`.

    In the answer to a look, which may tell of other rows and people, theirs too.
    """
    connector = connectors.get(attempt.batch.destination.connector)
    if connector.transport == "file" and attempt.copy.body is None:
        # Of a long file only name, size and digest are kept: none of its thousands of rows can show.
        return lambda text: text
    carried = Delivery.objects.filter(pk__in=json.loads(attempt.deliveries)).values_list("pk", "payload")
    hidden = [json.loads(payload) for pk, payload in carried if payload and (reveal is None or pk != reveal.pk)]
    if not attempt.readback:
        return lambda text: redaction.mask_in(text, hidden, connector)
    told = _told(attempt, connector)
    if told is None:
        body = _body(attempt)
        return lambda text: _UNMASKABLE if text == body else redaction.mask_in(text, hidden, connector)
    own = set(json.loads(reveal.payload).values()) if reveal is not None else set()
    hidden += [{key: value for key, value in values.items() if value not in own} for values in told]
    return lambda text: redaction.mask_in(text, hidden, connector)


def _body(attempt: Attempt) -> str:
    answer = getattr(attempt, "answer", None)
    return answer.copy.body if answer is not None and answer.copy is not None else ""


def _told(attempt: Attempt, connector: Connector) -> list[dict[str, Any]] | None:
    """Values in the answer to a look, by field key; None where it was cut, so that nobody can tell."""
    if not _body(attempt) or not 200 <= (attempt.answer.status or 0) < 300:
        return []
    try:
        return connector.told_by_readback(Response(200, {}, _body(attempt).encode()))
    except ConnectorError:
        return None


def timeline(delivery: Delivery, exchanges: Exchanges) -> list[Moment]:
    """Everything that happened to the row, in order of time. Quotes no cell."""
    upload = delivery.send.upload
    read = Moment(
        upload.created_at, f"Line {delivery.line} of “{upload.filename}” uploaded", upload.created_by.get_username()
    )
    outcomes = {one.attempt_id: one for one in Outcome.objects.filter(delivery=delivery)}
    requests = [*_requests(exchanges.sent, outcomes), *_looks(exchanges.looks, outcomes)]
    found = [read, *_edits(delivery), *_acts(delivery), *requests]
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


def _requests(attempts: Iterable[Attempt], outcomes: Mapping[int, Outcome]) -> Iterable[Moment]:
    for number, attempt in enumerate(attempts, start=1):
        yield Moment(attempt.started_at, f"Request {number} sent", "portal")
        answer = getattr(attempt, "answer", None)
        if answer is None:
            continue
        came = f"answered with status {answer.status}" if answer.status else "no usable answer"
        outcome = outcomes.get(attempt.pk)
        meaning = f": {_outcome(outcome)}" if outcome else ""
        yield Moment(answer.ended_at, f"Request {number} {came}{meaning}", "portal")


def _looks(looks: Iterable[Attempt], outcomes: Mapping[int, Outcome]) -> Iterable[Moment]:
    for number, attempt in enumerate(looks, start=1):
        answer = getattr(attempt, "answer", None)
        words = f"Look {number} at the vendor: {what_was_seen(outcomes.get(attempt.pk))}"
        yield Moment(answer.ended_at if answer else attempt.started_at, words, "portal")


def what_was_seen(outcome: Outcome | None) -> str:
    """What a look brought for a row, in plain words."""
    if outcome is None:
        return "under way"
    if outcome.evidence == "confirmed":
        return "found there, so it is confirmed"
    return {"not_found": "not found there", "not_available": "not available"}.get(
        outcome.code, f"no usable answer ({outcome.code})"
    )


def _outcome(outcome: Outcome) -> str:
    more = ", ".join(text for text in (outcome.evidence, outcome.code) if text)
    return f"{outcome.status} ({more})" if more else outcome.status
