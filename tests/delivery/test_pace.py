"""The pace over all workers, on a real Redis: never faster than allowed, hardly slower."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from redis import Redis

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


Sent = list[tuple[float, int]]
"""(when, how many) of the groups sent to one destination, in order."""


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
            destination, count, moment = line.split(":")
            sent[int(destination)].append((float(moment), int(count)))
        assert worker.returncode == 0
    return {destination: sorted(groups) for destination, groups in sent.items()}


def most_in_a_window(sent: Sent, window: float) -> int:
    return max(
        sum(count for moment, count in sent[index:] if moment < first + window) for index, (first, _) in enumerate(sent)
    )


def rate_of(sent: Sent) -> float:
    """Requests a second between the first group and the last."""
    return sum(count for _, count in sent[:-1]) / (sent[-1][0] - sent[0][0])


def test_four_workers_keep_the_rate_and_use_it(redis_url: str) -> None:
    wishes = {next(_destinations): (rate, wanted) for rate, wanted in ((4, 10), (20, 10), (150, 1), (1000, 50))}
    started = workers(redis_url, 6.5, *((one, rate, wanted) for one, (rate, wanted) in wishes.items()))
    for destination, sent in sent_by(started).items():
        rate, wanted = wishes[destination]
        assert most_in_a_window(sent, 5) <= 1.05 * 5 * rate
        assert rate_of(sent) >= 0.9 * rate
        assert max(count for _, count in sent) <= wanted


def test_an_emptied_redis_costs_one_group_at_most(redis_url: str, destination: int) -> None:
    rate = 200
    started = workers(redis_url, 3, (destination, rate, 20))
    time.sleep(2.5)
    Redis.from_url(redis_url).flushall()
    [sent] = sent_by(started).values()
    assert most_in_a_window(sent, 2) <= 1.05 * 2 * rate + 2 * BURST * rate
    assert rate_of(sent) >= 0.9 * rate


def takes(url: str, destination: int, *wishes: tuple[float, int]) -> list[Grant]:
    """Grants for (rate, wanted), taken at once one after the other."""

    async def run() -> list[Grant]:
        async with Pace(url) as pace:
            return [await pace.take(destination, rate, wanted) for rate, wanted in wishes]

    return asyncio.run(run())


def test_after_a_pause_a_burst_leaves_and_not_more(redis_url: str, destination: int) -> None:
    first, second = takes(redis_url, destination, (50, 100), (50, 100))
    assert first.count == 50 * BURST
    assert second.count <= 50 * AHEAD
    assert second.wait_seconds <= 1 / 50


def test_never_more_than_wanted(redis_url: str, destination: int) -> None:
    assert [one.count for one in takes(redis_url, destination, (1000, 3), (1000, 0), (1000, 7))] == [3, 0, 7]


def test_a_slow_rate_leaves_one_at_a_time(redis_url: str, destination: int) -> None:
    first, second = takes(redis_url, destination, (0.5, 10), (0.5, 10))
    assert (first.count, second.count) == (1, 0)
    assert 1.8 < second.wait_seconds <= 2


def test_destinations_do_not_share_a_pace(redis_url: str) -> None:
    assert takes(redis_url, next(_destinations), (1, 1))[0].count == 1
    assert takes(redis_url, next(_destinations), (1, 1))[0].count == 1


def test_a_clock_set_back_does_not_stop_a_destination(redis_url: str, destination: int) -> None:
    """What Redis would hold after its clock went back by an hour."""
    Redis.from_url(redis_url).set(f"portal:pace:{destination}", int((time.time() + 3600) * 1e6))
    [grant] = takes(redis_url, destination, (10, 5))
    assert grant.wait_seconds <= 0.2


def test_nothing_lasting_is_kept(redis_url: str, destination: int) -> None:
    takes(redis_url, destination, (10, 5))
    assert 0 < Redis.from_url(redis_url).pttl(f"portal:pace:{destination}") <= 2000


def test_without_redis_nothing_is_granted(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(PaceUnavailable, match="nothing is sent"):
        takes(f"unix://{tmp_path}/no.sock", 1, (10, 1))
    assert time.monotonic() - started < 2.5


def test_a_redis_that_hangs_is_given_up_in_time() -> None:
    import socket

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
            ends.append(await pace.take(destination, 100, 1))
        try:
            await pace.take(destination, 100, 1)
        except PaceUnavailable as error:
            ends.append(type(error))
        with running(folder):
            ends.append(await pace.take(destination, 100, 1))
        await pace.close()
        return ends

    with TemporaryDirectory(prefix="pace") as folder:
        before, between, after = asyncio.run(run(Path(folder)))
    assert (before.count, between, after.count) == (1, PaceUnavailable, 1)
