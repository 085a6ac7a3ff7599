"""Walking the audit log from its first entry to its end, and saying where it does not hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import connection, models

from offline_portal.audit.canonical import NO_HASH, entry_hash, moment_sql
from offline_portal.audit.groups import ATTEMPTS, OUTCOMES
from offline_portal.audit.stored import Changed, Counts, StoredGroups, counts_sql
from offline_portal.models import AuditEntry, AuditHead

_ENTRIES_AT_ONCE = 5_000


@dataclass(frozen=True)
class Verification:
    """What a walk found. `head_seq` and `head_hash` are the last entry that holds.

    `code` is empty or one of: changed, order, missing, cut_off, head_differs, outcomes_changed, not_covered.
    `first_bad` is the number of the first entry that does not hold; None when it holds, or when no single entry
    is to blame.
    """

    ok: bool
    checked: int
    first_bad: int | None
    code: str
    reason: str
    head_seq: int
    head_hash: str


class _Broken(Exception):
    def __init__(self, seq: int | None, code: str, reason: str) -> None:
        super().__init__(reason)
        self.seq, self.code, self.reason = seq, code, reason


class _End(NamedTuple):
    """The noted end of the chain, the first and the last entry there are, and what the tables hold, at one moment."""

    seq: int
    hash: str
    first: int
    last: int
    stored: Counts


def verify(
    from_seq: int = 0,
    until: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    head: Mapping[str, Any] | None = None,
) -> Verification:
    """Recompute the chain behind entry `from_seq` (which is trusted) up to entry `until`, or to its end.

    Also compares what is stored of every request, answer and outcome with the digests in the chain. `head`, an
    earlier exported end of the chain ({"seq", "hash"}), shows whether the log was rewritten since. `progress` is
    called with (entries checked, entries to check) after each few thousand. Memory does not grow with the log;
    others may go on writing meanwhile.
    """
    end = _end()
    last = end.last if until is None else min(until, end.last)
    walk = _Walk(from_seq, head)
    try:
        walk.start(end)
        for rows in chunks(from_seq, last):
            for row in rows:
                walk.step(*row)
            if progress is not None:
                progress(walk.checked, max(last - from_seq, 0))
        walk.arrive(last, until)
        if until is None:
            walk.compare_with(end, whole=from_seq == 0)
    except (_Broken, Changed) as trouble:
        return walk.result(walk.earliest(trouble))
    return walk.result(None)


class _Walk:
    """Where the walk stands: the last entry that holds."""

    def __init__(self, from_seq: int, head: Mapping[str, Any] | None) -> None:
        self.seq, self.hash = from_seq, hash_at(from_seq)
        self.checked = 0
        self.groups = StoredGroups()
        self.head_seq = int(head["seq"]) if head else None
        self.head_hash = str(head["hash"]) if head else ""

    def start(self, end: _End) -> None:
        """Nothing stands before the first entry, and the trusted one is the exported one. Raises _Broken."""
        if end.first < 1:
            raise _Broken(end.first, "order", f"Entry {end.first} stands before the first one.")
        if self.seq == self.head_seq:
            self._compare_here()

    def step(
        self, seq: int, at: str, actor: str, action: str, object: str, detail: str, previous: str, hash: str
    ) -> None:
        """One entry further. Raises _Broken or Changed."""
        if seq != self.seq + 1:
            raise _Broken(self.seq + 1, "missing", f"Entry {self.seq + 1} is missing.")
        if entry_hash(seq, at, actor, action, object, detail, previous) != hash:
            raise _Broken(seq, "changed", f"Entry {seq} was changed: its hash does not fit what it says.")
        if previous != self.hash:
            reason = f"Entry {seq} does not follow from entry {seq - 1}: one of the two was replaced."
            raise _Broken(seq, "order", reason)
        self.seq, self.hash = seq, hash
        self.checked += 1
        if seq == self.head_seq:
            self._compare_here()
        if action in (ATTEMPTS, OUTCOMES):
            self.groups.take(seq, action, detail)

    def _compare_here(self) -> None:
        if self.hash != self.head_hash:
            reason = f"Entry {self.seq} is not the one in the exported head: the log was rewritten up to there."
            raise _Broken(self.seq, "head_differs", reason)

    def arrive(self, last: int, until: int | None) -> None:
        """Every entry up to `last` was there, and the exported head has been passed. Raises _Broken or Changed."""
        if self.seq < last:
            raise _Broken(self.seq + 1, "missing", f"Entry {self.seq + 1} is missing.")
        self.groups.finish()
        if self.head_seq is not None and self.head_seq > self.seq and (until is None or until >= self.head_seq):
            reason = f"Entry {self.seq + 1} is missing: the exported head stands at entry {self.head_seq}."
            raise _Broken(self.seq + 1, "cut_off", reason)

    def compare_with(self, end: _End, whole: bool) -> None:
        """The end of the chain as it is noted, and the number of outcomes. Raises _Broken."""
        if self.seq < end.seq:
            reason = f"Entry {self.seq + 1} is missing: the log should go up to entry {end.seq}, its noted end."
            raise _Broken(self.seq + 1, "cut_off", reason)
        if self.seq > end.seq:
            reason = f"Entry {end.seq + 1} stands behind the noted end of the log."
            raise _Broken(end.seq + 1, "order", reason)
        if self.hash != end.hash:
            raise _Broken(end.seq, "changed", f"Entry {end.seq} is not the one that is noted as the end.")
        if whole and self.groups.covered != end.stored:
            reason = (
                f"The tables hold {_told(end.stored)}; the log covers {_told(self.groups.covered)}:"
                " some were added past the log."
            )
            raise _Broken(None, "not_covered", reason)

    def earliest(self, trouble: _Broken | Changed) -> _Broken:
        """Of what broke the walk and what is still to be compared, that which stands first."""
        if isinstance(trouble, _Broken):
            try:
                self.groups.finish()
            except Changed as change:
                trouble = change
        if isinstance(trouble, _Broken):
            return trouble
        return _Broken(trouble.seq, "outcomes_changed", f"Entry {trouble.seq}: {trouble}.")

    def result(self, broken: _Broken | None) -> Verification:
        if broken is None:
            return Verification(True, self.checked, None, "", "", self.seq, self.hash)
        return Verification(False, self.checked, broken.seq, broken.code, broken.reason, self.seq, self.hash)


def _end() -> _End:
    """Read in one statement, so that what others add meanwhile is either wholly in it or not at all."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT coalesce((SELECT seq FROM {_table(AuditHead)} WHERE id = 1), 0),"
            f" coalesce((SELECT hash FROM {_table(AuditHead)} WHERE id = 1), %s),"
            f" coalesce((SELECT min(seq) FROM {_table(AuditEntry)}), 1),"
            f" coalesce((SELECT max(seq) FROM {_table(AuditEntry)}), 0),"
            f" {counts_sql()}",
            [NO_HASH],
        )
        seq, hash, first, last, *stored = cursor.fetchone()
    return _End(seq, hash, first, last, Counts(*stored))


def hash_at(seq: int) -> str:
    """The stored hash of an entry; 64 zeros before the first one, and where it is missing."""
    if seq == 0:
        return NO_HASH
    return AuditEntry.objects.values_list("hash", flat=True).filter(seq=seq).first() or NO_HASH


def chunks(after: int, until: int) -> Iterator[list[tuple[Any, ...]]]:
    """Entries in order behind `after`, as `step` takes them, up to `until`.

    Some thousand at once: a read that lasts would keep SQLite's log from shrinking.
    """
    sql = (
        f"SELECT seq, {moment_sql('at')}, actor, action, object, detail, previous, hash FROM {_table(AuditEntry)}"
        " WHERE seq > %s AND seq <= %s ORDER BY seq"
    )
    for start in range(after, until, _ENTRIES_AT_ONCE):
        with connection.cursor() as cursor:
            cursor.execute(sql, [start, min(start + _ENTRIES_AT_ONCE, until)])
            rows = cursor.fetchall()
        if not rows:
            return
        yield rows


def _told(counts: Counts) -> str:
    return f"{counts.attempts} attempts, {counts.answers} answers and {counts.outcomes} outcomes"


def _table(model: type[models.Model]) -> str:
    return f'"{model._meta.db_table}"'
