"""The promises of docs/reliability.md, looked at in the database beside what really happened.

Whoever plays tells what was begun, how it ended and what people decided; `Promises` keeps its own account of that, and
compares. P1: no row is lost. P2: none counts twice. P3: no guess is shown as a fact. P4: the log covers everything.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence

from offline_portal.models import Answer, Attempt, AuditEntry, AuditHead, Delivery, Send
from tests.delivery.imaginary import LOST, ImaginaryVendor

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
        self._first_attempt = Attempt.objects.order_by("pk").values_list("pk", flat=True).last() or 0
        self._ever_in_doubt: set[int] = set()
        self._said_yes: set[int] = set()
        self._decided: set[int] = set()
        """Rows about which a person decided since the last look."""
        self._resends: Counter[tuple[int, int]] = Counter()
        self._wire_keys: dict[int, str | None] = {}

    def landed(self, destination: int, attempt: int, how: str) -> None:
        """The Answer of an Attempt was written by the worker that began it."""
        rows = self.open.pop(attempt)
        if how in LOST:
            self._now_in_doubt(rows)
        elif how == "alike":
            self._said_yes |= set(rows)
        elif how == "taken":
            self._said_yes |= {row for row in rows if row in self.vendors[destination].good}

    def a_person_decided(self, delivery: Delivery, again: bool) -> None:
        """About an unknown row; `again`: that it is sent once more."""
        self._decided.add(delivery.pk)
        if again:
            self.doubt.discard(delivery.pk)
            self._resends[delivery.send.destination_id, delivery.line] += 1

    def are_kept(self) -> None:
        """Look at everything."""
        self._see_who_was_written_off()
        rows = list(Delivery.objects.filter(send__in=self.sends, status__isnull=False).select_related("send"))
        self._counts_are_right(rows)
        for row in rows:
            self._went_on_as_it_may(row)
            self._is_what_it_says(row)
        self._nothing_counts_twice(rows)
        self._the_log_covers_it_once()
        self._decided.clear()

    def _see_who_was_written_off(self) -> None:
        """Attempts that somebody else gave an Answer: from then on their rows are in doubt."""
        for number in Answer.objects.filter(attempt__in=list(self.open)).values_list("attempt_id", flat=True):
            self._now_in_doubt(self.open.pop(number))

    def _counts_are_right(self, rows: list[Delivery]) -> None:
        stored = {pk: Counter() for pk in self.sends}
        for row in rows:
            stored[row.send_id][row.status] += 1
        for send in Send.objects.filter(pk__in=self.sends):
            counted = {status: getattr(send, status) for status in Delivery.Status.values}
            assert counted == {status: stored[send.pk][status] for status in counted}, "P1: the counters are wrong"
            assert sum(counted.values()) == send.ready, "P1: a row is lost"
        begun = sorted(row for ids in self.open.values() for row in ids)
        assert begun == sorted(row.pk for row in rows if row.status == "sending"), "on the wire is what was begun"

    def _went_on_as_it_may(self, row: Delivery) -> None:
        before = self.statuses.get(row.pk, row.status)
        if before != row.status:
            assert row.status in MAY_FOLLOW[before], f"{before} became {row.status}"
            assert before != "unknown" or row.pk in self._decided, "P3: unknown until a person decides"
        self.statuses[row.pk] = row.status
        assert self._wire_keys.setdefault(row.pk, row.wire_key) == row.wire_key, "P2: the wire key is another one"

    def _is_what_it_says(self, row: Delivery) -> None:
        vendor = self.vendors[row.send.destination_id]
        assert len(vendor.names[row.pk]) <= 1, "P2: it arrived under two names"
        if row.status == "accepted":
            word_given = row.resolved == "accepted" and row.evidence == "stated"
            assert row.pk in self._said_yes or word_given, "P3: nobody said that it was accepted"
        if row.status in ("failed", "cancelled"):
            assert row.pk not in self._ever_in_doubt, f"P3: {row.status}, but it may have arrived"
        if row.status in ("failed", "cancelled", "rejected"):
            assert vendor.took[row.pk] == 0, f"P3: {row.status}, but the vendor has it"

    def _nothing_counts_twice(self, rows: list[Delivery]) -> None:
        counted: Counter[tuple[int, int]] = Counter()
        for row in rows:
            counted[row.send.destination_id, row.line] += self.vendors[row.send.destination_id].took[row.pk]
        for conversion, times in counted.items():
            assert times <= 1 + self._resends[conversion], "P2: it counts twice"

    def _the_log_covers_it_once(self) -> None:
        covered: dict[str, list[int]] = {"delivery.attempts": [], "delivery.outcomes": []}
        entries = AuditEntry.objects.filter(seq__gt=self.first_entry, action__in=covered).order_by("seq")
        for action, detail in entries.values_list("action", "detail"):
            covered[action] += json.loads(detail)["attempts"]
        attempts = Attempt.objects.filter(pk__gt=self._first_attempt).order_by("pk").values_list("pk", flat=True)
        answers = Answer.objects.filter(attempt__gt=self._first_attempt).order_by("pk").values_list("pk", flat=True)
        assert sorted(covered["delivery.attempts"]) == list(attempts), "P4: an Attempt stands not once in the log"
        assert sorted(covered["delivery.outcomes"]) == list(answers), "P4: an Answer stands not once in the log"
        assert set(attempts) - set(answers) == set(self.open)

    def _now_in_doubt(self, rows: list[int]) -> None:
        self.doubt |= set(rows)
        self._ever_in_doubt |= set(rows)
