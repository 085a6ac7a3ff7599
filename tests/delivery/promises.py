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
from tests.delivery.promises_readback import LookPromises

MAY_FOLLOW = {
    "queued": {"sending", "cancelled", "unknown"},
    "sending": {"queued", "accepted", "rejected", "unknown", "failed"},
    "rejected": {"queued"}, "failed": {"queued"}, "unknown": {"queued", "accepted"},
    "accepted": set(), "cancelled": set(),
}  # fmt: skip
"""What may become of a row in one step."""
LOOKED_AT = (
    "send_id", "line", "status", "resolved", "evidence", "wire_key", "attempt_count", "readback__state",
    "readback__sighting",
)  # fmt: skip
"""What is read of each row, and of its Readback."""
Conversion = tuple[int, int, int]
"""Destination, Upload and line."""


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
        self.seen_sends: dict[int, Send] = {}
        """As they were at the last look."""
        self._resends: Counter[Conversion] = Counter()
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
            self._resends[conversion_of(delivery)] += 1

    def rows(self) -> list[Delivery]:
        """All that were queued, as they are now, each with its Send and its Readback."""
        self.seen_sends = Send.objects.in_bulk(self.sends)
        rows = Delivery.objects.filter(send__in=self.sends, status__isnull=False)
        found = list(rows.select_related("readback").only(*LOOKED_AT))
        for row in found:
            row.send = self.seen_sends[row.send_id]
        return found

    def are_kept(self) -> None:
        """Look at everything."""
        self._the_log_covers_it_once()
        rows = self.rows()
        self._counts_are_right(rows)
        for row in rows:
            self._went_on_as_it_may(row)
            self._is_what_it_says(row)
        self._nothing_counts_twice(rows)
        self.looks.are_kept(rows, self.seen_sends.values())
        self._decided.clear()

    def _counts_are_right(self, rows: list[Delivery]) -> None:
        stored = {pk: Counter() for pk in self.sends}
        for row in rows:
            stored[row.send_id][row.status] += 1
        for send in self.seen_sends.values():
            counted = {status: getattr(send, status) for status in Delivery.Status.values}
            assert counted == {status: stored[send.pk][status] for status in counted}, "P1: the counters are wrong"
            assert sum(counted.values()) == send.ready, "P1: a row is lost"
        begun = sorted(row for ids in self.open.values() for row in ids)
        assert begun == sorted(row.pk for row in rows if row.status == "sending"), "on the wire is what was begun"

    def _went_on_as_it_may(self, row: Delivery) -> None:
        before = self.statuses.get(row.pk, row.status)
        if before != row.status:
            assert row.status in MAY_FOLLOW[before], f"{before} became {row.status}"
            assert before != "unknown" or row.pk in self._decided or row.evidence == "confirmed", (
                "P3: unknown until a person decides, or the vendor shows it"
            )
        self.statuses[row.pk] = row.status
        assert self._wire_keys.setdefault(row.pk, row.wire_key) == row.wire_key, "P2: the wire key is another one"

    def _is_what_it_says(self, row: Delivery) -> None:
        vendor = self.vendors[row.send.destination_id]
        assert len(vendor.names[row.pk]) <= 1, "P2: it arrived under two names"
        if row.status == "accepted":
            word_given = row.resolved == "accepted" and row.evidence == "stated"
            shown = row.evidence == "confirmed"
            assert row.pk in self._said_yes or word_given or shown, "P3: nobody said that it was accepted"
        if row.status in ("failed", "cancelled"):
            assert row.pk not in self._ever_in_doubt, f"P3: {row.status}, but it may have arrived"
        if row.status in ("failed", "cancelled", "rejected"):
            assert vendor.took[row.pk] == 0, f"P3: {row.status}, but the vendor has it"

    def _nothing_counts_twice(self, rows: list[Delivery]) -> None:
        counted: Counter[Conversion] = Counter()
        for row in rows:
            counted[conversion_of(row)] += self.vendors[row.send.destination_id].took[row.pk]
        for conversion, times in counted.items():
            assert times <= 1 + self._resends[conversion], "P2: it counts twice"

    def _the_log_covers_it_once(self) -> None:
        """What was added since the last look; Attempts that somebody else gave an Answer leave their rows in doubt."""
        covered: dict[str, list[int]] = {"delivery.attempts": [], "delivery.outcomes": []}
        entries = AuditEntry.objects.filter(seq__gt=self._last_entry, action__in=covered).order_by("seq")
        for self._last_entry, action, detail in entries.values_list("seq", "action", "detail"):
            covered[action] += json.loads(detail)["attempts"]
        begun = list(Attempt.objects.filter(pk__gt=self._last_attempt).order_by("pk").values_list("pk", flat=True))
        self._last_attempt = max(begun, default=self._last_attempt)
        self._unanswered |= set(begun)
        answers = Answer.objects.filter(attempt__in=self._unanswered).order_by("pk")
        answered = list(answers.values_list("pk", flat=True))
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


def conversion_of(row: Delivery) -> Conversion:
    """What must count once, in whichever Send it goes."""
    return row.send.destination_id, row.send.upload_id, row.line
