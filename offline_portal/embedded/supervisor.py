"""Keeps several programs alive, shows what they print, and ends all of them together."""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from offline_portal.embedded.children import Child
from offline_portal.embedded.logs import Log

LOOK_EVERY = 0.2
GRACE = 10.0
"""Seconds a program has between being asked to end and being killed."""


class Supervisor:
    """Starts its children in order, restarts what dies, and ends them in the opposite order."""

    def __init__(self, log: Log) -> None:
        self._children: list[Child] = []
        self._log = log
        self._outputs = selectors.DefaultSelector()
        self._halves: dict[int, bytes] = {}
        self._asked = 0

    def listen_to_signals(self) -> None:
        """Ctrl-C, SIGTERM and a closed terminal end everything; a second one does so without waiting."""
        signal.signal(signal.SIGINT, self._ask)
        signal.signal(signal.SIGTERM, self._ask)
        # Under nohup a closed terminal is meant to change nothing.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._ask)

    @property
    def is_asked_to_end(self) -> bool:
        """Whether a signal to end has come."""
        return self._asked > 0

    def add(self, child: Child) -> None:
        """Start a child and watch it from now on."""
        self._children.append(child)
        self._start(child)

    def watch(self, until: Callable[[], bool] = lambda: False) -> None:
        """Show output and restart what dies, until asked to end or until `until()` is true."""
        while not self._asked and not until():
            self._look()
            for child in self._children:
                self._restart_if_dead(child)

    def end(self) -> None:
        """End all children, the one started first (the Redis) last; nothing of them is left afterwards."""
        for group in (self._children[1:], self._children[:1]):
            for child in group:
                child.ask_to_end()
            self._wait_for(group)
            for child in group:
                child.kill()
        self._look(0)
        self._children.clear()

    def _wait_for(self, group: list[Child]) -> None:
        last = time.monotonic() + GRACE
        while time.monotonic() < last and self._asked < 2 and any(child.left_behind() for child in group):
            self._look(0.05)
            for child in group:
                child.ended()

    def _ask(self, number: int, frame: object) -> None:
        self._asked += 1

    def _start(self, child: Child) -> None:
        child.start()
        self._outputs.register(child.output, selectors.EVENT_READ, child)

    def _restart_if_dead(self, child: Child) -> None:
        how = child.ended()
        if how:
            self._read(child.output, child)
            self._forget(child.output)
            child.bury()
            self._log.line(child.name, f"{how}; starting it again")
        if child.is_due:
            self._start(child)

    def _look(self, seconds: float = LOOK_EVERY) -> None:
        for key, _ in self._outputs.select(seconds):
            self._read(key.fd, key.data)

    def _read(self, descriptor: int, child: Child) -> None:
        block = b""
        with suppress(BlockingIOError):
            block = os.read(descriptor, 65_536)
            if not block:
                self._forget(descriptor)
        *lines, self._halves[descriptor] = (self._halves.get(descriptor, b"") + block).split(b"\n")
        for line in lines:
            self._log.line(child.name, line.decode(errors="replace").rstrip())

    def _forget(self, descriptor: int) -> None:
        self._halves.pop(descriptor, None)
        with suppress(KeyError):
            self._outputs.unregister(descriptor)
