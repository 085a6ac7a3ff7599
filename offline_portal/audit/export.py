"""What an auditor takes away from the log: the entries chosen, and enough of the chain to verify them elsewhere."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain as joined
from pathlib import Path

from django.db import transaction
from django.db.models import QuerySet

from offline_portal.audit import chain, links
from offline_portal.audit.archive import Archive
from offline_portal.audit.canonical import moment
from offline_portal.models import AuditEntry

EXPORTED = "audit.exported"
HUGE_FROM = 200_000
"""Entries in the chain, or rows, from which on a member may grow past 2 GB."""
_STRANGER = Path(__file__).with_name("stranger")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_COLUMNS = ("seq", "at", "actor", "action", "object", "detail", "previous", "hash")
_AT_ONCE = 5_000


def of_log(found: QuerySet[AuditEntry], asked: Mapping[str, str], actor: str) -> Iterator[bytes]:
    """A zip with the entries `found`. That `actor` took it away, and what they asked for, is logged first."""
    with transaction.atomic():
        chain.add(actor, EXPORTED, "audit:log", dict(asked))
    last = links.head()
    found = found.filter(seq__lte=last.seq)
    first = found.order_by("seq").values_list("seq", flat=True).first() or last.seq + 1

    def choose(rows: Sequence[links.Entry]) -> set[int]:
        return set(found.filter(seq__gte=rows[0][0], seq__lte=rows[-1][0]).values_list("seq", flat=True))

    archive = Archive("audit export", huge=last.seq - first > HUGE_FROM)
    return joined(
        archive.document("head.json", last.document()),
        archive.member("chain.jsonl", links.lines(first, last, choose)),
        archive.member("entries.csv", joined(table([_COLUMNS]), table(_cells(found)))),
        closing(archive),
    )


def closing(archive: Archive) -> Iterator[bytes]:
    """What every zip ends with: how to verify it, the program that does, and the manifest."""
    for path in (_STRANGER / "README.txt", _STRANGER / "verify.py"):
        yield from archive.member(path.name, [path.read_text(encoding="utf-8")])
    yield from archive.close()


def table(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Lines of CSV (RFC 4180) that no spreadsheet takes for formulas.

    A cell that begins like one gets an apostrophe in front; README.txt says so.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for row in rows:
        writer.writerow([_harmless(str("" if cell is None else cell)) for cell in row])
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _cells(found: QuerySet[AuditEntry]) -> Iterator[Sequence[object]]:
    reached = 0
    while page := list(found.filter(seq__gt=reached).order_by("seq")[:_AT_ONCE]):
        for entry in page:
            yield [
                entry.seq, moment(entry.at), entry.actor, entry.action, entry.object, entry.detail, entry.previous,
                entry.hash,
            ]  # fmt: skip
        reached = page[-1].seq
