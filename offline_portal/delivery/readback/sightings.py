"""Which conversion that a vendor shows belongs to which row. Pure: no database, no network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from connectors.base import Stored

EARLIEST = timedelta(minutes=5)
"""So long before we sent it a conversion may have been received by the vendor's clock, and still be ours."""


class Wanted(NamedTuple):
    """A row that is looked for: what the vendor would show of it, and when it was first sent."""

    row: int
    likeness: Hashable
    since: datetime
    unknown: bool = False


def pair(wanted: Iterable[Wanted], shown: Iterable[Stored], taken: Collection[str]) -> dict[int, Stored]:
    """{row: the conversion that it gets}: each conversion for one row at most, those named in `taken` for none.

    An unknown row gets only what no accepted one could have left there. Otherwise the row that was sent last, which
    has the fewest to choose from, is the first to choose; each takes the earliest that may be it, so that as many as
    possible get one.
    """
    free: dict[Hashable, list[Stored]] = defaultdict(list)
    for one in sorted(shown, key=lambda one: (one.at, one.name)):
        if one.name not in taken:
            free[one.likeness].append(one)
    found: dict[int, Stored] = {}
    for row in sorted(wanted, key=lambda row: (not row.unknown, row.since, row.row), reverse=True):
        fitting = [one for one in free[row.likeness] if one.at >= row.since - EARLIEST]
        if fitting:
            found[row.row] = fitting[0]
            free[row.likeness].remove(fitting[0])
    return found
