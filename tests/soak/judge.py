"""The four counts after a run: rows of the files, states of the portal, the audit log, the vendor's ledger."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from django.db.models import Count

from connectors.emulator.testing import Emulator
from offline_portal.audit import chain
from offline_portal.audit.groups import ATTEMPTS, OUTCOMES
from offline_portal.models import Answer, Attempt, AuditEntry, Delivery, Outcome, Row, Send, Upload
from tests.soak import judge_looks
from tests.soak.vendors import TOKEN, Vendor, token

VERDICTS = ("unchecked", "ready", "problem", "duplicate", "excluded")
STATUSES = ("queued", "sending", "accepted", "rejected", "unknown", "failed", "cancelled")
NOTHING_LEFT = ("never_sent", "blocked", "held_up")
"""Codes of outcomes of which the portal says: surely nothing left."""
NOTHING_THERE = {None, "rejected", "failed", "cancelled"}
"""Statuses that say: the vendor did not take it."""


@dataclass
class Tally:
    """What one destination's counts are, and where they disagree."""

    vendor: Vendor
    numbers: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)


@dataclass
class _Row:
    """One row of a file: its deliveries' statuses, and what was tried."""

    statuses: set[str | None] = field(default_factory=set)
    """`shown` instead of `accepted`, where only a look has found it."""
    ids: list[int] = field(default_factory=list)
    resends: int = 0
    stored: int = 0


def judge(made: Mapping[str, tuple[Vendor, int]], emulator: Emulator) -> tuple[list[Tally], list[str]]:
    """Compare everything that the database at hand holds; the tallies, and complaints about the log as a whole.

    `made`: by file name, whose file it is and which number it has.
    """
    tallies = {vendor.name: Tally(vendor) for vendor, _number in made.values()}
    for send in Send.objects.select_related("upload", "destination").order_by("pk"):
        tally = tallies[send.destination.name]  # type: ignore[union-attr]
        tally.numbers["sends"] += 1
        tally.complaints += _of_the_send(send, made[send.upload.filename][0].rows, tally.numbers)
    wire = _Wire()
    for tally in tallies.values():
        _compare_with_the_ledger(tally, emulator)
        wire.add_to(tally)
    return list(tallies.values()), _of_the_log()


def _of_the_send(send: Send, rows: int, numbers: Counter[str]) -> Iterator[str]:
    """Counts 1 and 2: the rows of the file, the counters, and the deliveries themselves."""
    stored = Row.objects.filter(upload=send.upload).count()
    numbers.update({"rows of files": rows, "in the portal": send.total})
    if not rows == stored == send.upload.rows == send.total:
        yield f"Send {send.pk}: {rows} rows in its file, {send.upload.rows} read, {stored} stored, {send.total} counted"
    found = Delivery.objects.filter(send=send, generation=send.generation)
    verdicts = dict(found.values_list("verdict").annotate(Count("pk")))
    statuses = dict(found.exclude(status=None).values_list("status").annotate(Count("pk")))
    for names, counted in ((VERDICTS, verdicts), (STATUSES, statuses)):
        for name in names:
            told = getattr(send, name)
            numbers[name] += counted.get(name, 0)
            if told != counted.get(name, 0):
                yield f"Send {send.pk}: its counter says {told} {name}, of its deliveries {counted.get(name, 0)} are"
    if send.total != sum(verdicts.values()) or (statuses and send.ready != sum(statuses.values())):
        yield f"Send {send.pk}: {send.total} rows, {verdicts}, {statuses}"
    if send.queued or send.sending or send.status not in (Send.Status.FINISHED, Send.Status.CANCELLED):
        yield f"Send {send.pk} is {send.status} with {send.queued} rows queued and {send.sending} sending"


class _Wire:
    """Every attempt, its rows, and what came of it. Looks are attempts, too, but no tries of a row."""

    def __init__(self) -> None:
        answers = {pk: (status, error) for pk, status, error in Answer.objects.values_list("pk", "status", "error")}
        codes = dict(Outcome.objects.values_list("attempt", "code"))
        self.status = dict(Delivery.objects.exclude(batch=None).values_list("pk", "status"))
        self.known = set(Delivery.objects.filter(evidence__in=("stated", "confirmed")).values_list("pk", flat=True))
        self.last: dict[int, int] = {}
        self.numbers: dict[str, Counter[str]] = defaultdict(Counter)
        self.complaints: dict[str, list[str]] = defaultdict(list)
        fields = ("pk", "deliveries", "batch__destination__name", "readback")
        unanswered = []
        for attempt, text, name, is_look in Attempt.objects.order_by("pk").values_list(*fields).iterator():
            status, error = answers.get(attempt, (None, "missing"))
            if attempt not in answers:
                self.complaints[name].append(f"Attempt {attempt} was never brought to an end")
            if is_look:
                self.numbers[name]["looks"] += 1
                continue
            ids = json.loads(text)
            self.last.update(dict.fromkeys(ids, attempt))
            self.numbers[name].update({"attempts": 1, "without an answer": status is None})
            if attempt in answers and status is None and codes.get(attempt) not in NOTHING_LEFT:
                unanswered.append((attempt, ids, name, error))
        for attempt, ids, name, error in unanswered:
            self.complaints[name] += self._of_the_unanswered(attempt, ids, error)

    def _of_the_unanswered(self, attempt: int, ids: list[int], error: str) -> Iterator[str]:
        """Without an answer a row is unknown, or was sent again, or a person or the vendor itself said that it came."""
        for pk in ids:
            repeated = self.last[pk] > attempt
            if not repeated and self.status[pk] != "unknown" and pk not in self.known:
                yield f"Attempt {attempt} has no answer ({error}), but delivery {pk} is {self.status[pk]}"

    def add_to(self, tally: Tally) -> None:
        tally.numbers.update(self.numbers[tally.vendor.name])
        tally.complaints += self.complaints[tally.vendor.name]


def _compare_with_the_ledger(tally: Tally, emulator: Emulator) -> None:
    """Count 4: what the vendor holds of each row."""
    vendor, rows = tally.vendor, _rows_of(tally.vendor)
    entries = emulator.effective(vendor.connector, vendor.account)
    for entry in entries:
        rows[token(entry)].stored += 1
    tally.numbers["at the vendor"] = sum(row.stored for row in rows.values())
    for word, row in sorted(rows.items()):
        tally.complaints += _of_the_row(vendor, word, row)
    if vendor.shows:
        tally.complaints += judge_looks.of_the_destination(vendor.name, entries, tally.numbers)


def _rows_of(vendor: Vendor) -> dict[str, _Row]:
    resent = Counter(
        int(object_.removeprefix("delivery:"))
        for object_, detail in AuditEntry.objects.filter(action="delivery.resolved").values_list("object", "detail")
        if json.loads(detail)["as"] == "resend"
    )
    rows: dict[str, _Row] = defaultdict(_Row)
    shown = judge_looks.accepted_by_looks_alone(vendor.name) if vendor.shows else set()
    found = Delivery.objects.filter(send__destination__name=vendor.name).values_list("pk", "payload", "status")
    for pk, payload, status in found.iterator():
        row = rows[TOKEN.search(payload or "")[0]]  # type: ignore[index]
        row.ids.append(pk)
        row.statuses.add("shown" if pk in shown else status)
        row.resends += resent[pk]
    return rows


def _of_the_row(vendor: Vendor, word: str, row: _Row) -> Iterator[str]:
    name = f"Row {word} ({', '.join(map(str, sorted(row.statuses, key=str)))}; deliveries {row.ids})"
    most = 1 if vendor.has_key else 1 + row.resends
    if not row.ids:
        yield f"Row {word} is at the vendor, but nobody sent it"
    elif row.stored > most:
        yield f"{name} counts {row.stored} times at the vendor"
    elif "accepted" in row.statuses and not row.stored:
        yield f"{name} is not at the vendor"
    elif row.statuses <= NOTHING_THERE and row.stored:
        yield f"{name} is at the vendor all the same"


def _of_the_log() -> list[str]:
    """Count 3: every attempt, and what came of it, is covered by exactly one entry, and the chain holds."""
    complaints = []
    found = chain.verify()
    if not found.ok:
        complaints.append(f"The audit log does not hold: {found.reason}")
    ended = dict(Outcome.objects.values_list("attempt").annotate(Count("pk")))
    stored = {ATTEMPTS: set(Attempt.objects.values_list("pk", flat=True)), OUTCOMES: set(ended)}
    stored[OUTCOMES] |= set(Answer.objects.values_list("pk", flat=True))
    for action, wanted in stored.items():
        covered: Counter[int] = Counter()
        for detail in AuditEntry.objects.filter(action=action).values_list("detail", flat=True).iterator():
            covered.update(json.loads(detail)["attempts"])
        wrong = [pk for pk in wanted | set(covered) if covered[pk] != 1 or pk not in wanted]
        complaints += [f"Attempt {pk} stands in {covered[pk]} entries {action}" for pk in sorted(wrong)]
    return complaints


def of_the_web(by_web: Collection[str], decided: Mapping[str, bool]) -> list[str]:
    """What was asked of the web server was done once, however often it was killed meanwhile.

    `by_web`: names of files that somebody brought there; `decided`: reasons of decisions, and whether it said yes.
    """
    complaints = []
    for name in sorted(by_web):
        found = {"uploads": Upload.objects.filter(filename=name), "sends": Send.objects.filter(upload__filename=name)}
        counts = {what: things.count() for what, things in found.items()}
        if set(counts.values()) != {1}:
            complaints.append(f"{name} was brought to the web server once and became {counts}")
    decisions = AuditEntry.objects.filter(action__in=("delivery.resolved", "send.retried"))
    made = Counter(json.loads(detail)["reason"] for detail in decisions.values_list("detail", flat=True))
    for reason, yes in decided.items():
        if made[reason] != yes:
            complaints.append(f"“{reason}” was answered {'yes' if yes else 'no'}, and made {made[reason]} times")
    return complaints


COLUMNS = (
    "sends", "rows of files", "in the portal", "accepted", "rejected", "unknown", "failed", "cancelled", "attempts",
    "without an answer", "at the vendor", "confirmed", "looks",
)  # fmt: skip


def table(tallies: list[Tally]) -> str:
    """The counts of each destination, as a table of Markdown."""
    lines = [["destination", "repeats", *COLUMNS, "disagree"]]
    for tally in tallies:
        repeats = "count once" if tally.vendor.has_key else "count twice"
        lines.append([
            tally.vendor.name, repeats, *(f"{tally.numbers[name]:,}" for name in COLUMNS), str(len(tally.complaints))
        ])  # fmt: skip
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
