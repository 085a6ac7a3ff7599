"""What the imitated vendors have stored, kept in memory, compact and bounded; the counts stay exact."""

import marshal
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime
from heapq import merge
from itertools import islice
from operator import itemgetter
from typing import Any, NamedTuple

from connectors.emulator.vendor import Conversion

BLOCK = 1000
FIELDS = (
    "seq", "at", "request", "position", "vendor", "account", "key", "content", "verdict", "reason",
    "repeat_of", "notes", "receipt", "answered",
)  # fmt: skip
VERDICT_COUNTS = {
    "effective": "effective",
    "duplicate": "duplicates",
    "dropped": "dropped",
    "rejected": "rejected",
}
COUNTS = ("requests", "faulted", "refused", "received", *VERDICT_COUNTS.values(), "repeated")


def pack(entries: list[tuple[Any, ...]]) -> bytes:
    """Entries made small: about a tenth of their size."""
    return zlib.compress(marshal.dumps(entries), 1)


def unpack(packed: bytes) -> list[tuple[Any, ...]]:
    """What `pack` made small."""
    entries: list[tuple[Any, ...]] = marshal.loads(zlib.decompress(packed))  # noqa: S302  (our own bytes)
    return entries


class Visit(NamedTuple):
    """What all conversions of one request share."""

    number: int
    at: float  # seconds since 1970, UTC
    ignores_repeats: bool
    answered: str  # what the client got to see


class Book:
    """Everything one account of one vendor has received."""

    def __init__(self, vendor: str, account: str) -> None:
        self.vendor = vendor
        self.account = account
        self.counts: dict[str, int] = dict.fromkeys(COUNTS, 0)
        self._tail: list[tuple[Any, ...]] = []
        self._blocks: list[tuple[int, bytes]] = []  # last seq of the block, its entries compressed
        self._first_seen: dict[int, int] = {}  # digest of an identity -> seq

    def write(self, seq: int, position: int, found: Conversion, visit: Visit) -> None:
        """Store one conversion: settle whether it repeats another one, count it, keep it."""
        repeat_of = self._settle(seq, found) if found.verdict == "effective" else None
        verdict = "duplicate" if repeat_of is not None and visit.ignores_repeats else found.verdict
        counts = self.counts
        counts["received"] += 1
        counts[VERDICT_COUNTS[verdict]] += 1
        if repeat_of is not None:
            counts["repeated"] += 1
        self._tail.append((
            seq, visit.at, visit.number, position, self.vendor, self.account, found.key, found.content,
            verdict, found.reason, repeat_of, found.notes, found.receipt, visit.answered,
        ))  # fmt: skip
        if len(self._tail) >= BLOCK:
            self._blocks.append((seq, pack(self._tail)))
            self._tail = []

    def _settle(self, seq: int, found: Conversion) -> int | None:
        """The seq this conversion repeats, or None; it is remembered either way."""
        if found.identity is None:
            return None
        first = self._first_seen.setdefault(hash(found.identity), seq)
        return first if first != seq else None

    def entries(self, after: int = 0) -> Iterator[tuple[Any, ...]]:
        """The kept entries with a seq above `after`, in order."""
        start = bisect_right(self._blocks, after, key=lambda block: block[0])
        for _, packed in self._blocks[start:]:
            yield from (entry for entry in unpack(packed) if entry[0] > after)
        yield from (entry for entry in self._tail if entry[0] > after)

    def last(self, limit: int) -> list[tuple[Any, ...]]:
        """The newest entries, newest first."""
        newest = self._tail[::-1][:limit]
        for _, packed in reversed(self._blocks):
            if len(newest) >= limit:
                break
            newest += unpack(packed)[::-1]
        return newest[:limit]

    @property
    def kept(self) -> int:
        """How many entries can still be read."""
        return len(self._blocks) * BLOCK + len(self._tail)

    @property
    def oldest_block(self) -> int | None:
        """The last seq of the oldest full block, None if there is none."""
        return self._blocks[0][0] if self._blocks else None

    def forget_oldest_block(self) -> None:
        """Drop the oldest full block; counts and known identities stay."""
        self._blocks.pop(0)


class Ledger:
    """The books of all vendors and accounts under one running number."""

    def __init__(self, keep: int = 2_000_000) -> None:
        self._keep = max(keep, BLOCK)
        self.books: dict[tuple[str, str], Book] = {}
        self._seq = 0
        self._kept = 0
        self._requests = 0

    def book(self, vendor: str, account: str) -> Book:
        """The book of one account, opened if it is new."""
        found = self.books.get((vendor, account))
        if found is None:
            found = self.books[vendor, account] = Book(vendor, account)
        return found

    def arrived(self, book: Book) -> int:
        """Count a request and give its number among all since the start or the last clearing."""
        self._requests += 1
        book.counts["requests"] += 1
        return self._requests

    def store(self, book: Book, conversions: list[Conversion], visit: Visit) -> None:
        """Write the conversions of one request."""
        for position, found in enumerate(conversions):
            self._seq += 1
            book.write(self._seq, position, found, visit)
        self._kept += len(conversions)
        if self._kept > self._keep + BLOCK:
            self._forget()

    def _forget(self) -> None:
        full = [book for book in self.books.values() if book.oldest_block is not None]
        if full:
            min(full, key=lambda book: book.oldest_block or 0).forget_oldest_block()
            self._kept -= BLOCK

    def clear(self, vendor: str | None = None, account: str | None = None) -> None:
        """Empty all books, those of a vendor, or one; running numbers go on where anything is left."""
        for key in [k for k in self.books if vendor in (None, k[0]) and account in (None, k[1])]:
            del self.books[key]
        if not self.books:
            self._seq = self._kept = self._requests = 0
        else:
            self._kept = sum(book.kept for book in self.books.values())

    def _selected(self, vendor: str | None, account: str | None) -> list[Book]:
        return [
            book for key, book in sorted(self.books.items()) if vendor in (None, key[0]) and account in (None, key[1])
        ]

    def page(self, vendor: str | None, account: str | None, after: int, limit: int) -> dict[str, Any]:
        """Up to `limit` entries with a seq above `after`, oldest first, and the counts of the same choice."""
        books = self._selected(vendor, account)
        found = list(islice(merge(*(book.entries(after) for book in books), key=itemgetter(0)), limit + 1))
        return {
            "items": [as_item(entry) for entry in found[:limit]],
            "next": found[limit - 1][0] if len(found) > limit else None,
            "counts": summed(books),
        }

    def last(self, limit: int, vendor: str | None = None, account: str | None = None) -> list[dict[str, Any]]:
        """The newest entries, newest first."""
        newest = [entry for book in self._selected(vendor, account) for entry in book.last(limit)]
        return [as_item(entry) for entry in sorted(newest, key=itemgetter(0), reverse=True)[:limit]]

    def counts(self, vendor: str | None = None, account: str | None = None) -> dict[str, Any]:
        """The counts of every account chosen, as `items`, and their sum, as `total`."""
        books = self._selected(vendor, account)
        items = [{"vendor": book.vendor, "account": book.account, **book.counts} for book in books]
        return {"items": items, "total": summed(books)}


def summed(books: list[Book]) -> dict[str, int]:
    """The counts of several books together."""
    return {name: sum(book.counts[name] for book in books) for name in COUNTS}


def as_item(entry: tuple[Any, ...]) -> dict[str, Any]:
    """An entry as JSON, its time in ISO 8601 UTC."""
    item = dict(zip(FIELDS, entry, strict=True))
    received = datetime.fromtimestamp(item["at"], UTC)
    item["at"] = received.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return item
