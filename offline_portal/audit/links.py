"""The chain as it is given away: whole entries, and of those between them no more than their digests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from django.utils import timezone

from offline_portal.audit.canonical import NO_HASH, canonical, entry_digest, moment
from offline_portal.audit.signing import signed
from offline_portal.audit.verification import chunks, hash_at
from offline_portal.models import AuditHead

Entry = tuple[Any, ...]
"""seq, at (text), actor, action, object, detail (JSON), previous, hash."""
Choose = Callable[[Sequence[Entry]], set[int]]
"""Which of some entries that follow one another are given away whole, by their numbers."""


class Head(NamedTuple):
    """The end of the chain at one moment."""

    seq: int
    hash: str

    def document(self) -> dict[str, Any]:
        """It as a signed document."""
        at = moment(timezone.now())
        return signed({"format": "offline-portal head 1", "seq": self.seq, "hash": self.hash, "at": at})


def head() -> Head:
    """The end of the chain now."""
    found = AuditHead.objects.filter(pk=1).values_list("seq", "hash").first()
    return Head(*(found or (0, NO_HASH)))


def lines(first: int, last: Head, choose: Choose) -> Iterator[str]:
    """The chain from entry `first` to `last`, an entry a line; the first line says what stands before it."""
    yield canonical({"after": first - 1, "hash": hash_at(first - 1)}) + "\n"
    for rows in chunks(first - 1, last.seq):
        wanted = choose(rows)
        for row in rows:
            yield (whole(row) if row[0] in wanted else f'"{entry_digest(*row[:6])}"') + "\n"


def whole(row: Entry) -> str:
    """An entry as JSON."""
    seq, at, actor, action, object, detail, previous, hash = row
    try:
        said = json.loads(detail)
    except ValueError:  # somebody tampered with it; whoever verifies shall see it
        said = detail
    return canonical({
        "seq": seq, "at": at, "actor": actor, "action": action, "object": object, "detail": said,
        "previous": previous, "hash": hash,
    })  # fmt: skip
