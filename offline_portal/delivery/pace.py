"""How fast requests may leave to a destination, over all workers on all machines.

The spacing is even (GCRA: a destination's next request is due at a moment kept in Redis, by Redis' own clock).
A pause in sending is caught up by at most BURST seconds' worth of requests at once; losing the contents of Redis
costs no more than that either. Without Redis nothing may be sent.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Self

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

BURST = 0.2
"""Seconds of the rate that may leave at once: in any 5 s at most 4 % more than the rate."""
AHEAD = 0.05
"""A request due within so many seconds is granted already and waited for, so that asking late costs nothing."""
GROUP = 0.02
"""While fewer requests than these seconds' worth are due, a bigger group is waited for."""
REDIS_SECONDS = 2.0

_TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local gap, burst, ahead = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local most, enough = tonumber(ARGV[4]), tonumber(ARGV[5])
local limit = now + burst + ahead
local due = tonumber(redis.call('GET', KEYS[1]) or 0)
due = math.min(math.max(due, now), limit)
local count = math.min(most, math.floor((limit - due) / gap))
if count < enough then
    return {0, 0, math.ceil(due + enough * gap - limit)}
end
due = math.ceil(due + count * gap)
redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000) + 1000)
return {count, math.max(0, due - now - burst), math.max(0, math.ceil(due + enough * gap - limit))}
"""
"""Times in microseconds. `due` lies further ahead than `limit` only when Redis' clock was set back or the rate
was raised; it is cut then, or the destination would stand still."""


class PaceUnavailable(Exception):
    """Redis does not answer: nobody knows how much may leave, so nothing may."""


@dataclass(frozen=True)
class Grant:
    """`count` requests may leave now; asking again makes sense after `wait_seconds`."""

    count: int
    wait_seconds: float


class Pace:
    """The pace of all destinations, kept in the Redis at `redis_url`; one object an event loop.

    Used as `async with Pace(url) as pace`, or closed by `await pace.close()`.
    """

    def __init__(self, redis_url: str) -> None:
        self._redis: Redis = Redis.from_url(
            redis_url,
            socket_connect_timeout=REDIS_SECONDS / 2,
            socket_timeout=REDIS_SECONDS / 2,
            retry=Retry(NoBackoff(), 1),
        )
        self._script = self._redis.register_script(_TAKE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections back."""
        await self._redis.aclose()

    async def take(self, destination_id: int, rate: float, wanted: int) -> Grant:
        """Leave to send up to `wanted` requests at once, at `rate` requests a second (above 0).

        Returns when they may leave, at most AHEAD seconds later. What is granted and not used is lost.
        Raises PaceUnavailable, within REDIS_SECONDS.
        """
        if wanted < 1:
            return Grant(0, 0.0)
        burst = max(1.0, rate * BURST)
        most = min(wanted, int(burst))
        enough = max(1, min(most, int(rate * GROUP)))
        gap = 1e6 / rate
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                count, delay, wait = await self._script(
                    keys=[f"portal:pace:{destination_id}"], args=[gap, burst * gap, AHEAD * 1e6, most, enough]
                )
        except (RedisError, OSError) as error:
            raise PaceUnavailable(
                "Redis does not answer, so the pace is not known and nothing is sent. Sending goes on by itself "
                "when Redis is back."
            ) from error
        if delay:
            await asyncio.sleep(delay / 1e6)
        return Grant(count, max(0, wait - delay) / 1e6)
