"""A Redis that is killed and comes back with an old snapshot, forgets everything, hangs, is full or takes no writes."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings
from redis import Redis

from offline_portal.models import Send, Upload, Wakeup
from tests.conftest import Road
from tests.delivery.test_road import KISS
from tests.faults.programs import Programs, Web, until
from tests.faults.servers import RedisServer
from tests.faults.soundness import must_be_sound, tally
from tests.faults.test_workers import Two


@pytest.fixture
def server(tmp_path: Path, road: Road, settings: LazySettings) -> Iterator[RedisServer]:
    """A Redis of the test's own, which test and programs use."""
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    server.start()
    settings.REDIS_URL = server.url
    settings.RQ_QUEUES = {name: {**told, "URL": server.url} for name, told in settings.RQ_QUEUES.items()}
    yield server
    server.signal(signal.SIGCONT)
    server.kill()


@pytest.fixture
def beside(road: Road, server: RedisServer, tmp_path: Path) -> Iterator[Programs]:
    programs = Programs(tmp_path, server.url)
    programs.environment["DEBUG"] = "1"
    yield programs
    programs.end()


def overdue() -> None:
    """As if the time had passed after which a wake-up that nobody took is taken for lost."""
    Wakeup.objects.all().delete()


def test_killed_and_back_with_an_old_snapshot_nothing_is_sent_again_or_lost(
    road: Road, server: RedisServer, beside: Programs
) -> None:
    two = Two(road, beside)
    two.slow(None)
    with Redis.from_url(server.url) as client:
        assert client.llen("rq:queue:delivery") == 1
        client.save()
    old = server.snapshot.with_name("yesterday.rdb")
    shutil.copy(server.snapshot, old)
    beside.sweeper()
    beside.worker()
    assert two.end_well() == {"accepted": 250}
    later = road.queue(road.check(road.upload(KISS.replace("person", "later")), two.kiss.destination))
    server.kill()
    shutil.copy(old, server.snapshot)
    server.start()
    until(lambda: _finished(later), "what the snapshot did not know is sent", said=beside.said)
    assert tally(later) == {"accepted": 120}
    with Redis.from_url(server.url) as client:
        until(lambda: client.llen("rq:queue:delivery") == 0, "the old wake-ups were taken")
    assert two.on_the_wire() == [240, 3], "the snapshot's wake-ups sent nothing again"


def test_emptied_in_mid_run_all_goes_on(road: Road, server: RedisServer, beside: Programs) -> None:
    two = Two(road, beside)
    beside.sweeper()
    two.worker()
    with Redis.from_url(server.url) as client:
        client.flushall()
    two.slow(None)
    overdue()
    assert two.end_well() == {"accepted": 250}
    assert two.on_the_wire() == [120, 3]


def hang(server: RedisServer) -> None:
    server.signal(signal.SIGSTOP)


def die(server: RedisServer) -> None:
    server.kill()


def fill_up(server: RedisServer) -> None:
    with Redis.from_url(server.url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1")


def follow_nobody(server: RedisServer) -> None:
    with Redis.from_url(server.url) as client:
        client.replicaof("127.0.0.1", "1")


def back(server: RedisServer) -> None:
    """It is well again, whatever it had."""
    if server.server and server.server.poll() is not None:
        server.start()
    server.signal(signal.SIGCONT)
    with Redis.from_url(server.url) as client:
        client.replicaof("NO", "ONE")
        client.config_set("maxmemory", "0")


@pytest.mark.parametrize("fault", [die, hang, fill_up, follow_nobody])
def test_people_work_on_and_what_they_did_is_sent_once_redis_is_well_again(
    road: Road, server: RedisServer, beside: Programs, fault: object
) -> None:
    where = road.destination("kissmetrics")
    checked = road.check(road.upload(KISS), where)
    web = beside.web().sign_in(road.olivia)
    fault(server)  # type: ignore[operator]
    assert web.upload("/sends/new", KISS.encode(), "other.csv")[0] == 302
    status, _text = web.upload("/api/v1/uploads", KISS.encode(), "third.csv")
    assert status == 201
    for page in ("/", "/sends/", f"/sends/{checked.pk}/check", f"/sends/{checked.pk}/send", "/health-line"):
        assert web.get(page)[0] == 200, page
    assert web.post(f"/sends/{checked.pk}/send", when="now")[0] == 302
    status, shown = web.api("GET", f"/sends/{checked.pk}")
    assert (status, shown["status"], shown["counts"]["ready"]) == (200, "queueing", 120)
    assert web.get(f"/sends/{checked.pk}")[0] == 200
    told_by_health(web, fault)
    beside.worker("intake")
    beside.worker()
    beside.sweeper()
    back(server)
    overdue()
    until(lambda: _finished(checked), "it is sent", said=beside.said)
    assert must_be_sound(road, checked) == {"accepted": 120}
    until(lambda: Upload.objects.filter(status="ready").count() == 3, "both files are read", said=beside.said)
    assert "Traceback" not in web.program.said()


def told_by_health(web: Web, fault: object) -> None:
    status, facts = web.api("GET", "/health")
    assert status == 503
    if fault in (die, hang):
        assert "does not answer" in facts["redis"]
    else:
        assert "takes no writes" in facts["redis"]


def _finished(send: Send) -> bool:
    send.refresh_from_db()
    return send.status == "finished"
