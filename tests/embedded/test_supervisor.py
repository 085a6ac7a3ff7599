"""Programs are kept alive, their words shown, and nothing of them is left at the end."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from offline_portal.embedded.children import Child
from offline_portal.embedded.logs import Log
from offline_portal.embedded.supervisor import Supervisor
from tests.embedded.conftest import alive, start, wait_until

SLEEP = "import time; time.sleep(60)"
WITH_A_CHILD = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
inner = subprocess.Popen([sys.executable, "-c", "import os, time; os.setpgrp(); time.sleep(60)"])
print(inner.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    monkeypatch.setattr("offline_portal.embedded.supervisor.GRACE", 1.0)
    log = Log(tmp_path / "run.log")
    supervisor = Supervisor(log)
    yield supervisor
    supervisor.end()
    log.close()


def python(name: str, code: str) -> Child:
    return Child(name, [sys.executable, "-c", code], dict(os.environ))


def look(supervisor: Supervisor, seconds: float) -> None:
    last = time.monotonic() + seconds
    supervisor.watch(until=lambda: time.monotonic() > last)


def test_what_is_killed_is_started_again(supervisor: Supervisor) -> None:
    child = python("one", SLEEP)
    supervisor.add(child)
    first = child.pid
    assert first
    os.kill(first, signal.SIGKILL)
    supervisor.watch(until=lambda: child.pid not in (None, first))
    assert child.deaths == 1


def test_what_keeps_dying_is_started_less_and_less_often(supervisor: Supervisor, tmp_path: Path) -> None:
    count = tmp_path / "count"
    supervisor.add(python("faulty", f"open({str(count)!r}, 'a').write('x')"))
    look(supervisor, 2.5)
    assert 2 <= len(count.read_text()) <= 4


def test_the_end_reaches_children_of_children_that_do_not_listen(
    supervisor: Supervisor, capsys: pytest.CaptureFixture[str]
) -> None:
    child = python("stubborn", WITH_A_CHILD)
    supervisor.add(child)
    said: list[str] = []
    supervisor.watch(until=lambda: bool(said.extend(capsys.readouterr().out.split()) or said))
    inner = int(said[-1])
    assert alive(inner)
    outer = child.pid
    supervisor.end()
    assert outer
    assert not alive(inner)
    assert not alive(outer)


def test_a_second_signal_ends_at_once(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offline_portal.embedded.supervisor.GRACE", 60.0)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGHUP)
    try:
        supervisor.listen_to_signals()
        supervisor.add(python("stubborn", WITH_A_CHILD))
        look(supervisor, 0.5)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        began = time.monotonic()
        supervisor.end()
        assert time.monotonic() - began < 5
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), before, strict=True):
            signal.signal(number, handler)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends programs with their parent")
def test_a_killed_supervisor_takes_its_children_with_it() -> None:
    code = (
        "import os, sys, time\n"
        "from offline_portal.embedded.children import Child\n"
        f"child = Child('one', [sys.executable, '-c', {SLEEP!r}], dict(os.environ))\n"
        "child.start()\nprint(child.pid, flush=True)\ntime.sleep(60)\n"
    )
    with start("-c", code) as outer:
        assert outer.stdout
        inner = int(outer.stdout.readline())
        assert alive(inner)
        outer.kill()
    assert wait_until(lambda: not alive(inner))


def test_the_file_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offline_portal.embedded.logs.LARGEST_FILE", 1000)
    log = Log(tmp_path / "run.log")
    for number in range(200):
        log.line("web", f"line {number}")
    log.close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2100
    assert (tmp_path / "run.log").read_text().endswith("web: line 199\n")


def test_the_screen_shows_the_gist_of_a_traceback_and_the_file_all_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Log(tmp_path / "run.log")
    printed = [
        "2026-11-21 01:20:14,766 INFO offline_portal.worker: listening on intake",
        "2026-11-21 01:20:15,000 ERROR django.request: Internal Server Error: /x",
        "Traceback (most recent call last):",
        '  File "x.py", line 1, in <module>',
        "KeyError: 'icon'",
        "",
        "During handling of the above exception, another exception occurred:",
        "",
        "Traceback (most recent call last):",
        '  File "y.py", line 2, in f',
        "ValueError: no such tag",
        "on we go",
    ]
    for line in printed:
        log.line("web", line)
    log.close()
    assert capsys.readouterr().out.splitlines() == [
        "       web | 01:20:14 listening on intake",
        "       web | 01:20:15 ERROR Internal Server Error: /x",
        "       web | KeyError: 'icon'",
        "       web | ValueError: no such tag",
        "       web | on we go",
    ]
    assert (tmp_path / "run.log").read_text().splitlines() == [f"web: {line}" for line in printed]
