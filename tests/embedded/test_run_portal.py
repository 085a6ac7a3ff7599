"""`make run` as a person starts it: it comes up, mends itself, ends without a trace, and keeps its data."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.embedded.conftest import free_ports, wait_until
from tests.embedded.runs import PROGRAMS, Run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    run = Run(tmp_path_factory.mktemp("portal"), *free_ports(2))
    yield run
    if run.program and run.program.poll() is None:
        run.program.kill()


def test_it_comes_up_in_the_order_of_a_persons_day(run: Run) -> None:
    run.start()
    assert wait_until(run.is_up, 60), run.health()
    facts = run.health()
    assert facts["database"] == facts["redis"] == "ok"
    assert {worker["name"].partition("-")[0] for worker in facts["workers"]} == {"intake", "delivery"}
    assert facts["sweeper"]["ok"]
    assert set(run.programs()) == set(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_dies_is_back_within_ten_seconds(run: Run, name: str) -> None:
    before = run.programs()[name]
    os.kill(before, signal.SIGKILL)
    began = time.monotonic()
    assert wait_until(lambda: run.programs().get(name, before) != before, 10)
    assert wait_until(run.is_up, 10 - (time.monotonic() - began)), run.health()


def test_a_second_run_on_the_same_data_is_refused(run: Run) -> None:
    second = Run(run.folder, run.port, run.emulator_port)
    said, _ = second.start().communicate(timeout=30)
    assert second.program
    assert second.program.returncode == 2
    assert said.strip() == (
        f"The portal already runs on {run.folder} (process {run.pid}). "
        "End that one first, or set PORTAL_DATA to another folder."
    )


def test_a_run_on_a_port_in_use_is_refused(run: Run, tmp_path: Path) -> None:
    second = Run(tmp_path, run.port, run.emulator_port)
    said, _ = second.start().communicate(timeout=30)
    assert second.program
    assert second.program.returncode == 2
    assert said.startswith(f"Port {run.port} is already used by another program.")


def test_ctrl_c_leaves_nothing_but_the_data(run: Run) -> None:
    socket = Path((run.folder / "redis.url").read_text().strip().removeprefix("unix://"))
    assert socket.exists()
    said = run.end(signal.SIGINT)
    assert not socket.parent.exists()
    assert f"http://localhost:{run.port}" in said
    assert f"http://127.0.0.1:{run.emulator_port}" in said
    assert all(name in said for name in ("olivia", "oscar", "adam", "audrey", "offline-portal-demo", str(run.folder)))
    assert "Traceback" not in said


def test_the_second_start_is_fast_and_keeps_what_was_there(run: Run) -> None:
    with sqlite3.connect(run.folder / "portal.sqlite3") as database:
        database.execute("UPDATE portal_destination SET name = name || ', renamed'")
        (count,) = database.execute("SELECT count(*) FROM portal_destination").fetchone()
    began = time.monotonic()
    run.start()
    assert wait_until(lambda: run.get(run.port, "/account/login/")[0] == 200, 30)
    # The promise is for a machine that has nothing else to do.
    others = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    assert time.monotonic() - began < 10 * others
    with sqlite3.connect(run.folder / "portal.sqlite3") as database:
        names = [name for (name,) in database.execute("SELECT name FROM portal_destination")]
    assert len(names) == count > 0
    assert all(name.endswith(", renamed") for name in names)


def test_a_kill_of_the_whole_leaves_nothing_either(run: Run) -> None:
    assert wait_until(run.is_up, 30)
    run.end(signal.SIGKILL)


def test_it_starts_over_a_redis_file_that_cannot_be_read(run: Run) -> None:
    damaged = [path for path in (run.folder / "redis").rglob("*") if path.suffix in (".rdb", ".aof", ".manifest")]
    assert damaged
    for path in damaged:
        path.write_bytes(b"\0" * 100)
    run.start()
    assert wait_until(run.is_up, 40), run.health()
    run.end(signal.SIGTERM)
