"""One program that a run starts, watches and ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from offline_portal.lifeline import end_with

LONGEST_PAUSE = 5.0
"""Seconds between two starts of a program that keeps dying."""
STABLE_AFTER = 10.0
"""A program that lived for so many seconds is started again without a pause."""
BROKEN_AFTER = 3
"""A program that died young so many times in a row will not mend by itself."""
_SLOWEST_DEATH = 5.0


class Child:
    """A program in a session of its own, so that all it starts can be found and ended with it."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        mend: Callable[[], None] | None = None,
        folder: Path | None = None,
    ) -> None:
        """`mend` is called once before another start when it has died young for the third time in a row."""
        self.name = name
        self.deaths = 0
        """How often in a row it died young."""
        self._command = command
        self._environment = environment
        self._mend = mend
        self._folder = folder
        self._popen: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._not_before = 0.0
        self._sessions: set[int] = set()

    @property
    def pid(self) -> int | None:
        """Its process id, while it lives."""
        return self._popen.pid if self._popen else None

    @property
    def output(self) -> int:
        """The file descriptor of what it prints, not blocking."""
        if self._popen is None or self._popen.stdout is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._popen.stdout.fileno()

    def start(self) -> None:
        """Start it. Must be called from the main thread: its life is bound to that of the caller's thread."""
        if self._mend and self.deaths == BROKEN_AFTER:
            self._mend()
        self._popen = subprocess.Popen(  # noqa: S603
            self._command, env=self._environment, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, bufsize=0, start_new_session=True,
            preexec_fn=partial(end_with, os.getpid()),
        )  # fmt: skip
        os.set_blocking(self.output, False)
        self._started = time.monotonic()
        # A session that has ended is forgotten: its number may be given to a stranger.
        self._sessions = (self._sessions & set(_sessions().values())) | {self._popen.pid}

    def ended(self) -> str:
        """How it ended, in words, once it has; empty while it runs or before it was started."""
        if self._popen is None or self._popen.poll() is None:
            return ""
        code = self._popen.returncode
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"

    def bury(self) -> None:
        """Forget the dead program and decide when the next one may start."""
        if self._popen and self._popen.stdout:
            self._popen.stdout.close()
        self._popen = None
        self.deaths = 0 if time.monotonic() - self._started > STABLE_AFTER else self.deaths + 1
        pause = min(LONGEST_PAUSE, 0.25 * 2**self.deaths) if self.deaths else 0.0
        self._not_before = time.monotonic() + pause

    @property
    def is_due(self) -> bool:
        """Whether it should be started now."""
        return self._popen is None and time.monotonic() >= self._not_before

    def ask_to_end(self) -> None:
        """Send SIGTERM to it alone; it tells its own children."""
        if self._popen and self._popen.poll() is None:
            self._popen.terminate()

    def left_behind(self) -> list[int]:
        """Process ids in any session it ever had: the program itself and everything it started."""
        return [pid for pid, session in _sessions().items() if session in self._sessions]

    def kill(self) -> None:
        """End whatever is left of it, and return when it is gone."""
        if self._popen:
            self._popen.kill()
            self._popen.wait()
        last = time.monotonic() + _SLOWEST_DEATH
        while (left := self.left_behind()) and time.monotonic() < last:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)


def _sessions() -> dict[int, int]:
    """Session by process id of everything that runs, zombies left out; empty where there is no /proc."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            # The program's name, in parentheses, may itself hold blanks and parentheses.
            state, _parent, _group, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
            if state != "Z":
                found[int(entry.name)] = int(session)
    return found
