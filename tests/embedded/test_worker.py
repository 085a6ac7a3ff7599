"""The worker over a real Redis: it works, ends warmly, and outlives a Redis that goes, comes or forgets."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from rq import Callback, Queue
from rq.serializers import JSONSerializer

from offline_portal.embedded import redis_server
from tests.embedded.conftest import alive, start, wait_until


class Bench:
    """A Redis, a queue on it, and a file in which jobs leave their words."""

    def __init__(self, url: str, file: Path) -> None:
        self.url = url
        self.client = redis.Redis.from_url(url)
        self.queue = Queue("delivery", connection=self.client, serializer=JSONSerializer)
        self.file = file

    def lines(self) -> list[str]:
        return self.file.read_text().splitlines() if self.file.exists() else []

    def enqueue(self, job: str, *arguments: object, **options: object) -> None:
        self.queue.enqueue(f"tests.embedded.jobs.{job}", str(self.file), *arguments, **options)

    def registered(self) -> set[bytes]:
        return self.client.smembers("rq:workers")

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[str]]:
        known = {"REDIS_URL": self.url, "DJANGO_SETTINGS_MODULE": "tests.embedded.settings"}
        with start("manage.py", "worker", "delivery", **known) as worker:
            try:
                assert wait_until(self.registered)
                yield worker
            finally:
                worker.kill()


@pytest.fixture
def bench(short: Path) -> Iterator[Bench]:
    with redis_server.running(short) as url:
        yield Bench(url, short / "words")


def test_it_works_off_its_queue_and_only_its_queue(bench: Bench) -> None:
    other = Queue("intake", connection=bench.client, serializer=JSONSerializer)
    other.enqueue("tests.embedded.jobs.note", str(bench.file), "not mine")
    with bench.worker():
        bench.enqueue("note", "mine")
        assert wait_until(bench.lines)
    assert bench.lines() == ["mine"]


def test_what_is_not_the_portals_is_refused_and_never_run(bench: Bench) -> None:
    """Whoever can write to Redis must not be able to run code: neither by a pickle nor by a name."""
    victim = bench.file.with_name("victim")
    callback = {"on_success": Callback("tests.embedded.jobs.note")}
    with bench.worker() as worker:
        bench.queue.enqueue("os.mkdir", str(victim))
        bench.queue.enqueue("offline_portal.no_such.thing", 1)
        Queue("delivery", connection=bench.client).enqueue("os.mkdir", str(victim))
        bench.enqueue("note", "with a callback", **callback)
        bench.enqueue("note", "mine")
        assert wait_until(bench.lines)
        assert bench.lines() == ["mine"] and not victim.exists()
        assert bench.client.llen("rq:queue:delivery:intermediate") == 0
        worker.terminate()
        said = worker.communicate(timeout=20)[0]
    assert said.count("is not one of the portal's") == 4 and "Traceback" not in said


def test_a_time_limit_on_a_job_is_not_kept(bench: Bench) -> None:
    with bench.worker():
        bench.enqueue("slow", 1.5, job_timeout=1)
        assert wait_until(lambda: "done" in bench.lines())


def test_asked_to_end_it_has_the_job_end_early(bench: Bench) -> None:
    with bench.worker() as worker:
        bench.enqueue("until_stopped")
        assert wait_until(bench.lines)
        worker.terminate()
        assert worker.wait(10) == 0
    assert bench.lines()[1:] == ["stopped early"]
    assert bench.registered() == set()


def test_idle_it_ends_at_once(bench: Bench) -> None:
    with bench.worker() as worker:
        worker.terminate()
        assert worker.wait(5) == 0


def test_a_killed_worker_leaves_no_job_working_for_long(bench: Bench) -> None:
    with bench.worker() as worker:
        bench.enqueue("until_stopped")
        assert wait_until(bench.lines)
        horse = int(bench.lines()[0].split()[1])
        worker.kill()
        assert wait_until(lambda: not alive(horse))
    assert bench.lines()[1:] == ["stopped early"]


def test_a_redis_that_forgot_everything_hears_of_it_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with bench.worker():
        bench.client.flushall()
        bench.enqueue("note", "after")
        assert wait_until(bench.lines)
        assert wait_until(bench.registered)
        (key,) = bench.registered()
        assert {b"pid", b"hostname", b"queues", b"last_heartbeat"} <= set(bench.client.hgetall(key))


def test_it_outlives_a_redis_that_is_killed_while_it_waits(short: Path) -> None:
    _outlive(short, lambda bench: None)


def test_it_outlives_a_redis_that_is_killed_while_it_works(short: Path) -> None:
    def begin(bench: Bench) -> None:
        bench.enqueue("slow", 1.0)
        assert wait_until(bench.lines)

    _outlive(short, begin)


def _outlive(folder: Path, before: Callable[[Bench], None]) -> None:
    plan = redis_server.plan(folder)
    with subprocess.Popen(plan.command) as server:
        assert redis_server.answers(plan.url, within=10)
        bench = Bench(plan.url, folder / "words")
        with bench.worker() as worker:
            before(bench)
            server.kill()
            server.wait()
            with redis_server.running(folder):
                bench.enqueue("note", "here again")
                assert wait_until(lambda: "here again" in bench.lines(), 15)
                worker.terminate()
                assert worker.wait(10) == 0


def test_asked_to_end_while_redis_is_away_it_ends(short: Path) -> None:
    plan = redis_server.plan(short)
    with subprocess.Popen(plan.command) as server:
        assert redis_server.answers(plan.url, within=10)
        with Bench(plan.url, short / "words").worker() as worker:
            server.kill()
            server.wait()
            os.kill(worker.pid, signal.SIGTERM)
            assert worker.wait(10) is not None


def test_without_a_redis_it_says_what_to_do(short: Path) -> None:
    with start("manage.py", "worker", "delivery", REDIS_URL="", PORTAL_DATA=str(short)) as worker:
        said, _ = worker.communicate(timeout=30)
    assert worker.returncode == 2
    assert said == "No Redis is known. Set REDIS_URL, or start the portal with make run.\n"
