"""Sending one claimed Batch: lanes that keep the wire busy, and turns that write what must be written first.

A turn is one transaction (see `writing`): it writes the answers that have landed and begins the next requests. While
it runs, the lanes send what the turn before began, so the wire never waits for the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings

from connectors.base import Request
from offline_portal.claims import ClaimLost
from offline_portal.delivery import doubt, patience
from offline_portal.delivery import hold as holding
from offline_portal.delivery.bearer import Tokens
from offline_portal.delivery.doors import Doors
from offline_portal.delivery.hold import CannotBuild, Hold, QueuedRow
from offline_portal.delivery.pace import Pace, PaceUnavailable
from offline_portal.delivery.pausing import pause_send
from offline_portal.delivery.wire import Wire
from offline_portal.delivery.writing import Book, Parcel, RowsGone
from offline_portal.trouble import DATABASE_TROUBLE

log = logging.getLogger(__name__)

InDatabase = Callable[..., Awaitable[Any]]

GATHER = 0.02
"""Seconds that a turn waits for more answers while the lanes have enough to send."""
QUICK_RATE = 100.0
"""From so many requests a second on, and with quick answers, requests are begun ahead."""
EARLY = 0.5
"""Seconds of work left in a Batch, at its pace, from which on the next one is claimed and read."""
GIVE_UP_AFTER = 3
"""So many requests in a row without an answer end the claim; the Batch comes back after a pause."""
STORE_PAUSE = 5.0
"""Seconds until a Batch is due again when Redis, which keeps the pace, or the database was away."""


class Courier:
    """Carries one Batch to its destination; begins once the one `before` it has nothing left to begin."""

    def __init__(
        self, hold: Hold, door: Doors, pace: Pace, tokens: Tokens, in_database: InDatabase,
        stops: Callable[[Courier], bool], news: Callable[[], None], before: Courier | None = None,
    ) -> None:
        self.hold = hold
        self.wire = Wire(hold, door, pace, tokens)
        self.in_database, self._stops, self._news, self._before = in_database, stops, news, before
        self.book = Book(hold)
        self.pending: deque[list[QueuedRow]] = deque()
        self.begun: deque[tuple[Parcel, float]] = deque()
        self.landed: list[Parcel] = []
        self.flying = 0
        self.unanswered = 0
        self.draining = False
        """Little is left, and all goes well: the next Batch may be claimed and read."""
        self.drained = asyncio.Event()
        """Nothing is left to begin, and all went well, or it is over: the next Batch need not wait any more."""
        self.settled = False
        self.again = False
        self.put_off = False
        """The vendor wants to be left alone, and did not say for how long."""
        self.pause = 0.0
        self.broken = ""
        """Why no request can be made of what is left."""
        self.halted = False
        self._over = False
        self._kept_at = time.monotonic()
        """When the claim was renewed last."""
        self._something = asyncio.Event()
        self._ready = asyncio.Event()

    async def run(self) -> None:
        """Send until the Batch is empty, the shift ends, or something stops it; then give the claim back."""
        lanes: list[asyncio.Task[None]] = []
        try:
            self.pending.extend(await self.in_database(self._requests))
            if self._before:
                await self._before.drained.wait()
                self._before = None
            lanes += [asyncio.create_task(self._lane()) for _ in range(self.hold.lanes)]
            await self._take_turns()
            await self.in_database(self._give_back)
        except ClaimLost:
            pass
        finally:
            self.drained.set()
            await self._end(lanes)

    async def _end(self, lanes: list[asyncio.Task[None]]) -> None:
        """A lane may miss that it is cancelled, and must neither send nor wait for more then.

        `asyncio.wait_for` of Python 3.11, and with it Redis' client, may keep that to itself.
        """
        self.wire.barred = self._over = True
        self._ready.set()
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)

    def _give_back(self) -> None:
        if self.broken:
            pause_send(self.hold.send, self.broken)
        holding.give_back(self.hold, self.again, self.settled, self.pause, self.put_off)

    def _requests(self) -> list[list[QueuedRow]]:
        doubt.end_what_is_too_old(self.hold)
        self.hold = holding.with_doubt(self.hold)
        requests = list(holding.requests_of(self.hold, holding.queued_rows(self.hold)))
        if self.hold.failures and requests and len(requests[0]) > 1 and not self.hold.takes_files:
            # One row is enough to find out whether the vendor is back, should its answer be lost as well.
            requests[:1] = [requests[0][:1], requests[0][1:]]
        return requests

    async def _take_turns(self) -> None:
        while True:
            landed, self.landed = self.landed, []
            self._learn(landed)
            if self._stops(self) or self.unanswered >= (1 if self.hold.failures else GIVE_UP_AFTER):
                self._halt()
            parcels, wait = await self._next_parcels()
            if self.wire.no_pace:
                self.pause = STORE_PAUSE
                self._halt()
            self._make_room()
            if parcels or landed or self._lease_wants_renewing():
                await self._turn(landed, parcels)
            elif not (self.flying or self.begun or self.landed) and (self.halted or not self.pending):
                # `landed` again: the last answer may have come while the pace was asked.
                return
            await self._until_needed(wait)

    def _make_room(self) -> None:
        """For the next Batch, while all goes well."""
        if not self.settled or self.again:
            return
        if not self.draining and len(self.pending) <= min(EARLY * self.hold.rate, 8 * self.hold.lanes):
            self.draining = True
            self._news()
        if not self.pending:
            self.drained.set()

    async def _next_parcels(self) -> tuple[list[Parcel], float]:
        """Parcels for the free slots, as far as the pace allows; and seconds until it allows more."""
        room = self._room()
        if self.halted or not self.pending or room <= 0:
            return [], math.inf
        try:
            wanted = min(room, len(self.pending), max(1, int(self.hold.rate)))
            count, wait = await self.wire.gate.reserve(wanted)
        except PaceUnavailable:
            self.wire.no_pace = True
            return [], math.inf
        taken = [self.pending.popleft() for _ in range(min(count, len(self.pending)))]
        try:
            return [parcel for rows in taken for parcel in self._build(rows)], wait
        except CannotBuild as error:
            log.exception("Batch %s cannot be sent", self.hold.batch)
            self.broken = str(error)
            self._halt()
            return [], math.inf

    def _room(self) -> int:
        """Free lanes, and with a quick vendor as many again in stock, so that no lane waits for the next turn."""
        quick = self.hold.rate >= QUICK_RATE and not self.wire.is_slow and not self.hold.failures
        stock = self.hold.lanes if quick else 0
        return self.hold.lanes + stock - self.flying - len(self.begun)

    def _build(self, rows: list[QueuedRow]) -> list[Parcel]:
        request: Request = self.hold.build(rows)
        if len(request.body) > self.hold.connector.bytes_a_request and len(rows) > 1:
            middle = len(rows) // 2
            self.pending.appendleft(rows[middle:])
            return self._build(rows[:middle])
        return [Parcel(rows, self.wire.bearer.announced(request))]

    async def _turn(self, landed: list[Parcel], parcels: list[Parcel]) -> None:
        self._kept_at = time.monotonic()
        try:
            may_leave = await self._written(landed, parcels)
        except RowsGone:
            self._halt()
            await self._written(landed, [])
            return
        if parcels and not may_leave:
            self._halt()
        elif parcels:
            begun_at = time.monotonic()
            self.begun.extend((parcel, begun_at) for parcel in parcels)
            self._ready.set()

    async def _written(self, landed: list[Parcel], parcels: list[Parcel]) -> bool:
        """Whether `parcels` may leave; not after a database was away, which is waited for."""
        try:
            return await self.in_database(self.book.turn, landed, parcels)
        except DATABASE_TROUBLE:
            self.pause = STORE_PAUSE
            self._halt()
            for parcel in parcels:
                self.wire.hold_up(parcel, "The database was away before the request left.")
            await patience.write_late(self.in_database, self.book, landed, parcels)
            return False

    def _lease_wants_renewing(self) -> bool:
        """A vendor may take longer to answer than the lease lasts."""
        return bool(self.flying) and time.monotonic() - self._kept_at >= settings.PORTAL_LEASE / 3

    def _learn(self, landed: list[Parcel]) -> None:
        """What the answers mean for the rest of this Batch."""
        for parcel in landed:
            verdict = parcel.verdict
            if verdict is None:
                continue
            if verdict.again or verdict.lost:
                self.unanswered += 1
                self.again = True
            else:
                self.unanswered = 0
                self.settled = self.settled or any(row.status != "queued" for row in verdict.rows)
            self.put_off = self.put_off or verdict.wait == 0
            if verdict.wait is not None or verdict.pause:
                self.wire.barred = True
                self._halt()
            if verdict.split and not self.halted:
                middle = len(parcel.rows) // 2
                self.pending.extendleft([parcel.rows[middle:], parcel.rows[:middle]])
            if verdict.repeat and not self.halted:
                self.pending.appendleft(parcel.rows)

    def _halt(self) -> None:
        """Begin nothing more; what is on the wire is still awaited and written."""
        self.halted = True
        self.pending.clear()

    async def _until_needed(self, wait: float) -> None:
        """Until there is something to write or to begin, or the lease wants renewing."""
        can_begin = bool(self.pending) and self._room() > 0
        if not self.landed and not (can_begin and wait <= 0):
            if not self.flying and not self.begun and not can_begin:
                return
            patience = min(wait if can_begin else math.inf, settings.PORTAL_LEASE / 3)
            self._something.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._something.wait(), max(patience, 0.001))
        if self.flying and (self.begun or not self.pending):
            await asyncio.sleep(GATHER)

    async def _lane(self) -> None:
        """One request at a time, as long as something is begun."""
        while not self._over:
            if not self.begun:
                self._ready.clear()
                await self._ready.wait()
                continue
            parcel, begun_at = self.begun.popleft()
            self.flying += 1
            try:
                await self.wire.carry(parcel, begun_at)
            finally:
                self.flying -= 1
                self.landed.append(parcel)
                self._something.set()
