"""A Redis that is well, but whose connections are slow, cut, or silent: a proxy stands between it and the programs."""

from __future__ import annotations

import asyncio
import random
import time
from bisect import bisect_left
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from unittest.mock import patch

import pytest
from django.conf import LazySettings
from redis import Redis

from offline_portal.delivery.gate import LATE, Gate
from offline_portal.delivery.pace import BURST, Pace
from offline_portal.models import Attempt, Upload, Wakeup
from offline_portal.wake import wake
from tests.conftest import Road
from tests.delivery.test_road import KISS
from tests.embedded.conftest import alive
from tests.faults.programs import PATIENCE, Program, Programs, Web, until
from tests.faults.servers import RedisServer
from tests.faults.soundness import tally
from tests.faults.test_workers import Two
from tests.wire.proxy import Proxy, proxy_before

SLOW = 0.3
"""Seconds that everything takes each way on a slow line."""


@pytest.fixture
def server(tmp_path: Path, road: Road, settings: LazySettings) -> Iterator[RedisServer]:
    """A Redis of the test's own, which the test itself reaches directly."""
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    server.start()
    settings.REDIS_URL = server.url
    settings.RQ_QUEUES = {name: {**told, "URL": server.url} for name, told in settings.RQ_QUEUES.items()}
    yield server
    server.kill()


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[Proxy]:
    with proxy_before(server.port) as proxy:
        yield proxy


@pytest.fixture
def beyond(road: Road, proxy: Proxy, tmp_path: Path) -> Iterator[Programs]:
    """Programs that reach Redis through the proxy."""
    programs = Programs(tmp_path, url_of(proxy), "tests.faults.hasty")
    programs.environment["DEBUG"] = "1"
    yield programs
    programs.end()


def url_of(proxy: Proxy) -> str:
    return f"redis://127.0.0.1:{proxy.port}/0"


def listen(programs: Programs, server: RedisServer, workers: list[Program]) -> None:
    """Wait until all workers listen."""
    with Redis.from_url(server.url) as client:
        until(lambda: client.scard("rq:workers") == len(workers), "all listen", said=programs.said)


@contextmanager
def unheard() -> Iterator[None]:
    """Nobody is woken by what is done meanwhile: the sweeper will find it."""
    with patch("offline_portal.wake._enqueue"):
        yield
    Wakeup.objects.all().delete()


def pages_open(web: Web, two: Two) -> None:
    for page in ("/", f"/sends/{two.kiss.pk}", "/health-line"):
        assert web.get(page)[0] == 200, page


def all_went_well(two: Two, workers: list[Program]) -> None:
    """Everything was sent exactly once, by workers that are still alive and had nothing to complain of."""
    assert two.end_well() == {"accepted": 250}
    assert two.on_the_wire() == [120, 3]
    assert all(alive(worker.pid) for worker in workers)
    assert "Traceback" not in (said := two.programs.said()), said


def most_in_a_window(moments: list[float], window: float) -> int:
    return max(bisect_left(moments, first + window) - index for index, first in enumerate(moments))


def arrivals(road: Road, vendor: str) -> list[float]:
    """When the vendor got each request, in order."""
    got = {entry["request"]: datetime.fromisoformat(entry["at"]).timestamp() for entry in road.emulator.ledger(vendor)}
    return sorted(got.values())


def test_on_a_slow_line_all_is_sent_once_and_not_too_fast(
    road: Road, proxy: Proxy, server: RedisServer, beyond: Programs
) -> None:
    # A shift as shipped: RQ alone asks Redis two dozen questions before one begins.
    beyond.environment["DJANGO_SETTINGS_MODULE"] = "offline_portal.settings"
    workers = [beyond.worker("intake"), beyond.worker()]
    web = beyond.web().sign_in(road.olivia)
    listen(beyond, server, workers)
    with unheard():
        two = Two(road, beyond)
    two.slow(None)
    proxy.delay, proxy.jitter, proxy.bytes_a_second = SLOW, SLOW / 10, 200_000
    wake("delivery", "shift")
    beyond.sweeper()
    assert web.upload("/sends/new", KISS.encode(), "other.csv")[0] == 302
    pages_open(web, two)
    until(lambda: Upload.objects.filter(status="ready").count() == 3, "the file is read", said=beyond.said)
    all_went_well(two, workers)
    for vendor, rate in (("kissmetrics", 40), ("qubit", 2)):
        assert most_in_a_window(arrivals(road, vendor), 5) <= 1.05 * 5 * rate + 1


def test_a_slow_line_makes_no_rate_too_fast_or_nil(server: RedisServer, proxy: Proxy) -> None:
    """A low rate once stood still: each moment was past when its grant came, was taken for missed, and so on for ever.

    Half of a high rate may be lost, because moments are given only so far ahead.
    """
    proxy.delay = SLOW

    async def lane(gate: Gate, left: list[float], wanted: int) -> None:
        for _ in range(wanted):
            await gate.leave()
            left.append(time.monotonic())

    async def run(left: dict[int, list[float]]) -> None:
        async with Pace(url_of(proxy)) as here, Pace(url_of(proxy)) as there:
            lanes = [
                lane(gate, moments, rate // 4)
                for rate, moments in left.items()
                for gate in (Gate(here, rate, rate), Gate(there, rate, rate))
                for _ in range(5)
            ]
            await asyncio.wait_for(asyncio.gather(*lanes), PATIENCE)

    left: dict[int, list[float]] = {4: [], 20: []}
    asyncio.run(run(left))
    for rate, moments in left.items():
        assert most_in_a_window(moments, 2) <= rate * (2 + BURST + LATE) + 2


def test_connections_that_are_cut_again_and_again_cost_no_row_and_no_worker(
    road: Road, proxy: Proxy, server: RedisServer, beyond: Programs
) -> None:
    workers = [beyond.worker(), beyond.worker()]
    listen(beyond, server, workers)
    with unheard():
        two = Two(road, beyond)
    two.slow(None)
    beyond.sweeper()
    for _ in range(3):
        proxy.cut()
        time.sleep(0.5)
    until(lambda: any(two.on_the_wire()), "a request is on the wire", said=beyond.said)
    dice = random.Random(8)
    for _ in range(20):
        time.sleep(dice.uniform(0.1, 0.4))
        # Of a new connection the first 200 bytes or so are the greeting.
        proxy.cut_after = dice.choice((0, 0, 100, 250, 400, 1_000, 3_000))
        proxy.cut()
    proxy.cut_after = 0
    all_went_well(two, workers)


def test_a_wake_up_that_is_cut_at_any_byte_of_its_answers_troubles_nobody(
    road: Road, proxy: Proxy, server: RedisServer, settings: LazySettings
) -> None:
    settings.RQ_QUEUES = {name: {**told, "URL": url_of(proxy)} for name, told in settings.RQ_QUEUES.items()}
    found = set()
    with Redis.from_url(server.url) as client:
        for most in range(20, 1_200, 20):
            proxy.cut_after = most
            proxy.cut()
            assert wake("delivery", "shift")
            found.add((min(1, client.llen("rq:queue:delivery")), Wakeup.objects.count()))
            client.delete("rq:queue:delivery")
            Wakeup.objects.all().delete()
    assert {(0, 0), (1, 1)} <= found
    assert (0, 1) not in found, "a wake-up that never came is not waited for"


def test_an_answer_of_the_vendor_that_lands_while_the_pace_is_asked_in_vain_is_written(
    road: Road, proxy: Proxy, settings: LazySettings, beyond: Programs
) -> None:
    settings.REDIS_URL = url_of(proxy)
    with unheard():
        two = Two(road, beyond)
    two.slow(1_500)
    with ThreadPoolExecutor(1) as pool:
        shift = pool.submit(road.shift, two.qubit, 4)
        until(lambda: all(two.on_the_wire()), "a request is on the wire to each vendor")
        proxy.hold_back()
        shift.result()
    proxy.let_through()
    assert not Attempt.objects.filter(answer=None).exists()
    assert set(tally(two.qubit)) == set(tally(two.kiss)) == {"accepted", "queued"}


def test_while_nothing_comes_through_people_work_on_and_no_row_is_lost(
    road: Road, proxy: Proxy, server: RedisServer, beyond: Programs
) -> None:
    workers = [beyond.worker()]
    web = beyond.web().sign_in(road.olivia)
    listen(beyond, server, workers)
    with unheard():
        two = Two(road, beyond)
    two.slow(2_000)
    beyond.sweeper()
    until(lambda: all(two.on_the_wire()), "a request is on the wire to each vendor", said=beyond.said)
    proxy.hold_back()
    pages_open(web, two)
    for act in ("pause", "resume"):
        assert web.api("POST", f"/sends/{two.kiss.pk}/{act}")[0] == 202
    two.slow(None)
    proxy.let_through()
    all_went_well(two, workers)


def test_connections_that_are_silently_dead_keep_nobody_from_work_for_long(
    road: Road, proxy: Proxy, server: RedisServer, beyond: Programs
) -> None:
    """A firewall that forgot them: the worker that waits for work hears nothing, nor does the work-horse that begins.

    Redis gives the next wake-up to one that is not there any more; that one is lost.
    """
    workers = [beyond.worker(), beyond.worker()]
    listen(beyond, server, workers)
    with unheard():
        two = Two(road, beyond)
    two.slow(None)
    proxy.swallows_new, taken = True, proxy.taken
    wake("delivery", "shift")
    until(lambda: proxy.taken > taken, "a work-horse has asked Redis for something", said=beyond.said)
    assert proxy.forget() >= 3
    proxy.swallows_new = False
    beyond.sweeper()
    all_went_well(two, workers)
