"""The pace over all workers, on a real Redis: never faster than allowed, hardly slower."""

from __future__ import annotations

import asyncio
import itertools
import socket
import subprocess
import sys
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from redis import Redis

from offline_portal.delivery.gate import LATE, Gate
from offline_portal.delivery.pace import AHEAD, BURST, Grant, Pace, PaceUnavailable
from offline_portal.embedded.redis_server import running

ROOT = Path(__file__).parents[2]
_destinations = itertools.count(1)


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with TemporaryDirectory(prefix="pace") as folder, running(Path(folder)) as url:
        yield url


@pytest.fixture
def destination() -> int:
    return next(_destinations)


Sent = list[float]
"""When each request to one destination was sent, in order."""


def workers(url: str, seconds: float, *wishes: tuple[int, float, int], many: int = 4) -> list[subprocess.Popen[str]]:
    """Start that many worker processes, each taking at full speed for every (destination, rate, wanted)."""
    words = [sys.executable, "-m", "tests.wire.taker", url, str(seconds)]
    words += [":".join(map(str, wish)) for wish in wishes]
    return [subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(many)]


def sent_by(started: list[subprocess.Popen[str]]) -> dict[int, Sent]:
    """What all workers sent, by destination."""
    sent = defaultdict(list)
    for worker in started:
        for line in worker.communicate(timeout=30)[0].split():
            destination, moment = line.split(":")
            sent[int(destination)].append(float(moment))
        assert worker.returncode == 0
    return {destination: sorted(moments) for destination, moments in sent.items()}


def most_in_a_window(sent: Sent, window: float) -> int:
    return max(bisect_left(sent, first + window) - index for index, first in enumerate(sent))


def rate_of(sent: Sent) -> float:
    """Requests a second between the first and the last."""
    return (len(sent) - 1) / (sent[-1] - sent[0])


def test_four_workers_keep_the_rate_and_use_it(redis_url: str) -> None:
    wishes = {next(_destinations): (rate, wanted) for rate, wanted in ((4, 10), (20, 10), (150, 1), (1000, 50))}
    started = workers(redis_url, 6.5, *((one, rate, wanted) for one, (rate, wanted) in wishes.items()))
    for destination, sent in sent_by(started).items():
        rate, _wanted = wishes[destination]
        assert most_in_a_window(sent, 5) <= 1.05 * 5 * rate
        assert rate_of(sent) >= 0.9 * rate


def test_an_emptied_redis_costs_one_group_at_most(redis_url: str, destination: int) -> None:
    rate = 200
    started = workers(redis_url, 3, (destination, rate, 20))
    time.sleep(2.5)
    Redis.from_url(redis_url).flushall()
    [sent] = sent_by(started).values()
    assert most_in_a_window(sent, 2) <= 1.05 * 2 * rate + (AHEAD + BURST) * rate
    assert rate_of(sent) >= 0.9 * rate


def test_an_idle_time_is_not_caught_up(redis_url: str, destination: int) -> None:
    rate = 100
    early = sent_by(workers(redis_url, 1, (destination, rate, 20), many=1))[destination]
    time.sleep(1)
    late = sent_by(workers(redis_url, 5.5, (destination, rate, 20), many=2))[destination]
    assert late[0] - early[-1] >= 1
    assert most_in_a_window(early + late, 5) <= 1.05 * 5 * rate


def test_what_is_late_gets_a_moment_of_its_own(redis_url: str, destination: int) -> None:
    """A transaction that took a second: what was reserved before it does not leave all at once."""

    async def run() -> list[float]:
        async with Pace(redis_url) as pace:
            gate = Gate(pace, destination, 100)
            count, _wait = await gate.reserve(50)
            await asyncio.sleep(AHEAD + LATE + 0.5)
            left = []
            for _ in range(count):
                await gate.leave()
                left.append(time.monotonic())
            return left

    left = asyncio.run(run())
    assert len(left) == 100 * (AHEAD + BURST) + 1
    assert left[-1] - left[0] >= (len(left) - 1) / 100 - BURST - LATE


def test_lanes_do_not_wait_for_a_redis_that_hangs_one_after_the_other(destination: int) -> None:
    async def run(url: str) -> list[object]:
        async with Pace(url) as pace:
            gate = Gate(pace, destination, 10)
            return await asyncio.gather(*(gate.leave() for _ in range(20)), return_exceptions=True)

    with socket.create_server(("127.0.0.1", 0)) as deaf:
        started = time.monotonic()
        ends = asyncio.run(run(f"redis://127.0.0.1:{deaf.getsockname()[1]}/0"))
    assert {type(end) for end in ends} == {PaceUnavailable}
    assert time.monotonic() - started < 8


def takes(url: str, destination: int, *wishes: tuple[float, int]) -> list[Grant]:
    """Grants for (rate, wanted), taken at once one after the other."""

    async def run() -> list[Grant]:
        async with Pace(url) as pace:
            return [await pace.reserve(destination, rate, wanted) for rate, wanted in wishes]

    return asyncio.run(run())


def test_after_a_pause_a_burst_leaves_and_not_more(redis_url: str, destination: int) -> None:
    first, second = takes(redis_url, destination, (100, 100), (100, 100))
    assert len(first.moments) == 100 * (BURST + AHEAD) + 1
    assert len(second.moments) <= 1
    assert second.wait_seconds <= 2 / 100
    gaps = [later - sooner for sooner, later in itertools.pairwise(first.moments)]
    assert all(abs(gap - 1 / 100) < 1e-4 for gap in gaps)
    assert first.moments[-1] <= time.monotonic() + AHEAD


def test_never_more_than_wanted(redis_url: str, destination: int) -> None:
    found = takes(redis_url, destination, (1000, 3), (1000, 0), (1000, 7))
    assert [len(one.moments) for one in found] == [3, 0, 7]


def test_a_slow_rate_leaves_one_at_a_time(redis_url: str, destination: int) -> None:
    first, second = takes(redis_url, destination, (0.5, 10), (0.5, 10))
    assert (len(first.moments), len(second.moments)) == (1, 0)
    assert 2 - BURST - AHEAD - 0.2 < second.wait_seconds <= 2 - AHEAD


def test_destinations_do_not_share_a_pace(redis_url: str) -> None:
    assert len(takes(redis_url, next(_destinations), (1, 1))[0].moments) == 1
    assert len(takes(redis_url, next(_destinations), (1, 1))[0].moments) == 1


def test_a_clock_set_back_does_not_stop_a_destination(redis_url: str, destination: int) -> None:
    """What Redis would hold after its clock went back by an hour."""
    Redis.from_url(redis_url).set(f"portal:pace:{destination}", int((time.time() + 3600) * 1e6))
    [grant] = takes(redis_url, destination, (10, 5))
    assert grant.wait_seconds <= 0.2
    time.sleep(0.2)
    [grant] = takes(redis_url, destination, (10, 5))
    assert len(grant.moments) >= 1


def test_a_raised_rate_counts_at_once(redis_url: str, destination: int) -> None:
    takes(redis_url, destination, (0.01, 1))
    time.sleep(0.2)
    [grant] = takes(redis_url, destination, (100, 5))
    assert grant.wait_seconds <= 0.05
    time.sleep(0.1)
    [grant] = takes(redis_url, destination, (100, 5))
    assert len(grant.moments) == 5


def test_nothing_lasting_is_kept(redis_url: str, destination: int) -> None:
    takes(redis_url, destination, (10, 5))
    assert 0 < Redis.from_url(redis_url).pttl(f"portal:pace:{destination}") <= 2000


def test_without_redis_nothing_is_granted(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(PaceUnavailable, match="nothing is sent"):
        takes(f"unix://{tmp_path}/no.sock", 1, (10, 1))
    assert time.monotonic() - started < 2.5


def test_a_redis_that_hangs_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        started = time.monotonic()
        with pytest.raises(PaceUnavailable):
            takes(f"redis://127.0.0.1:{deaf.getsockname()[1]}/0", 1, (10, 1))
    assert time.monotonic() - started < 2.5


def test_a_redis_that_is_full_grants_nothing(redis_url: str, destination: int) -> None:
    admin = Redis.from_url(redis_url)
    admin.config_set("maxmemory", "1mb")
    admin.config_set("maxmemory-policy", "noeviction")
    try:
        with pytest.raises(PaceUnavailable):
            takes(redis_url, destination, (10, 1))
    finally:
        admin.config_set("maxmemory", "0")


def test_it_goes_on_when_redis_was_restarted(destination: int) -> None:
    async def run(folder: Path) -> list[object]:
        ends: list[object] = []
        with running(folder) as url:
            pace = Pace(url)
            ends.append(await pace.reserve(destination, 100, 1))
        try:
            await pace.reserve(destination, 100, 1)
        except PaceUnavailable as error:
            ends.append(type(error))
        with running(folder):
            ends.append(await pace.reserve(destination, 100, 1))
        await pace.close()
        return ends

    with TemporaryDirectory(prefix="pace") as folder:
        before, between, after = asyncio.run(run(Path(folder)))
    assert (len(before.moments), between, len(after.moments)) == (1, PaceUnavailable, 1)


def test_a_worker_that_falls_behind_a_quick_pace_asks_for_its_moments_once(redis_url: str, destination: int) -> None:
    async def run() -> tuple[int, int, float]:
        async with Pace(redis_url) as pace:
            gate, asked = Gate(pace, destination, 5_000), 0
            reserve = pace.reserve

            async def counted(*arguments: Any) -> Grant:
                nonlocal asked
                asked += 1
                return await reserve(*arguments)

            pace.reserve = counted  # type: ignore[method-assign]
            count, _wait = await gate.reserve(75)
            await asyncio.sleep(4 * LATE)
            begun = time.monotonic()
            for _ in range(count):
                await gate.leave()
            return count, asked, time.monotonic() - begun

    count, asked, seconds = asyncio.run(run())
    assert (count, asked) == (75, 1)
    assert seconds < 1


def test_of_what_a_worker_missed_little_is_kept(redis_url: str, destination: int) -> None:
    """Or four of them would be too fast together."""

    async def run() -> int:
        async with Pace(redis_url) as pace:
            gate, left = Gate(pace, destination, 500), 0
            assert (await gate.reserve(100))[0] == 100
            await asyncio.sleep(1)

            async def no_more(*_arguments: Any) -> Grant:
                raise PaceUnavailable

            pace.reserve = no_more  # type: ignore[method-assign]
            with pytest.raises(PaceUnavailable):
                while True:
                    await gate.leave()
                    left += 1
            return left

    assert asyncio.run(run()) == 500 * 0.02


def test_a_worker_that_falls_behind_a_slow_pace_loses_what_it_missed(redis_url: str, destination: int) -> None:
    async def run() -> list[float]:
        async with Pace(redis_url) as pace:
            gate = Gate(pace, destination, 12)
            count, _wait = await gate.reserve(4)
            await asyncio.sleep(1)
            left = []
            for _ in range(count):
                await gate.leave()
                left.append(time.monotonic())
            return left

    left = asyncio.run(run())
    assert len(left) >= 3
    assert left[-1] - left[0] >= (len(left) - 1) / 12 - 2 * BURST - LATE
