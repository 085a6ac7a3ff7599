"""The last step before a request leaves: each goes at a moment that the pace has given, or waits for another one.

Between asking the pace and sending lies a transaction, and a lane that must be free. Were whatever is late simply sent,
a database that stood still for a second would be followed by a second's worth of requests at once, from each worker.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

from offline_portal.delivery.pace import Pace, PaceUnavailable

LATE = 0.05
"""Seconds by which a moment may be missed."""
KEPT = 0.02
"""Of those missed by more, so many seconds' worth are kept, and the others lost.

With BURST and LATE, four gates (one a worker) send in any 5 s at most 3.6 % more than the pace.
"""


class Gate:
    """Lets the requests of one courier out, at the pace of its destination, or of a `part` of what is sent there."""

    def __init__(self, pace: Pace, destination: int, rate: float, part: str = "") -> None:
        self._pace, self._destination, self._rate, self._part = pace, destination, rate, part
        self._moments: deque[float] = deque()
        self._kept = int(rate * KEPT)
        self._waiting = 0
        self._first = asyncio.Lock()
        self._shut: PaceUnavailable | None = None

    async def reserve(self, wanted: int) -> tuple[int, float]:
        """Moments for up to `wanted` requests: how many there are, and seconds until asking again makes sense.

        Raises PaceUnavailable, and from then on at once: fifty lanes must not wait for a Redis that hangs one after
        the other.
        """
        if self._shut:
            raise self._shut
        try:
            grant = await self._pace.reserve(self._destination, self._rate, wanted, self._part)
        except PaceUnavailable as error:
            self._shut = error
            raise
        self._moments.extend(grant.moments)
        return len(grant.moments), grant.wait_seconds

    async def leave(self) -> None:
        """Returns when one request may leave, to be sent at once. Raises PaceUnavailable."""
        self._waiting += 1
        try:
            async with self._first:
                moment = await self._next()
        finally:
            self._waiting -= 1
        await asyncio.sleep(max(0.0, moment - time.monotonic()))

    async def _next(self) -> float:
        """The first moment that is not lost. Those who waited for a lane need new ones, and ask for all at once."""
        while True:
            while self._moments:
                moment = self._moments.popleft()
                if moment >= time.monotonic() - LATE or len(self._moments) < self._kept:
                    return moment
            count, wait = await self.reserve(self._waiting)
            if not count:
                await asyncio.sleep(wait)
