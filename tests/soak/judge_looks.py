"""What must hold of rows that were looked for at a vendor that can be asked what it has stored."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any

from django.db.models import Count

import connectors
from offline_portal.models import Delivery, Outcome, Readback, Send

S = Readback.State
STATES = (S.LOOKING, S.CONFIRMED, S.NOT_FOUND, S.NOT_AVAILABLE)
IN_VAIN = (S.NOT_FOUND, S.NOT_AVAILABLE)
BY_LOOKS_ALONE = "by looks alone"
AS_BEFORE = {("accepted", "delivered"), ("accepted", "stated"), ("unknown", "")}
"""Status and evidence that a row may have which was looked for in vain."""


def of_the_destination(name: str, stored: Iterable[Mapping[str, Any]], numbers: Counter[str]) -> Iterator[str]:
    """Everything about a destination's looks; `stored` is what the vendor holds."""
    states = Readback.objects.filter(destination__name=name).values_list("state").annotate(Count("pk"))
    numbers.update(dict(states.order_by("state")))
    numbers[BY_LOOKS_ALONE] = len(accepted_by_looks_alone(name))
    yield from _of_the_rows(name)
    yield from _of_the_sightings(name)
    yield from _of_the_counters(name)
    yield from _of_what_is_alike(name, stored)


def accepted_by_looks_alone(name: str) -> set[int]:
    """Deliveries that no answer to a try called accepted: whether they are there is a matter of all that are alike."""
    confirmed = Delivery.objects.filter(send__destination__name=name, evidence="confirmed")
    by_answer = Outcome.objects.filter(
        delivery__send__destination__name=name, attempt__readback=None, status="accepted"
    )
    return set(confirmed.values_list("pk", flat=True)) - set(by_answer.values_list("delivery", flat=True))


def _of_the_rows(name: str) -> Iterator[str]:
    """A look changes a row for the better only, and comes to an end."""
    found = Readback.objects.filter(destination__name=name).order_by("pk")
    facts = found.values_list("pk", "state", "attempt", "delivery__status", "delivery__evidence")
    confirmed = set()
    for pk, state, attempt, status, evidence in facts:
        if state == S.LOOKING or attempt is not None:
            yield f"Delivery {pk} is {state} for ever"
        if state == S.CONFIRMED:
            confirmed.add(pk)
        if state in IN_VAIN and (status, evidence) not in AS_BEFORE:
            yield f"Delivery {pk} was looked for in vain ({state}), and is {status} {evidence}"
    better = Delivery.objects.filter(send__destination__name=name, status="accepted", evidence="confirmed")
    for pk in sorted(confirmed ^ set(better.values_list("pk", flat=True))):
        yield f"Delivery {pk} is confirmed as a row or as looked for, and not as both"


def _of_the_sightings(name: str) -> Iterator[str]:
    """A row is confirmed by a stored conversion that confirms no other one."""
    found = Readback.objects.filter(destination__name=name)
    for pk in found.filter(state=S.CONFIRMED, sighting=None).values_list("pk", flat=True):
        yield f"Delivery {pk} is confirmed by no stored conversion"
    for pk in found.exclude(state=S.CONFIRMED).exclude(sighting=None).values_list("pk", flat=True):
        yield f"Delivery {pk} has a stored conversion, and is not confirmed"
    rows_of: dict[bytes, list[int]] = defaultdict(list)
    for pk, sighting in found.exclude(sighting=None).values_list("pk", "sighting"):
        rows_of[bytes(sighting)].append(pk)
    for rows in rows_of.values():
        if len(rows) > 1:
            yield f"Deliveries {rows} claim the same stored conversion"


def _of_the_counters(name: str) -> Iterator[str]:
    states = Readback.objects.filter(destination__name=name).values_list("send", "state").annotate(Count("pk"))
    counted = {(send, state): count for send, state, count in states}
    for send in Send.objects.filter(destination__name=name).order_by("pk"):
        for state in STATES:
            told, found = getattr(send, f"readback_{state.value}"), counted.get((send.pk, state.value), 0)
            if told != found:
                yield f"Send {send.pk}: its counter says {told} {state.value}, of its rows looked for {found} are"


def _of_what_is_alike(name: str, stored: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Among rows that the vendor shows alike nobody can tell which is there, but no more are called so than are."""
    connector = connectors.get("kameleoon")
    there: Counter[Hashable] = Counter()
    for entry in stored:
        data = entry["content"]["data"]
        values = {"goal_id": data["goalId"], "revenue": str(data["revenue"]), "negative": data["negative"]}
        there[entry["key"]["visitor"][1], connector.likeness(values)] += 1
    rows_of: dict[Hashable, list[int]] = defaultdict(list)
    accepted = Delivery.objects.filter(send__destination__name=name, status="accepted").exclude(evidence="stated")
    for pk, payload in accepted.order_by("pk").values_list("pk", "payload").iterator():
        values = json.loads(payload)
        rows_of[values["visitor_code"], connector.likeness(values)].append(pk)
    for alike, rows in rows_of.items():
        if len(rows) > there[alike]:
            yield f"Deliveries {rows} are alike, and all accepted; the vendor holds {there[alike]} such"
