"""Workers that are killed, stopped, told to end or doubled: real processes over real sockets.

Each test sends to two vendors at once: KISSmetrics counts a repeat once, Qubit does not.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from connectors.base import NeverSent, Request
from connectors.http import CONNECT_SECONDS, HELD_UP_SECONDS, HttpDoor
from offline_portal.models import Answer, Attempt, AuditEntry, Batch, Delivery, Send
from tests.conftest import Road
from tests.delivery.test_road import KISS, QUBIT
from tests.embedded.conftest import alive
from tests.faults.programs import Program, Programs, until
from tests.faults.soundness import must_be_sound, tally
from tests.wire.server import answer_bytes, http_answer, wire_server

VENDORS = ("kissmetrics", "qubit")
ANSWER_MS = 4_000
LATEST_START = CONNECT_SECONDS + HELD_UP_SECONDS + 1


class Two:
    """A Send to each of the two vendors, which store at once and answer late."""

    def __init__(self, road: Road, programs: Programs) -> None:
        self.road, self.programs = road, programs
        self.slow(ANSWER_MS)
        # Of Qubit's three requests two are on the wire at once, of KISSmetrics' hundred and twenty at most forty.
        self.kiss = self._queued("kissmetrics", KISS, 40)
        self.qubit = self._queued("qubit", QUBIT, 2)
        self.sends = (self.kiss, self.qubit)

    def _queued(self, vendor: str, text: str, rate: float) -> Send:
        where = self.road.destination(vendor, values={"rate": rate})
        return self.road.queue(self.road.check(self.road.upload(text), where))

    def slow(self, milliseconds: int | None) -> None:
        for vendor in VENDORS:
            self.road.emulator.change(vendor, delay_ms=milliseconds)

    def on_the_wire(self) -> list[int]:
        """Requests that each vendor has received."""
        return [self.road.emulator.counts(vendor)["requests"] for vendor in VENDORS]

    def worker(self, **environment: str) -> Program:
        """A worker with requests at both vendors whose answers have not come yet."""
        worker = self.programs.worker(**environment)
        until(lambda: all(self.on_the_wire()), "a request is on the wire to each vendor", said=self.programs.said)
        assert worker.horse()
        return worker

    def has_sent_more_than(self, before: list[int]) -> bool:
        return self.over() or self.on_the_wire() > before

    def over(self) -> bool:
        for send in self.sends:
            send.refresh_from_db()
        return all(send.status == "finished" for send in self.sends)

    def end_well(self) -> dict[str, int]:
        """The counts of Qubit's rows when all is over; KISSmetrics' are all accepted."""
        until(self.over, "somebody has sent the rest", said=self.programs.said)
        assert must_be_sound(self.road, self.kiss) == {"accepted": 120}, "a repeat is harmless there"
        found = must_be_sound(self.road, self.qubit)
        assert found.get("unknown", 0) + found.get("accepted", 0) == 250
        return found


@pytest.fixture
def two(road: Road, programs: Programs) -> Two:
    return Two(road, programs)


def both(worker: Program) -> None:
    worker.kill()


def horse_alone(worker: Program) -> None:
    worker.signal(signal.SIGKILL, worker.horse() or 0)


@pytest.mark.parametrize("kill", [both, horse_alone])
def test_a_killed_worker_is_taken_over(two: Two, programs: Programs, kill: Callable[[Program], None]) -> None:
    worker = two.worker()
    kill(worker)
    two.slow(None)
    if kill is both:
        programs.worker()
    else:
        assert alive(worker.pid)
    programs.sweeper()
    found = two.end_well()
    assert found["unknown"] >= 100 and found["accepted"] >= 50
    lost = Delivery.objects.filter(send=two.qubit, status="unknown").first()
    assert "stopped before an answer" in lost.message
    assert Answer.objects.filter(error__contains="stopped before an answer").count() >= 2


def test_a_work_horse_whose_parent_is_killed_finishes_its_flight_and_sends_no_more(
    two: Two, programs: Programs
) -> None:
    worker = two.worker()
    horse = worker.horse() or 0
    worker.signal(signal.SIGKILL, worker.pid)
    until(lambda: not alive(horse), "the work-horse has ended by itself")
    assert Attempt.objects.filter(answer=None).count() == 0, "what was on the wire has its answer"
    for send in two.sends:
        assert set(tally(send)) == {"accepted", "queued"}
    before = two.on_the_wire()
    two.slow(None)
    programs.sweeper()
    programs.worker()
    found = two.end_well()
    assert found == {"accepted": 250}
    assert two.on_the_wire() == [120, 3] and before[0] < 120, "no request went twice"


def asleep_since(begun: float) -> None:
    """Wait until somebody who was stopped then has slept for longer than a request may take to leave."""
    time.sleep(max(0.0, begun + LATEST_START - time.monotonic()))


def test_a_worker_that_slept_for_longer_than_its_lease_is_fenced_out(two: Two, programs: Programs) -> None:
    worker = two.worker()
    horse = worker.horse() or 0
    begun = time.monotonic()
    worker.signal(signal.SIGSTOP)
    asleep = {batch.pk: batch.fence for batch in Batch.objects.filter(lease_until__isnull=False)}
    assert len(asleep) == 2
    two.slow(None)
    programs.sweeper()
    programs.worker()
    found = two.end_well()
    assert found["unknown"] >= 100
    requests, answers = two.on_the_wire(), set(Answer.objects.values_list("pk", "ended_at", "error"))
    asleep_since(begun)
    worker.signal(signal.SIGCONT)
    until(lambda: worker.horse() != horse, "the work-horse has seen that its claim is lost")
    assert "Traceback" not in worker.said()
    assert two.on_the_wire() == requests, "it sent nothing any more"
    assert set(Answer.objects.values_list("pk", "ended_at", "error")) == answers, "and wrote nothing"
    assert all(Batch.objects.get(pk=pk).fence > fence for pk, fence in asleep.items())
    assert two.end_well() == found


def test_a_work_horse_that_slept_while_its_parent_was_killed_is_fenced_out(two: Two, programs: Programs) -> None:
    """The most dangerous case: nobody watches it, and it knows nothing of it."""
    worker = two.worker()
    horse = worker.horse() or 0
    begun = time.monotonic()
    worker.signal(signal.SIGSTOP, horse)
    worker.signal(signal.SIGKILL, worker.pid)
    two.slow(None)
    programs.sweeper()
    programs.worker()
    found = two.end_well()
    requests, outcomes = two.on_the_wire(), Attempt.objects.count()
    asleep_since(begun)
    worker.signal(signal.SIGCONT, horse)
    until(lambda: not alive(horse), "it has ended")
    assert (two.on_the_wire(), Attempt.objects.count()) == (requests, outcomes)
    assert two.end_well() == found


def test_asked_to_end_it_finishes_the_flight_and_leaves_the_rest(two: Two, programs: Programs) -> None:
    worker = two.worker()
    worker.signal(signal.SIGTERM, worker.pid)
    assert worker.ended() == 0
    assert Attempt.objects.filter(answer=None).count() == 0
    for send in two.sends:
        assert set(tally(send)) == {"accepted", "queued"}
    assert Batch.objects.filter(lease_until__isnull=False).count() == 0, "it gave its claims back"
    two.slow(None)
    programs.sweeper()
    programs.worker()
    assert two.end_well() == {"accepted": 250}
    assert two.on_the_wire() == [120, 3]


def test_asked_twice_it_ends_at_once_and_is_taken_over(two: Two, programs: Programs) -> None:
    two.slow(60_000)
    worker = two.worker()
    worker.signal(signal.SIGTERM, worker.pid)
    # RQ takes a second signal within a second for the same one.
    time.sleep(1.5)
    assert alive(worker.pid), "it waits for the answers"
    worker.signal(signal.SIGTERM, worker.pid)
    worker.ended(20)
    assert Attempt.objects.filter(answer=None).exists()
    two.slow(None)
    programs.sweeper()
    programs.worker()
    assert two.end_well()["unknown"] >= 100


def test_a_connection_that_took_longer_than_it_may_is_not_used_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine was suspended while connecting: by now another worker may have taken the rows."""
    connect = aiohttp.TCPConnector.connect

    async def connect_and_sleep(*arguments: Any, **options: Any) -> Any:
        connection = await connect(*arguments, **options)
        later = time.monotonic() + LATEST_START
        monkeypatch.setattr("connectors.http.time", SimpleNamespace(monotonic=lambda: later))
        return connection

    async def ask(address: str) -> None:
        async with HttpDoor(allow_private=True) as door:
            await door.send(Request("POST", address, body=b"{}"), 30)

    monkeypatch.setattr("aiohttp.TCPConnector.connect", connect_and_sleep)
    with wire_server(answer_bytes(http_answer())) as server:
        with pytest.raises(NeverSent, match="held up"):
            asyncio.run(ask(server.url))
        assert server.seen == []


def test_two_sweepers_take_over_once(two: Two, programs: Programs) -> None:
    for _ in range(2):
        programs.sweeper(PORTAL_SWEEP_EVERY="0.05")
    worker = two.worker()
    for _round in range(3):
        worker.kill()
        until(lambda: not Attempt.objects.filter(answer=None).exists(), "what was begun is closed", said=programs.said)
        worker = programs.worker()
        before = two.on_the_wire()
        until(partial(two.has_sent_more_than, before), "the next one sends", said=programs.said)
    two.slow(None)
    assert two.end_well()["unknown"] >= 100
    closed = AuditEntry.objects.filter(action="delivery.outcomes").values_list("detail", flat=True)
    numbers = [number for detail in closed for number in json.loads(detail)["attempts"]]
    assert len(numbers) == len(set(numbers)) == Attempt.objects.count(), "each attempt is closed once"
    assert "Traceback" not in programs.said()


def test_a_request_may_take_longer_than_the_lease(two: Two, programs: Programs) -> None:
    two.slow(9_000)
    programs.sweeper()
    two.worker(PORTAL_LEASE="3")
    time.sleep(4)
    two.slow(None)
    assert two.end_well() == {"accepted": 250}, "the claim was renewed while the answer was awaited"
    assert two.on_the_wire() == [120, 3]


def test_what_is_no_work_of_this_version_is_refused_and_the_worker_goes_on(
    two: Two, programs: Programs, redis_url: str
) -> None:
    two.slow(None)
    with Redis.from_url(redis_url) as client:
        client.delete("rq:queue:delivery")
        queue = Queue("delivery", connection=client, serializer=JSONSerializer)
        for work in ("polish:1", "read", "read:one", "shift:1", "", "queue:999999"):
            queue.enqueue("offline_portal.wake.start", work, 1, job_timeout=-1)
        queue.enqueue("offline_portal.wake.start", "shift", "no note", job_timeout=-1)
        queue.enqueue("offline_portal.wake.start", job_timeout=-1)
        queue.enqueue("offline_portal.no_such.thing", 1, job_timeout=-1)
        # As an older version of the portal, or a stranger, may have left it: pickled.
        Queue("delivery", connection=client).enqueue("os.getpid", job_timeout=-1)
        worker = programs.worker()
        until(lambda: client.llen("rq:queue:delivery") == 0, "all of it was taken", said=programs.said)
        queue.enqueue("offline_portal.wake.start", "shift", 1, job_timeout=-1)
        assert two.end_well() == {"accepted": 250}
        assert alive(worker.pid)
    said = worker.said()
    for work in ("polish:1", "read", "read:one", "shift:1"):
        assert f"“{work}” is no work" in said
    assert "Traceback" not in said
