"""Imaginary vendors and workers: what an answer would be, and what a worker remembers of its claim.

A vendor here is judged by the emulator's own judge, from the bytes of the request alone, and remembers what it took.
A worker does between two transactions what `delivery.send.Courier` does, as slowly and as badly as a test wants.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.utils import timezone

from connectors.base import NeverSent, NoAnswer, Payload, Request, Response
from connectors.emulator.vendor import Answer, Call, Conversion, Judgement
from connectors.emulator.vendors import discover
from offline_portal.delivery.hold import Hold, QueuedRow
from offline_portal.delivery.verdict import Judge
from offline_portal.delivery.writing import Book, Parcel
from tests.delivery.shelf import Shelf

STORED = ("taken", "lost_after", "garbage_after", "error_after")
"""Ways in which a request ends that leave its good rows at the vendor."""
LOST = ("lost_after", "lost_before", "garbage_after", "garbage_before", "error_after", "error_before")
"""Ways in which a worker is left in doubt."""
ALIKE = ("kissmetrics", "kameleoon")
"""Vendors that document no answer: whatever they say with 200 is a yes, worth no more than `delivered`."""
ENDS = (*STORED, *LOST[1::2], "never_sent", "held_up", "wait", "forbidden", "refused")
"""All ways. The first one is what examples shrink to."""


class ImaginaryVendor:
    """One account at one vendor: what really arrived there, by what stood on the wire."""

    def __init__(self, slug: str, refused: Iterable[str] = ()) -> None:
        """`refused`: texts by which the vendor knows a bad row; it refuses such a row each time."""
        self._vendor, self._refused = discover()[slug], tuple(refused)
        self._known: set[tuple[Any, ...]] = set()
        self.took: Counter[int] = Counter()
        """How often a delivery counted there, by its id."""
        self.names: dict[int, set[tuple[Any, ...]]] = defaultdict(set)
        """Under which identities a delivery arrived; more than one would count twice."""
        self.good: set[int] = set()
        """Deliveries that it says yes to."""
        self.shelf = Shelf() if slug == "kameleoon" else None
        """What it can be asked about."""

    def receive(self, parcel: Parcel, store: bool) -> Response:
        """The answer of a vendor in good health; with `store` what is good in the request counts from now on."""
        judged = self._judge(parcel.request)
        if store and len(judged.conversions) == len(parcel.rows):
            for row, conversion in zip(parcel.rows, judged.conversions, strict=True):
                if conversion.verdict == "effective":
                    self.good.add(row.id)
                    self._take(row.id, conversion)
        return response(judged.answer)

    def show(self, request: Request, more: float) -> Response:
        """The answer to a look, once that share of what it did not show so far has come to show."""
        assert self.shelf is not None, "it cannot be asked what it has stored"
        return response(self.shelf.answer(call_of(request), more))

    def refuse(self, status: int, headers: dict[str, str] | None = None) -> Response:
        """An answer that stores nothing."""
        answer = self._vendor.refusal(status)
        answer.headers.update(headers or {})
        return response(answer)

    def _take(self, delivery: int, conversion: Conversion) -> None:
        identity = conversion.identity
        if identity is not None and self._vendor.ignores_repeats:
            self.names[delivery].add(identity)
            if identity in self._known:
                return
            self._known.add(identity)
        self.took[delivery] += 1
        if self.shelf is not None:
            self.shelf.keep(conversion, delivery)

    def _judge(self, request: Request) -> Judgement:
        call = call_of(request)
        options = {"refuse_ids": ",".join(self._refused)}
        judged = self._vendor.judge(call, self._vendor.account(call), options)
        if self._vendor.slug == "qubit":
            self._refuse_events(judged)
        return judged

    def _refuse_events(self, judged: Judgement) -> None:
        """Qubit's judge has no word for a bad row of its own."""
        results = json.loads(judged.answer.body).get("results", [])
        for place, conversion in enumerate(judged.conversions):
            if conversion.key["transaction_id"] in self._refused:
                conversion.verdict = "rejected"
                results[place] = {"status": "failed", "error": "Event could not be ingested"}
        if results:
            judged.answer.body = json.dumps({"results": results}).encode()


def call_of(request: Request) -> Call:
    """A request as the vendor gets it."""
    parts = urlsplit(request.url)
    headers = {"User-Agent": "offline-portal/1.0", **request.headers}
    return Call(request.method, parts.path.removeprefix("/vendor"), parts.query, headers, request.body, time.time())


def response(answer: Answer) -> Response:
    """As the door to the network gives it."""
    return Response(answer.status, {"Content-Type": answer.content_type, **answer.headers}, answer.body)


@dataclass(eq=False)
class Carrying:
    """What one worker remembers of one claimed Batch."""

    hold: Hold
    pending: list[list[QueuedRow]]
    begun: list[Parcel] = field(default_factory=list)
    """Attempts that are stored, and whose bytes have not left."""
    landed: list[Parcel] = field(default_factory=list)
    """Requests that came to an end which is not stored yet."""
    ends: dict[int, str] = field(default_factory=dict)
    """How each of its Attempts ended."""
    lapsed: bool = False
    """Its lease ran out: no byte leaves any more (`delivery.send.STALE_AFTER` is far below a lease)."""
    before: Carrying | None = None
    """The Batch after which this one's turn comes."""
    draining: bool = False
    drained: bool = False
    """As in `delivery.send.Courier`: the next Batch may be claimed; it may be begun."""
    again: bool = False
    settled: bool = False
    halted: bool = False
    book: Book = field(init=False)

    def __post_init__(self) -> None:
        self.book = Book(self.hold)

    @property
    def waits(self) -> bool:
        """Whether another Batch comes first."""
        return self.before is not None and not self.before.drained

    def make_room(self) -> None:
        """For the next Batch, as `Courier` does, however much is left of this one."""
        if self.settled and not self.again:
            self.draining, self.drained = True, self.drained or not self.pending

    def next_parcels(self, most: int) -> list[Parcel]:
        """Requests for what waits."""
        if self.halted:
            return []
        taken, self.pending = self.pending[:most], self.pending[most:]
        return [Parcel(rows, self.hold.build(rows)) for rows in taken]

    def end(self, parcel: Parcel, how: str, vendor: ImaginaryVendor) -> None:
        """A request that was begun comes to its end."""
        self.begun.remove(parcel)
        alike = how.startswith("garbage") and self.hold.connector.slug in ALIKE
        self.ends[parcel.attempt] = "held_up" if self.lapsed else "alike" if alike else how
        judge = self._judge(parcel)
        if self.lapsed or how == "held_up":
            parcel.error = NeverSent("The worker was held up before the request left.")
            parcel.verdict = judge.of_held_up(str(parcel.error))
        elif how == "never_sent" or how.startswith("lost"):
            if how == "lost_after":
                vendor.receive(parcel, store=True)
            parcel.error = NeverSent("refused") if how == "never_sent" else NoAnswer("cut")
            parcel.verdict = judge.of_error(parcel.error)
        else:
            parcel.response = self._answer(parcel, how, vendor)
            parcel.verdict = judge.of_answer(parcel.response)
        parcel.ended_at = timezone.now()
        self.landed.append(parcel)

    def learn(self, landed: list[Parcel]) -> None:
        """What the answers mean for the rest of the Batch, as `Courier` understands them."""
        for parcel in landed:
            verdict = parcel.verdict
            assert verdict is not None
            self.again = self.again or verdict.again
            self.settled = self.settled or any(row.status != "queued" for row in verdict.rows)
            if verdict.wait is not None or verdict.pause:
                self.halt()
            if verdict.split and not self.halted:
                middle = len(parcel.rows) // 2
                self.pending = [parcel.rows[:middle], parcel.rows[middle:], *self.pending]
            if verdict.repeat and not self.halted:
                self.pending.insert(0, parcel.rows)

    def halt(self) -> None:
        """Begin nothing more."""
        self.halted = True
        self.pending.clear()

    def harmless(self, row: QueuedRow) -> bool:
        """Whether the vendor surely counts this row once."""
        return self.hold.connector.harmless_to_repeat(row.payload.values, self.hold.settings)

    def _answer(self, parcel: Parcel, how: str, vendor: ImaginaryVendor) -> Response:
        if how == "wait":
            return vendor.refuse(429, {"Retry-After": "3600"})
        if how in ("forbidden", "refused"):
            return vendor.refuse(401 if how == "forbidden" else 400)
        good = vendor.receive(parcel, store=how in STORED)
        if how.startswith("garbage"):
            return Response(200, {"Content-Type": "text/html"}, b"<html>Welcome to the proxy</html>")
        return vendor.refuse(500) if how.startswith("error") else good

    def _judge(self, parcel: Parcel) -> Judge:
        payloads: list[Payload] = [row.payload for row in parcel.rows]
        return Judge(self.hold.connector, [self.harmless(row) for row in parcel.rows], payloads)
