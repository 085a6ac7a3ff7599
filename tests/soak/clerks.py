"""People who work through the web server: clerks bring files and decide about sends, a visitor looks at pages."""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.test import Client

from offline_portal.access import tokens
from tests.soak.line import GivenUp, Line, Reply, Tally

log = logging.getLogger("soak.clerks")
CLERKS = 4
ASK_EVERY = 0.3
LOOK_EVERY = 0.5
RUNNING = ("sending", "queued")
RESENT = ("kissmetrics", "qubit", "kameleoon")
"""Connectors at whose destinations unknown rows are sent again."""
UNKNOWN_ROWS = 20
Task = tuple[Any, ...]


class Clerks:
    """Some people at work at once; whoever is free takes the next task."""

    def __init__(self, port: int) -> None:
        self.tally, self.done = Tally(), Counter[str]()
        self.decided: dict[str, bool] = {}
        """By its reason, which none shares, whether a decision about rows was answered with yes."""
        self._waiting: dict[str, None] = {}
        self._newest = "1"
        self._port, self._leaving = port, threading.Event()
        self._tasks: queue.Queue[Task] = queue.Queue()
        self._numbers = itertools.count(1)
        olivia, browser = User.objects.get(username="olivia"), Client()
        browser.force_login(olivia)
        token = tokens.make(olivia)
        self._lines = [self._line(Authorization=f"Bearer {token}") for _ in range(CLERKS)]
        self._people = [threading.Thread(target=self._work, args=(line,), daemon=True) for line in self._lines]
        visitor = self._line(Cookie=f"sessionid={browser.cookies['sessionid'].value}")
        self._people.append(threading.Thread(target=self._visit, args=(visitor,), daemon=True))

    @property
    def calling(self) -> bool:
        """Whether somebody's call is under way that changes something."""
        return any(line.calling for line in self._lines)

    @property
    def are_done(self) -> bool:
        return not self._tasks.unfinished_tasks

    def start(self) -> None:
        for person in self._people:
            person.start()

    @property
    def waiting(self) -> list[str]:
        """Names of files that have not become a send on its way yet."""
        return list(self._waiting)

    def bring(self, path: Path, destination: int) -> None:
        """Have a file uploaded, checked and sent."""
        self._waiting[path.name] = None
        self._tasks.put(("file", path, destination))

    def decide(self, act: str, target: int, destinations: list[int]) -> None:
        """Have an act done to the one that `target` picks, among sends, or among unknown rows at `destinations`."""
        self._tasks.put((act, target, destinations))

    def leave(self) -> None:
        self._leaving.set()
        for person in self._people:
            person.join(70)

    def _line(self, **headers: str) -> Line:
        return Line(self._port, self.tally, self._leaving, **headers)

    def _work(self, line: Line) -> None:
        while not self._leaving.is_set():
            try:
                task = self._tasks.get(timeout=ASK_EVERY)
            except queue.Empty:
                continue
            try:
                self._carry_out(line, *task)
            except GivenUp:
                log.info("gave up %s", task[:2])
            except Exception as error:
                log.exception("could not carry out %s", task[:2])
                self.tally.complain(f"Somebody at the web server could not go on ({type(error).__name__}: {error})")
            finally:
                self._tasks.task_done()
        line.close()

    def _carry_out(self, line: Line, what: str, *about: Any) -> None:
        match what:
            case "file":
                self._send(line, *about)
                self.done["file by web"] += 1
            case "resend" | "abandon":
                self.done[f"{what} by web"] += self._resolve(line, what, *about)
            case "retry":
                self.done["retry by web"] += self._retry(line, *about)
            case _:
                self.done[f"{what} by web"] += self._act(line, what, *about)

    def _send(self, line: Line, path: Path, destination: int) -> None:
        """A file on its whole way, as a script would bring it there."""
        try:
            upload = self._must(201, line.call("/uploads", file=path), "POST /uploads")
            wanted = {"upload": upload["id"], "destination": str(destination), "mapping": "auto"}
            send = self._must(201, line.call("/sends", wanted), "POST /sends")
            self._newest = send["id"]
            while send["status"] == "checking":
                time.sleep(ASK_EVERY)
                send = line.ask(f"/sends/{send['id']}", "/sends/ID")
            self._must(202, line.call(f"/sends/{send['id']}/queue", name="/sends/ID/queue"), "POST /sends/ID/queue")
        finally:
            del self._waiting[path.name]

    def _must(self, status: int, reply: Reply, what: str) -> Any:
        if reply.status != status:
            raise AssertionError(f"{what} was answered {reply.status} {reply.code}")
        return reply.body

    def _act(self, line: Line, act: str, target: int, _destinations: list[int]) -> int:
        """Pause, resume or cancel; how many answers were yes."""
        found = self._sends(line, *(("paused",) if act == "resume" else RUNNING))
        chosen = found if act == "resume" else found and [found[target % len(found)]]
        replies = [line.call(f"/sends/{send['id']}/{act}", name=f"/sends/ID/{act}") for send in chosen]
        return sum(reply.status == 202 for reply in replies)

    def _sends(self, line: Line, *statuses: str) -> list[Any]:
        return [send for status in statuses for send in line.ask(f"/sends?status={status}", "/sends")["items"]]

    def _retry(self, line: Line, target: int, _destinations: list[int]) -> int:
        """A decision about what was refused of one send."""
        sends = self._sends(line, "finished", "paused")
        found = [send["id"] for send in sends if send["counts"]["rejected"] or send["counts"]["failed"]]
        if not found:
            return 0
        path = f"/sends/{found[target % len(found)]}/retry"
        return self._decide(line, path, "/sends/ID/retry", statuses=["rejected", "failed"])

    def _resolve(self, line: Line, as_: str, target: int, destinations: list[int]) -> int:
        """A decision about one unknown row."""
        found = [
            send for destination in destinations
            for send in line.ask(f"/sends?destination={destination}", "/sends")["items"] if send["counts"]["unknown"]
        ]  # fmt: skip
        if not found:
            return 0
        send = found[target % len(found)]["id"]
        asked = f"/sends/{send}/deliveries?status=unknown&limit={UNKNOWN_ROWS}"
        rows = line.ask(asked, "/sends/ID/deliveries")["items"]
        if not rows:
            return 0
        path = f"/deliveries/{rows[target % len(rows)]['id']}/resolve"
        return self._decide(line, path, "/deliveries/ID/resolve", **{"as": {"abandon": "abandoned"}.get(as_, as_)})

    def _decide(self, line: Line, path: str, name: str, **body: Any) -> int:
        """A decision with a reason of its own; whether the answer was yes."""
        reason = f"decision {next(self._numbers)} by web"
        self.decided[reason] = line.call(path, {**body, "reason": reason}, name).status == 202
        return int(self.decided[reason])

    def _visit(self, line: Line) -> None:
        """Page after page, whatever is broken just now."""
        while True:
            for name in ("/", "/sends/", "/sends/ID", "/api/v1/health"):
                if self._leaving.wait(LOOK_EVERY):
                    line.close()
                    return
                line.page(name.replace("ID", self._newest), f"GET {name}")
