"""Which rows are looked for at the vendor, and which no longer. The looking itself: `onlooker`.

An unknown row is looked for wherever the vendor can be asked at all, an accepted one where the destination has
`verify` on. Everything here runs inside the transaction that changes the rows, and returns by how much the counters of
the Send move.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.utils import timezone

import connectors
from connectors.base import Connector
from connectors.readback import Timing
from offline_portal import bulk
from offline_portal.audit.keys import digester
from offline_portal.delivery.hold import Hold, QueuedRow
from offline_portal.delivery.verdict import RowVerdict
from offline_portal.models import Delivery, Destination, Readback, Send

UNKNOWN, ACCEPTED = 0, 1
"""Ranks: unknown rows are looked for first."""
_FIELDS = ("delivery_id", "send_id", "destination_id", "group", "rank", "state", "due_at")
_S = Readback.State
Row = tuple[int, dict[str, Any], int]
"""Of a Delivery: its id, the values of its payload, and its rank."""


def ask(hold: Hold, verdicts: Iterable[tuple[QueuedRow, RowVerdict]], answered_at: datetime) -> Counter[str]:
    """Have the rows looked for that were answered, or not, at that moment; in time, as the settings say."""
    if not hold.connector.can_be_read_back:
        return Counter()
    timing = Timing.of(hold.settings)
    ranks = ((row.id, row.payload.values, _rank(found, timing)) for row, found in verdicts)
    rows = [(pk, values, rank) for pk, values, rank in ranks if rank is not None]
    return _ask(hold.send, hold.destination, hold.connector, hold.settings, rows, answered_at + timing.after)


def ask_for_unknown(send: Send, ids: Sequence[int]) -> Counter[str]:
    """The same for rows that have become unknown later than by their answer."""
    place = Destination.objects.select_related("current").get(pk=send.destination_id)
    connector = connectors.get(place.connector)
    if not ids or not connector.can_be_read_back:
        return Counter()
    version = send.settings_version
    current = {key: place.settings[key] for key in connector.connection_settings if key in place.settings}
    settings = (version.values if version else {}) | current
    payloads = Delivery.objects.filter(pk__in=ids).values_list("pk", "payload")
    rows = [(pk, json.loads(payload), UNKNOWN) for pk, payload in payloads]
    return _ask(send.pk, place.pk, connector, settings, rows, timezone.now() + Timing.of(settings).after)


def _ask(
    send: int, destination: int, connector: Connector, settings: dict[str, Any], rows: Sequence[Row], due: datetime
) -> Counter[str]:
    if not rows:
        return Counter()
    refused = Send.objects.values_list("readback_refused", flat=True).get(pk=send)
    state, due_at = (_S.NOT_AVAILABLE, None) if refused else (_S.LOOKING, due)
    digest = digester("readback")
    asked = bulk.insert_ignoring(
        Readback, _FIELDS,
        ((pk, send, destination, digest(connector.readback_group(values, settings)), rank, state.value, due_at)
         for pk, values, rank in rows),
    )  # fmt: skip
    if asked < len(rows):
        asked += _ask_again(rows, state, due_at)
    return Counter({f"readback_{state.value}": asked})


def _rank(found: RowVerdict, timing: Timing) -> int | None:
    if found.status == "unknown":
        return UNKNOWN
    return ACCEPTED if timing.verify and found.status == "accepted" and found.evidence != "confirmed" else None


def _ask_again(rows: Sequence[Row], state: Readback.State, due: datetime | None) -> int:
    """Rows that were looked for, until a person had them sent again."""
    asked = 0
    for rank in (UNKNOWN, ACCEPTED):
        ids = [pk for pk, _values, its_rank in rows if its_rank == rank]
        fresh = {"state": state.value, "due_at": due, "rank": rank, "tries": 0, "failures": 0}
        asked += bulk.set_by_ids(Readback, fresh, ids, "state = 'stopped'")
    return asked


def stop(ids: Sequence[int], *states: Readback.State) -> Counter[str]:
    """Do not look for these rows any more, as far as they are in one of `states`.

    A look on the wire stays noted with them: its Attempt gets an Answer all the same, should its reader die.
    """
    change: Counter[str] = Counter()
    for state in states:
        stopped = {"state": _S.STOPPED.value, "due_at": None}
        change[f"readback_{state.value}"] -= bulk.set_by_ids(Readback, stopped, ids, "state = %s", [state.value])
    return change


class Standing(NamedTuple):
    """Where looking for a row stands: its state, when the next look falls due (None: none does), and looks so far.

    `held`: why nobody looks now, in words for a person; empty where somebody does, or nobody is to.
    """

    state: Readback.State
    next_at: datetime | None
    tries: int
    held: str


def standing_of(delivery: Delivery) -> Standing | None:
    """None for a row that nobody ever looked for. Wants `readback` and `send__destination__current` selected."""
    found: Readback | None = getattr(delivery, "readback", None)
    if found is None:
        return None
    held = held_up(delivery.send.destination, found.rank) if found.state == _S.LOOKING else ""
    return Standing(_S(found.state), None if held else found.due_at, found.tries, held)


def held_up(place: Destination, rank: int) -> str:
    """Why nobody looks for rows of this rank at a destination, as long as it stays so; empty where somebody does."""
    if place.archived_at:
        return "The destination is archived."
    if place.paused:
        return "The destination is paused."
    if rank != UNKNOWN and not Timing.of(place.settings).verify:
        return "Reading back is switched off at the destination."
    return ""
