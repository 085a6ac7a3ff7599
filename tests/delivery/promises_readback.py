"""The promises about looking up what a vendor has stored, looked at beside what it really has, and really shows.

A row is known again by visitor, goal, revenue and sign only (`shelf.Kind`). So what is compared is how many rows of a
kind are confirmed with how many of that kind arrived.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from hypothesis import event

from connectors.readback import Timing
from offline_portal.delivery.readback.look import Look
from offline_portal.models import Delivery, Destination, Readback
from tests.delivery.imaginary import ImaginaryVendor
from tests.delivery.shelf import Kind, kind_of
from tests.delivery.stored import LOOKED_FOR, StoredRow

MAY_FOLLOW = {
    "": {"looking", "not_available"},
    "looking": {"confirmed", "not_found", "not_available", "stopped"},
    "not_found": {"stopped"}, "not_available": {"stopped"}, "stopped": {"looking", "not_available"},
    "confirmed": set(),
}  # fmt: skip
"""What may become of looking for a row in one step; the empty text is a row that nobody ever looked for."""
MAY_BE_THERE = ("queued", "sending", "accepted")
Here = tuple[int, Kind]
"""A kind at a destination."""


class LookPromises:
    """What is known of the looking for rows of some Sends."""

    def __init__(self, vendors: Mapping[int, ImaginaryVendor]) -> None:
        self.vendors = vendors
        self.open: dict[int, list[int]] = {}
        """The rows of the looks of which nothing is stored but that they were begun."""
        self.verified: set[int] = set()
        """Rows that were sent last where accepted ones are looked up, too."""
        self._left_alone: dict[int, str] = {}
        """What a person decided about rows that nobody is to look for any more."""
        self._shown: set[int] = set()
        """Rows for which a look was written that the vendor had answered, since the promises were looked at."""
        self._before: dict[int, tuple[str, str, str, bytes | None]] = {}
        self._kinds: dict[int, Kind] = {}
        self._ended_before: dict[int, str] = {}

    # What whoever plays tells

    def begun(self, one: Look) -> None:
        """A look stands in the database, and may leave."""
        self.open[one.attempt] = [row.id for row in one.rows]
        assert not self._left_alone.keys() & self.open[one.attempt], "looked for against a person's decision"

    def landed(self, one: Look) -> None:
        """What a look found was written by the reader that began it."""
        rows = self.open.pop(one.attempt)
        if one.said is not None and one.said.shown is not None:
            self._shown |= set(rows)

    def sent(self, rows: Sequence[int], verify: bool) -> None:
        """What came of sending these rows was written; `verify`: by a worker that has accepted ones looked for."""
        self.verified = self.verified | set(rows) if verify else self.verified - set(rows)

    def a_person_decided(self, row: int, as_: str) -> None:
        """About an unknown row."""
        if as_ in ("resend", "abandoned"):
            self._left_alone[row] = as_

    @property
    def sought(self) -> bool:
        """Whether any row is looked for."""
        return any(state == "looking" for _status, _evidence, state, _sighting in self._before.values())

    # What must hold at every moment

    def are_kept(self, rows: Sequence[StoredRow], counters: Iterable[Mapping[str, int]]) -> None:
        """Look at everything."""
        sought = [row for row in rows if self.vendors[row.destination].shelf is not None]
        self._learn_the_kinds([row.pk for row in sought if row.pk not in self._kinds])
        self._counters_are_right(rows, counters)
        found_unknown = [self._here(row) for row in sought if self._went_on_as_it_may(row)]
        for row in sought:
            self._is_looked_for(row)
        self._nothing_is_confirmed_that_did_not_arrive(sought, found_unknown)
        self._shown.clear()

    def _learn_the_kinds(self, rows: Sequence[int]) -> None:
        if rows:
            payloads = Delivery.objects.filter(pk__in=rows).values_list("pk", "payload")
            self._kinds.update({pk: kind_of(json.loads(payload)) for pk, payload in payloads})

    def _counters_are_right(self, rows: Sequence[StoredRow], counters: Iterable[Mapping[str, int]]) -> None:
        found: dict[int, Counter[str]] = defaultdict(Counter)
        for row in rows:
            found[row.send][row.state] += 1
        for send in counters:
            counted = {state: send[f"readback_{state}"] for state in LOOKED_FOR}
            assert counted == {state: found[send["id"]][state] for state in counted}, "P1: looks are counted wrongly"

    def _went_on_as_it_may(self, row: StoredRow) -> bool:
        """Whether it was found now, having been unknown."""
        state, sighting = row.state, row.sighting
        status, evidence, before, its = self._before.get(row.pk, (row.status, row.evidence, state, sighting))
        assert state == before or state in MAY_FOLLOW[before], f"looking for it was {before!r} and became {state!r}"
        assert its is None or its == sighting, "it is another conversion now"
        assert (sighting is None) == (state != "confirmed") == (row.evidence != "confirmed")
        if status == "accepted" and evidence != row.evidence:
            assert row.evidence == "confirmed", "P3: it was better known before"
        is_new = state == "confirmed" != before
        assert not is_new or row.pk in self._shown, "P3: confirmed, but no look has shown it"
        self._before[row.pk] = (row.status, row.evidence, state, sighting)
        if state != before:
            event(f"{row.status}: looking {before} -> {state}" + (f" ({status})" if is_new else ""))
        return is_new and status == "unknown"

    def _is_looked_for(self, row: StoredRow) -> None:
        if self._left_alone.get(row.pk) == "resend" and row.status in ("accepted", "unknown"):
            self._left_alone.pop(row.pk)  # It was sent anew, and that came to an end.
        decided = self._left_alone.get(row.pk)
        state = row.state
        assert state != "looking" if decided == "abandoned" else not decided or state == "stopped", "against a decision"
        if decided != "abandoned" and row.status == "unknown":
            assert state in ("looking", "not_found", "not_available"), "an unknown row is not looked for"
        if row.status == "accepted" and row.pk in self.verified:
            assert state in LOOKED_FOR, "an accepted row is not read back"
        if state == "looking":
            assert row.status in ("accepted", "unknown"), f"a row is looked for that is {row.status}"

    def _nothing_is_confirmed_that_did_not_arrive(self, rows: Sequence[StoredRow], found: Sequence[Here]) -> None:
        confirmed = Counter(self._here(row) for row in rows if row.evidence == "confirmed")
        for (destination, kind), number in confirmed.items():
            there = self.vendors[destination].shelf.count(only_shown=True)[kind]
            assert number <= there, "P3: confirmed, but it is not there"
        others = Counter(
            self._here(row) for row in rows
            if row.status in MAY_BE_THERE and row.evidence != "confirmed" and row.attempts
        )
        for here in found:
            there = self.vendors[here[0]].shelf.count(only_shown=True)[here[1]]
            assert confirmed[here] + others[here] <= there, "P3: found, but it may have been another row"

    def _here(self, row: StoredRow) -> Here:
        return row.destination, self._kinds[row.pk]

    # What must hold in the end

    def from_now_on_all_is_well(self) -> None:
        """Looking that has ended up to now may have ended because of a fault."""
        self._ended_before = {row: state for row, (*_others, state, _sighting) in self._before.items()}

    def nothing_is_left_to_do(self) -> bool:
        """Whether nobody is to look for anything any more, as far as anybody may."""
        return not any(may_be_looked_for(one) for one in self._left())

    def came_to_their_end(self, rows: Sequence[StoredRow]) -> None:
        """What the vendor shows is confirmed, and nothing is looked for without end."""
        assert self.nothing_is_left_to_do(), "P5: looking does not come to its end"
        assert not self.open, "P4: a look never got its Answer"
        alike: dict[Here, list[StoredRow]] = defaultdict(list)
        for row in rows:
            shelf = self.vendors[row.destination].shelf
            if shelf is not None and row.attempts and row.status not in ("failed", "cancelled", "rejected"):
                alike[self._here(row)].append(row)
        for (destination, kind), mates in alike.items():
            there = self.vendors[destination].shelf.count()[kind]
            confirmed = sum(row.evidence == "confirmed" for row in mates)
            if there == len(mates):
                missed = [row.pk for row in mates if row.evidence != "confirmed" and self._was_looked_for(row)]
                assert not missed, "P5: the vendor shows it, and it is not confirmed"
            if all(self._was_looked_for(row) for row in mates):
                assert confirmed == there, "P5: the vendor shows more than is confirmed"

    def _was_looked_for(self, row: StoredRow) -> bool:
        """Since all is well, to an end that the looks came to by themselves."""
        ended = self._ended_before.get(row.pk) in ("not_found", "not_available")
        held = row.state in ("looking", "stopped", "")
        return not (ended or held or row.refused)

    def _left(self) -> list[Readback]:
        waiting = Readback.objects.filter(destination__in=list(self.vendors), due_at__isnull=False)
        return list(waiting.select_related("destination__current"))


def may_be_looked_for(one: Readback) -> bool:
    """Whether neither an archived destination nor its settings keep anybody from looking for that row."""
    place: Destination = one.destination
    return not place.archived_at and (one.rank == 0 or Timing.of(place.settings).verify)
