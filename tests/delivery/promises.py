"""The promises of docs/reliability.md, looked at in the database beside what really happened.

Whoever plays tells what was begun, how it ended and what people decided; `Promises` keeps its own account of that, and
compares. P1: no row is lost. P2: none counts twice. P3: no guess is shown as a fact. P4: the log covers everything.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from offline_portal.models import Attempt, AuditHead, Delivery
from tests.delivery import stored
from tests.delivery.imaginary import LOST, ImaginaryVendor
from tests.delivery.promises_readback import LookPromises
from tests.delivery.stored import StoredRow

MAY_FOLLOW = {
    "queued": {"sending", "cancelled", "unknown"},
    "sending": {"queued", "accepted", "rejected", "unknown", "failed"},
    "rejected": {"queued"}, "failed": {"queued"}, "unknown": {"queued", "accepted"},
    "accepted": set(), "cancelled": set(),
}  # fmt: skip
"""What may become of a row in one step."""


class Promises:
    """What is known of the rows of some Sends."""

    def __init__(self, vendors: Mapping[int, ImaginaryVendor], sends: Sequence[int]) -> None:
        """`vendors` by destination; both may grow."""
        self.vendors, self.sends = vendors, sends
        self.open: dict[int, list[int]] = {}
        """The rows of the Attempts of which nothing is stored but that they were begun."""
        self.doubt: set[int] = set()
        """Rows that may have arrived, and that no person has said since should be sent again."""
        self.statuses: dict[int, str] = {}
        self.first_entry = AuditHead.objects.get_or_create(pk=1)[0].seq
        self._last_entry = self.first_entry
        self._last_attempt = Attempt.objects.order_by("pk").values_list("pk", flat=True).last() or 0
        self._unanswered: set[int] = set()
        self._ever_in_doubt: set[int] = set()
        self._said_yes: set[int] = set()
        self._decided: set[int] = set()
        """Rows about which a person decided since the last look."""
        self.paused: list[int] = []
        """Sends that stood still at the last look."""
        self._resends: Counter[tuple[int, int, int]] = Counter()
        self._wire_keys: dict[int, str | None] = {}
        self.looks = LookPromises(vendors)

    def landed(self, destination: int, attempt: int, how: str, verify: bool = False) -> None:
        """The Answer of an Attempt was written by the worker that began it; `verify`: as its settings are."""
        rows = self.open.pop(attempt)
        self.looks.sent(rows, verify)
        if how in LOST:
            self._now_in_doubt(rows)
        elif how == "alike":
            self._said_yes |= set(rows)
        elif how == "taken":
            self._said_yes |= {row for row in rows if row in self.vendors[destination].good}

    def a_person_decided(self, delivery: Delivery, as_: str) -> None:
        """About an unknown row."""
        self._decided.add(delivery.pk)
        self.looks.a_person_decided(delivery.pk, as_)
        if as_ == "resend":
            self.doubt.discard(delivery.pk)
            self._resends[delivery.send.destination_id, delivery.send.upload_id, delivery.line] += 1

    def are_kept(self) -> None:
        """Look at everything."""
        self._the_log_covers_it_once()
        rows, counters = stored.rows(self.sends), stored.counters(self.sends)
        self.paused = [send["id"] for send in counters if send["status"] == "paused"]
        self._counts_are_right(rows, counters)
        for row in rows:
            self._went_on_as_it_may(row)
            self._is_what_it_says(row)
        self._nothing_counts_twice(rows)
        self.looks.are_kept(rows, counters)
        self._decided.clear()

    def _counts_are_right(self, rows: list[StoredRow], counters: list[dict[str, Any]]) -> None:
        found = {pk: Counter() for pk in self.sends}
        for row in rows:
            found[row.send][row.status] += 1
        for send in counters:
            counted = {status: send[status] for status in stored.COUNTED}
            assert counted == {status: found[send["id"]][status] for status in counted}, "P1: the counters are wrong"
            assert sum(counted.values()) == send["ready"], "P1: a row is lost"
        begun = sorted(row for ids in self.open.values() for row in ids)
        assert begun == [row.pk for row in rows if row.status == "sending"], "on the wire is what was begun"

    def _went_on_as_it_may(self, row: StoredRow) -> None:
        before = self.statuses.get(row.pk, row.status)
        if before != row.status:
            assert row.status in MAY_FOLLOW[before], f"{before} became {row.status}"
            assert before != "unknown" or row.pk in self._decided or row.evidence == "confirmed", (
                "P3: unknown until a person decides, or the vendor shows it"
            )
        self.statuses[row.pk] = row.status
        assert self._wire_keys.setdefault(row.pk, row.wire_key) == row.wire_key, "P2: the wire key is another one"

    def _is_what_it_says(self, row: StoredRow) -> None:
        vendor = self.vendors[row.destination]
        assert len(vendor.names[row.pk]) <= 1, "P2: it arrived under two names"
        if row.status == "accepted":
            word_given = row.resolved == "accepted" and row.evidence == "stated"
            shown = row.evidence == "confirmed"
            assert row.pk in self._said_yes or word_given or shown, "P3: nobody said that it was accepted"
        if row.status in ("failed", "cancelled", "rejected"):
            assert row.pk not in self._ever_in_doubt, f"P3: {row.status}, but it may have arrived"
            assert vendor.took[row.pk] == 0, f"P3: {row.status}, but the vendor has it"

    def _nothing_counts_twice(self, rows: list[StoredRow]) -> None:
        counted: Counter[tuple[int, int, int]] = Counter()
        for row in rows:
            counted[row.conversion] += self.vendors[row.destination].took[row.pk]
        for conversion, times in counted.items():
            assert times <= 1 + self._resends[conversion], "P2: it counts twice"

    def _the_log_covers_it_once(self) -> None:
        """What was added since the last look; Attempts that somebody else gave an Answer leave their rows in doubt."""
        covered: dict[str, list[int]] = {"delivery.attempts": [], "delivery.outcomes": []}
        for seq, action, detail in stored.entries(self._last_entry):
            self._last_entry = seq
            covered[action] += json.loads(detail)["attempts"]
        begun = stored.begun(self._last_attempt)
        self._last_attempt = max(begun, default=self._last_attempt)
        self._unanswered |= set(begun)
        answered = stored.answered(self._unanswered)
        self._unanswered -= set(answered)
        assert sorted(covered["delivery.attempts"]) == begun, "P4: an Attempt stands not once in the log"
        assert sorted(covered["delivery.outcomes"]) == answered, "P4: an Answer stands not once in the log"
        for number in self.open.keys() & answered:
            self._now_in_doubt(self.open.pop(number))
        for number in self.looks.open.keys() & answered:
            self.looks.open.pop(number)
        assert self._unanswered == {*self.open, *self.looks.open}, "an Attempt of which nobody knows"

    def _now_in_doubt(self, rows: list[int]) -> None:
        self.doubt |= set(rows)
        self._ever_in_doubt |= set(rows)

