"""A worker's way with the pace, as a program of its own: prints a line for each request it sends.

Arguments: Redis address, seconds to run, then `destination:rate:wanted` for each destination it sends to.
"""

from __future__ import annotations

import asyncio
import sys
import time

from offline_portal.delivery.gate import Gate
from offline_portal.delivery.pace import Pace


async def take_all(pace: Pace, destination: int, rate: float, wanted: int, end: float) -> None:
    """Take as much as there is, waiting as told; a line is `destination:time.time()`."""
    gate = Gate(pace, destination, rate)
    while time.time() < end:
        count, wait = await gate.reserve(wanted)
        for _ in range(count):
            await gate.leave()
            print(f"{destination}:{time.time()}")
        await asyncio.sleep(wait if not count else 0)


async def main(url: str, seconds: float, *wishes: str) -> None:
    """All destinations at once."""
    end = time.time() + seconds
    async with Pace(url) as pace:
        parts = [wish.split(":") for wish in wishes]
        await asyncio.gather(*(take_all(pace, int(one), float(rate), int(many), end) for one, rate, many in parts))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), *sys.argv[3:]))
