"""How fast requests may leave to a destination, over all workers on all machines.

The spacing is even (GCRA: a destination's next request is due at a moment kept in Redis, by Redis' own clock). Each
request gets a moment of its own, up to AHEAD seconds from now, so that what must be written before it leaves costs no
time; one that misses its moment gets another (see `gate`). A pause in sending is caught up by at most BURST seconds'
worth of requests at once; losing the contents of Redis costs AHEAD + BURST seconds' worth. Without Redis nothing may
be sent.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Self

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

BURST = 0.05
"""Seconds of the rate that may leave at once: in any 5 s at most 1 % more than the rate."""
AHEAD = 0.25
"""Moments are given out so many seconds ahead: longer than a turn mostly takes to write."""
GROUP = 0.02
"""While fewer requests than these seconds' worth are due, a bigger group is waited for."""
REDIS_SECONDS = 2.0

_RESERVE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local gap, burst, ahead = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local most, enough = tonumber(ARGV[4]), tonumber(ARGV[5])
local function keep(due)
    redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', math.max(0, math.ceil((due - now) / 1000)) + 1000)
end
local due = tonumber(redis.call('GET', KEYS[1]) or 0)
local latest = now + ahead + gap
if due > latest then
    due = latest
    keep(due)
end
due = math.max(due, now - burst)
local count = math.min(most, math.floor((now + ahead - due) / gap) + 1)
if count < enough then
    return {0, 0, math.ceil(due + (enough - 1) * gap - ahead - now)}
end
local after = math.ceil(due + count * gap)
keep(after)
return {count, math.floor(due - now), math.max(0, math.ceil(after + (enough - 1) * gap - ahead - now))}
"""
"""Times in microseconds; `due` is the first free moment. It lies behind `latest` only when Redis' clock was set back
or the rate was raised; it is cut then, and kept so, or the destination would stand still."""


class PaceUnavailable(Exception):
    """Redis does not answer: nobody knows how much may leave, so nothing may."""


@dataclass(frozen=True)
class Grant:
    """One request may leave at each of `moments` (of `time.monotonic`, ascending; those that are past: now).

    Asking again makes sense after `wait_seconds`.
    """

    moments: tuple[float, ...]
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
            # Not a word before the first question: on a slow line each answer that is waited for counts.
            protocol=2,
            driver_info=None,
        )
        self._script = self._redis.register_script(_RESERVE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections back."""
        await self._redis.aclose()

    async def reserve(self, destination_id: int, rate: float, wanted: int, part: str = "") -> Grant:
        """Moments for up to `wanted` requests, at `rate` requests a second (above 0), at most AHEAD seconds from now.

        A `part` of what is sent to a destination may have a pace of its own, beside that of the whole.
        What is granted and not used is lost. Raises PaceUnavailable, within REDIS_SECONDS.
        """
        if wanted < 1:
            return Grant((), 0.0)
        enough = max(1, min(wanted, int(rate * GROUP)))
        gap = 1e6 / rate
        key = f"portal:pace:{destination_id}:{part}" if part else f"portal:pace:{destination_id}"
        asked_at = time.monotonic()
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                count, first, wait = await self._script(
                    keys=[key], args=[gap, BURST * 1e6, AHEAD * 1e6, wanted, enough]
                )
        except (RedisError, OSError) as error:
            raise PaceUnavailable(
                "Redis does not answer, so the pace is not known and nothing is sent. Sending goes on by itself "
                "when Redis is back."
            ) from error
        now = time.monotonic()
        if now - asked_at > BURST:
            # On a slow line each grant of a low rate would be of one moment that was just missed, and so on for ever.
            first = max(first, 0)
        return Grant(tuple(now + (first + n * gap) / 1e6 for n in range(count)), wait / 1e6)
