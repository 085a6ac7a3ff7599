"""What an imaginary Kameleoon has stored, and how much of it shows by now.

What it shows when it is asked is the answer of the emulator's own judge, from the bytes of the request and from the
conversions that really arrived.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

from connectors.emulator.ledger import Book, Visit
from connectors.emulator.vendor import Answer, Call, Conversion
from connectors.emulator.vendors.kameleoon import Kameleoon, named

VISITS_HAVE_ENDED = {"clock_ahead": 31}
Kind = tuple[str, int, Decimal, bool]
"""Visitor, goal, revenue and whether it is taken off: all by which a stored conversion is known again."""
OF_THE_WEBSITE: dict[str, tuple[str, int, float, bool, int]] = {
    "another goal": ("v1", 361517, 5, False, 0),
    "another revenue": ("v0", 36151, 5.01, False, 0),
    "a refund": ("v0", 36151, 5, True, 0),
    "long before": ("v0", 36151, 5, False, 10),
    "long before the others": ("v2", 36151, 5, False, 10),
}
"""Conversions that the portal never sent, nearly like rows of `world.KAMELEOON`: the kind, and minutes ago."""


@dataclass(eq=False)
class Kept:
    """One stored conversion. `row`: the delivery that it came from; None where the website itself made it."""

    conversion: Conversion
    row: int | None
    shown: bool = False

    @property
    def kind(self) -> Kind:
        """By which it is known again."""
        given = self.conversion.content["data"]
        visitor = self.conversion.key["visitor"][1]
        return visitor, given["goalId"], Decimal(str(given["revenue"])), given["negative"]


class Shelf:
    """The stored conversions of one account. What has been shown once is shown each time."""

    def __init__(self) -> None:
        self._vendor = Kameleoon()
        self.kept: list[Kept] = []

    def keep(self, conversion: Conversion, row: int) -> None:
        """One of ours arrived."""
        self.kept.append(Kept(conversion, row))

    def website_sells(self, names: Iterable[str]) -> None:
        """Conversions that are not ours, by their names in `OF_THE_WEBSITE`."""
        for name in names:
            visitor, goal, revenue, negative, minutes = OF_THE_WEBSITE[name]
            sold = {"goalId": goal, "revenue": revenue, "negative": negative, "metadata": {}}
            content = {"time": int((time.time() - 60 * minutes) * 1000), "data": sold}
            self.kept.append(Kept(Conversion({"visitor": ["visitor", visitor]}, content), None, shown=True))

    def count(self, only_shown: bool = False) -> Counter[Kind]:
        """How many of ours there are of each kind."""
        return Counter(one.kind for one in self.kept if one.row is not None and (one.shown or not only_shown))

    def answer(self, call: Call, more: float) -> Answer:
        """What it shows of the visitor who is asked for, once that share of what was hidden has come to show."""
        visitor = named(dict(parse_qsl(call.query)), "mappingValue")
        mine = [one for one in self.kept if tuple(one.conversion.key["visitor"]) == visitor]
        hidden = [one for one in mine if not one.shown]
        for one in hidden[: round(len(hidden) * more + 0.1)]:
            one.shown = True
        account = self._vendor.account(call)
        self._vendor.ledger = book_of((one for one in mine if one.shown), account)
        return self._vendor.judge(call, account, VISITS_HAVE_ENDED).answer


def book_of(kept: Iterable[Kept], account: str) -> Any:
    """A ledger that holds no more than these."""
    book = Book("kameleoon", account)
    for number, one in enumerate(kept, 1):
        book.write(number, 0, one.conversion, Visit(number, 0.0, ignores_repeats=True, answered=""))
    return SimpleNamespace(book=lambda _vendor, _account: book)


def kind_of(values: Mapping[str, Any]) -> Kind:
    """The kind of the conversion that a payload would be."""
    revenue = Decimal(str(values.get("revenue") or 0))
    return values["visitor_code"], int(values["goal_id"]), revenue, bool(values.get("negative"))
