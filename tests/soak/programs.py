"""The portal's programs under the soak: started as production starts them, hit by signals, started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from offline_portal import lifeline
from tests.embedded.conftest import ROOT, alive, descendants, wait_until

BACK_AFTER = 0.5
"""Seconds until a program that ended is started again, as systemd or a container's restart rule does."""
PATIENCE = 60.0
WEB_PROCESSES = "2"
"""So that one is still there when the other is killed."""


class Process(NamedTuple):
    """One process; its id alone may be given to another one later."""

    pid: int
    born: str

    @classmethod
    def of(cls, pid: int) -> Process:
        return cls(pid, _born(pid))

    def lives(self) -> bool:
        return alive(self.pid) and _born(self.pid) == self.born

    def send(self, number: int) -> None:
        """A signal; nothing happens when it is gone."""
        if self.lives():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def _born(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


class Program:
    """One program, whichever incarnation of it lives."""

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        self.name, self._command, self._environment, self._log = name, command, environment, log
        self._running: subprocess.Popen[bytes] | None = None
        self._ended_at = 0.0
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        return self._running.pid if self._running and alive(self._running.pid) else None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._running = subprocess.Popen(
                [sys.executable, *self._command], cwd=ROOT, env=self._environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True, preexec_fn=self._end_with_us,
            )  # fmt: skip
        self.starts += 1

    @staticmethod
    def _end_with_us() -> None:
        lifeline.end_with(os.getppid())

    def look_after(self) -> None:
        """Start it again some time after it ended."""
        if self.pid is not None:
            return
        if self._running is not None:
            self._running.wait()
            self._running, self._ended_at = None, time.monotonic()
        if time.monotonic() - self._ended_at >= BACK_AFTER:
            self.start()

    def family(self) -> list[Process]:
        """Itself and its work-horses, the parent first; empty while it does not run."""
        return [Process.of(pid) for pid in (self.pid, *descendants(self.pid))] if self.pid else []


class Programs:
    """Delivery workers, one intake worker, the sweeper, and where a `port` is given the web server."""

    def __init__(self, folder: Path, environment: Mapping[str, str], workers: int, port: int | None = None) -> None:
        commands = {f"delivery {number}": ["manage.py", "worker", "delivery"] for number in range(1, workers + 1)}
        commands["intake"] = ["manage.py", "worker", "intake"]
        commands["sweeper"] = ["manage.py", "sweeper"]
        if port is not None:
            commands["web"] = ["-m", "gunicorn", "-c", "python:offline_portal.gunicorn", "offline_portal.wsgi"]
            environment = {**environment, "PORT": str(port), "WEB_CONCURRENCY": WEB_PROCESSES}
        self.all = {
            name: Program(name, command, environment, folder / f"{name}.log") for name, command in commands.items()
        }
        self.workers = [program for name, program in self.all.items() if name.startswith("delivery")]
        self._seen: set[Process] = set()

    def look_after(self) -> None:
        """Start again what ended."""
        for program in self.all.values():
            program.look_after()
            self._seen.update(program.family())
        self._seen = {process for process in self._seen if process.lives()}

    def are_up(self) -> bool:
        return all(program.pid for program in self.all.values())

    def end(self) -> None:
        """End all of them in order, and make sure that nothing is left behind."""
        for program in self.all.values():
            for process in program.family():
                process.send(signal.SIGCONT)
            for process in program.family()[:1]:
                process.send(signal.SIGTERM)
        if not wait_until(lambda: not any(process.lives() for process in self._seen), PATIENCE):
            for process in self._seen:
                process.send(signal.SIGKILL)
