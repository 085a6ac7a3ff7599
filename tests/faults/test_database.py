"""A database that is locked for long, loses its connections, or is restarted, while rows are on their way."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction

from connectors.emulator.testing import Emulator
from offline_portal.audit import chain
from offline_portal.models import Answer, Attempt, AuditEntry
from tests.conftest import PASSWORD, Road, make_people
from tests.delivery.test_road import KISS
from tests.faults.programs import Programs, database_url, until
from tests.faults.servers import Postgres, database_at, folder_for_all
from tests.faults.test_workers import Two

LOCK = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
database.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""
SOME_TIMEOUTS = 5.0
"""Seconds: several times as long as a program of these tests waits for a lock."""


@contextmanager
def locked() -> Iterator[None]:
    """Another program holds the lock that every writer needs."""
    if connection.vendor == "sqlite":
        command = [sys.executable, "-c", LOCK, str(connection.settings_dict["NAME"])]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            assert holder.stdout and holder.stdout.readline() == b"locked\n"
            yield
            holder.kill()
    else:
        with psycopg.connect(database_url()) as holder:
            holder.execute("LOCK TABLE portal_batch, portal_send, portal_audithead IN SHARE ROW EXCLUSIVE MODE")
            yield
            holder.rollback()


@pytest.fixture
def impatient(road: Road, redis_url: str, tmp_path: Path) -> Iterator[Programs]:
    programs = Programs(tmp_path, redis_url, "tests.faults.impatient")
    programs.environment["PORTAL_LEASE"] = "30"
    yield programs
    programs.end()


def test_answers_that_come_while_the_database_is_locked_are_written_when_it_is_free(
    road: Road, impatient: Programs
) -> None:
    two = Two(road, impatient)
    impatient.sweeper()
    worker = two.worker()
    with locked():
        begun = Attempt.objects.count()
        written = Answer.objects.count()
        # The answers come after ANSWER_MS: all of them find the door locked.
        time.sleep(4 + SOME_TIMEOUTS)
        assert sum(two.on_the_wire()) <= begun == Attempt.objects.count(), "nothing leaves without a record"
        assert Answer.objects.count() == written
    two.slow(None)
    assert two.end_well() == {"accepted": 250}, "no answer was lost"
    assert sum(two.on_the_wire()) == 123 == Attempt.objects.count()
    assert "waits for the database" in worker.said() and "Traceback" not in impatient.said()


@pytest.mark.parametrize("debug", ["0", "1"])
def test_pages_and_calls_say_that_they_could_not_while_the_database_is_locked(
    road: Road, impatient: Programs, debug: str
) -> None:
    send = road.queue(road.check(road.upload(KISS), road.destination("kissmetrics")))
    web = impatient.web(DEBUG=debug).sign_in(road.olivia)
    stranger = web.stranger()
    uploads = set(Path(settings.MEDIA_ROOT).rglob("*"))
    with locked():
        said = [
            web.post(f"/sends/{send.pk}/do/pause"), web.upload("/sends/new", KISS.encode()),
            web.post("/account/logout/"), stranger.post("/account/login/", login="olivia", password=PASSWORD),
        ]  # fmt: skip
        assert [status for status, _page in said] == [503] * 4, said
        for _status, page in said:
            assert "The database does not answer" in page and "Traceback" not in page and "id to quote" in page
        assert web.api("POST", f"/sends/{send.pk}/pause")[0] == 503
        status, answer = web.api("POST", f"/sends/{send.pk}/pause", None, Idempotency_Key="once")
        assert (status, answer["error"]["code"]) == (503, "unavailable")
        assert web.upload("/api/v1/uploads", KISS.encode())[0] == 503
        if connection.vendor == "sqlite":
            assert web.get(f"/sends/{send.pk}")[0] == web.get("/")[0] == 200, "what only reads still works"
    assert set(Path(settings.MEDIA_ROOT).rglob("*")) == uploads, "nothing is half-stored"
    assert web.api("POST", f"/sends/{send.pk}/pause", None, Idempotency_Key="once")[0] == 202
    assert web.post(f"/sends/{send.pk}/do/resume")[0] == 302
    assert web.upload("/sends/new", KISS.encode())[0] == 302


STOPPED = """
import os, signal
import django
django.setup()
from django.db import transaction
from offline_portal.audit import chain
with transaction.atomic():
    chain.add("portal", "send.paused", "send:1", {})
    os.kill(os.getpid(), signal.SIGSTOP)
"""


def test_a_program_that_is_stopped_in_mid_transaction_does_not_keep_its_locks(impatient: Programs) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has no server that could end the transaction of a stopped program")
    stopped = impatient.start("stopped", "-c", STOPPED)
    until(lambda: _state(stopped.pid) == "T", "it holds the end of the audit log", said=stopped.said)
    with transaction.atomic():
        chain.add("portal", "send.resumed", "send:1", {})
    stopped.signal(signal.SIGCONT)
    assert stopped.ended() == 1 and "idle-in-transaction timeout" in stopped.said()
    assert chain.verify().ok and not AuditEntry.objects.filter(action="send.paused").exists()


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.fixture
def own_server(transactional_db: None, redis_url: str, emulator: Emulator, tmp_path: Path) -> Iterator[OwnServer]:
    """A PostgreSQL of the test's own, which test and programs use."""
    with ExitStack() as stack:
        server = Postgres(stack.enter_context(folder_for_all()))
        stack.callback(server.end)
        server.started()
        stack.enter_context(database_at(server.url))
        programs = Programs(tmp_path, redis_url)
        stack.callback(programs.end)
        programs.environment["PORTAL_LEASE"] = "30"
        yield OwnServer(Road(make_people(), emulator, tmp_path), programs, server)


class OwnServer(NamedTuple):
    road: Road
    programs: Programs
    server: Postgres


def cut_all(server: Postgres) -> None:
    server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")


def restart(server: Postgres) -> None:
    server.end()
    time.sleep(2)
    server.started()


def crash(server: Postgres) -> None:
    server.end(signal.SIGQUIT)
    server.started()


@pytest.mark.own_stores
@pytest.mark.parametrize("fault", [cut_all, restart, crash])
def test_a_postgresql_that_is_cut_off_restarted_or_crashes_in_mid_send_costs_nothing(
    own_server: OwnServer, fault: Callable[[Postgres], None]
) -> None:
    two = Two(own_server.road, own_server.programs)
    own_server.programs.sweeper()
    worker = two.worker()
    fault(own_server.server)
    connection.close()
    time.sleep(2)
    two.slow(None)
    assert two.end_well() == {"accepted": 250}, "no answer was lost"
    assert two.on_the_wire() == [120, 3]
    assert "Traceback" not in worker.said()


@pytest.mark.own_stores
def test_after_everything_was_killed_at_once_committed_claims_stand_and_all_goes_on(own_server: OwnServer) -> None:
    own_server.programs.environment["PORTAL_LEASE"] = "3"
    two = Two(own_server.road, own_server.programs)
    own_server.programs.sweeper()
    two.worker()
    begun = set(Attempt.objects.values_list("pk", flat=True))
    connection.close()
    own_server.programs.end()
    own_server.server.end(signal.SIGQUIT)
    own_server.server.started()
    assert begun <= set(Attempt.objects.values_list("pk", flat=True))
    two.slow(None)
    own_server.programs.sweeper()
    own_server.programs.worker()
    assert two.end_well()["unknown"] >= 100
