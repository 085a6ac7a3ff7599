"""A shift: one RQ job of at most 30 seconds that claims due Batches and sends them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.db import connections
from django.utils import timezone

from offline_portal.claims import ClaimLost
from offline_portal.delivery import abandoned, claiming, restored, stopping
from offline_portal.delivery import hold as holding
from offline_portal.delivery.bearer import Tokens
from offline_portal.delivery.doors import Doors
from offline_portal.delivery.hold import Hold
from offline_portal.delivery.pace import Pace
from offline_portal.delivery.readback.watch import Watch
from offline_portal.delivery.send import Courier
from offline_portal.trouble import DATABASE_TROUBLE, first_line
from offline_portal.wake import wake

log = logging.getLogger(__name__)

TICK = 0.2
CONNECTIONS = 600
"""Far more than one destination may have on the wire: a slow vendor must not take them all."""


def run(seconds: float | None = None) -> None:
    """Claim and send until `seconds` are over, SIGTERM comes, or nothing is due; then wake the next shift.

    Destinations are served side by side, one Batch each at a time, the least recently served Send first.
    """
    connections.close_all()
    over = time.monotonic() + (settings.PORTAL_SHIFT_SECONDS if seconds is None else seconds)
    with ThreadPoolExecutor(1, thread_name_prefix="database") as database:
        try:
            database.submit(restored.notice).result()
            asyncio.run(_Shift(database, over).work())
        finally:
            database.submit(connections.close_all).result()


class _Shift:
    def __init__(self, database: ThreadPoolExecutor, over: float) -> None:
        self.database, self.over = database, over
        self.last = over + settings.PORTAL_REQUEST_DEADLINE
        """Until then the quick destinations go on, while the last answers of slow ones are awaited."""
        self.couriers: dict[asyncio.Task[None], Courier] = {}
        self.closed: set[int] = set()
        """Destinations that are served no more by this shift, because they are slow and it is over."""
        self.watch: Watch | None = None
        self._news = asyncio.Event()

    async def work(self) -> None:
        async with Pace(settings.REDIS_URL) as pace, Doors(CONNECTIONS) as door:
            tokens = Tokens(door)
            watch = self.watch = Watch(door, pace, tokens, self._in_database, self._stopping)
            with self._without_a_database():
                await self._send_what_is_due(door, pace, tokens, watch)
            while self.couriers or watch:
                await self._wait()
        with self._without_a_database():
            if await self._falls_due_within(settings.PORTAL_SHIFT_SECONDS) or await watch.falls_due_within(0):
                await self._in_database(wake, "delivery", "shift")

    async def _send_what_is_due(self, door: Doors, pace: Pace, tokens: Tokens, watch: Watch) -> None:
        while self._goes_on():
            begun = await self._start_couriers(door, pace, tokens) + await watch.start()
            if not (begun or self.couriers or watch or await self._soon(watch)):
                return
            await self._wait()

    @contextlib.contextmanager
    def _without_a_database(self) -> Iterator[None]:
        """Nothing more is begun; couriers keep what they have, and the sweeper wakes another shift."""
        try:
            yield
        except DATABASE_TROUBLE as error:
            log.warning("The shift ends early, the database is away: %s", first_line(error))
            self._end_now()

    def _goes_on(self) -> bool:
        if not self._stopping():
            return True
        slow = {courier.hold.destination for courier in self.couriers.values() if courier.wire.is_slow}
        self.closed |= slow
        return bool(slow or self.watch) and not self._ends_at_once()

    def _stopping(self) -> bool:
        return stopping.requested() or time.monotonic() >= self.over

    def _ends_at_once(self) -> bool:
        return stopping.requested() or time.monotonic() >= self.last

    def _stops(self, courier: Courier) -> bool:
        """Whether a courier begins nothing more. A quick one need not stand still until the slow ones have ended."""
        if not self._stopping() or self._ends_at_once():
            return self._stopping()
        others_are_slow = self.watch or any(other.wire.is_slow for other in self.couriers.values())
        return courier.wire.is_slow or not others_are_slow

    def _end_now(self) -> None:
        self.over = self.last = 0.0

    async def _start_couriers(self, door: Doors, pace: Pace, tokens: Tokens) -> int:
        busy = {courier.hold.destination for courier in self.couriers.values() if not courier.draining}
        before = {courier.hold.destination: courier for courier in self.couriers.values()}
        holds: list[Hold] = await self._in_database(claiming.claim_due, busy | self.closed)
        for hold in holds:
            courier = Courier(
                hold, door, pace, tokens, self._in_database, self._stops, self._news.set, before.get(hold.destination)
            )
            task = asyncio.create_task(self._carry(hold, courier))
            self.couriers[task] = courier
            task.add_done_callback(lambda _task: self._news.set())
        return len(holds)

    async def _carry(self, hold: Hold, courier: Courier) -> None:
        try:
            if hold.fence > 1:
                await self._in_database(abandoned.close, hold)
            await courier.run()
        except ClaimLost:
            pass
        except DATABASE_TROUBLE as error:
            log.warning("Batch %s is left until its lease is over: %s", hold.batch, first_line(error))
            self._end_now()
        except Exception:
            # One Batch that cannot be sent must not stop the others; it comes back after a growing pause.
            log.exception("Batch %s could not be sent", hold.batch)
            await self._leave(hold)

    async def _leave(self, hold: Hold) -> None:
        """Close what it began: rows of a Send that is stopped meanwhile would be `sending` for ever."""
        try:
            await self._in_database(abandoned.close, hold)
            await self._in_database(holding.give_back, hold, True, False)
        except ClaimLost:
            pass
        except Exception:
            log.exception("Batch %s is left to the sweeper", hold.batch)

    async def _wait(self) -> None:
        """Until a courier is done, or a moment has passed in which new work may have come."""
        if not self.couriers:
            await asyncio.sleep(TICK)
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), TICK)
        self._news.clear()
        for task in [task for task in self.couriers if task.done()]:
            self.couriers.pop(task)
            task.result()

    async def _soon(self, watch: Watch) -> bool:
        """Whether a Batch, or a look at a vendor, falls due before this shift is over."""
        left = self.over - time.monotonic()
        return await self._falls_due_within(left) or await watch.falls_due_within(left)

    async def _falls_due_within(self, seconds: float) -> bool:
        """For what falls due later no shift should wait, nor one after the other: the sweeper wakes another then."""
        due = await self._in_database(claiming.next_due)
        return due is not None and (due - timezone.now()).total_seconds() < seconds

    def _in_database(self, function: Callable[..., Any], *arguments: Any) -> Awaitable[Any]:
        """Run in the one thread that owns the database connection."""
        return asyncio.get_running_loop().run_in_executor(self.database, function, *arguments)
