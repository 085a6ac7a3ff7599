"""What the names in the plan do: each fault begins, and what it broke is mended when it is over."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tests.soak.plan import KILLS_OF_WORKERS, Fault
from tests.soak.programs import Process, Program
from tests.soak.stage import Stage
from tests.soak.switchboard import Switchboard
from tests.soak.vendors import VENDORS

if TYPE_CHECKING:
    from tests.soak.people import People

Mend = Callable[[], object] | None
"""What ends a fault; None where it is over at once."""
A_CALL_WITHIN = 2.0
"""Seconds for which the kill of a web server waits for a call that somebody makes there."""
INTO_THE_CALL = 0.06
"""Seconds after its beginning, at most, when it dies: such a call takes about as long."""


class Faults:
    """Carries out the plan, and asks the people for what the plan has them do."""

    def __init__(self, stage: Stage, crowd: People) -> None:
        self._programs, self._redis, self._database = stage.programs, stage.redis, stage.database
        self._crowd, self.switchboard = crowd, Switchboard(stage.emulator)

    def begin(self, fault: Fault) -> tuple[str, Mend]:
        """Let it happen; whom it hit (empty: nobody was there), and what ends it."""
        sort, _, rest = fault.name.partition("_")
        match sort:
            case "vendor":
                return self._at_a_vendor(rest, fault.target)
            case "look":
                return self._at_looks(rest, fault.target)
            case "person":
                return self._by_a_person(rest, fault.target)
            case "redis":
                return "Redis", self._to_redis(rest)
            case "database":
                return "the database", self._to_the_database(rest, fault.seconds)
        return self._to_a_program(fault.name, fault.target)

    def finds_nobody_at_work(self, fault: Fault) -> bool:
        """Whether it is made for a delivery worker, and none has anything to do right now."""
        idle = not any(len(program.family()) > 1 for program in self._programs.workers)
        return idle and fault.name in KILLS_OF_WORKERS

    def calm(self) -> None:
        """Everything that can be broken works again, whatever fault is still on."""
        for vendor in VENDORS:
            self.switchboard.set(vendor, vendor.calm)
        self._redis.send(signal.SIGCONT)
        self._redis.start()
        self._redis.say("CONFIG", "SET", "maxmemory", "0")
        self._database.start()
        for program in self._programs.all.values():
            _send(program.family(), signal.SIGCONT)

    def _at_a_vendor(self, name: str, target: int) -> tuple[str, Mend]:
        vendor = VENDORS[target % len(VENDORS)]
        self.switchboard.set(vendor, vendor.switches(name, target))

        def mend() -> None:
            self.switchboard.set(vendor, vendor.calm)
            if name == "refuses":
                # The portal may have paused the destination, with an alarm.
                for act in ("retry", "open_destinations"):
                    self._crowd.ask(act, target)

        return vendor.name, mend

    def _at_looks(self, name: str, target: int) -> tuple[str, Mend]:
        vendor = next(vendor for vendor in VENDORS if vendor.shows)
        self.switchboard.set(vendor, vendor.switches_of_looks(name, target))
        if name == "in_doubt":
            self._crowd.cancel_in_doubt()
        return vendor.name, lambda: self.switchboard.set(vendor, vendor.calm)

    def _by_a_person(self, name: str, target: int) -> tuple[str, Mend]:
        self._crowd.ask(name, target)
        undo = {"pause": "resume", "close_destination": "open_destinations"}.get(name)
        return "a send", (lambda: self._crowd.ask(undo, target)) if undo else None

    def _to_redis(self, name: str) -> Mend:
        redis = self._redis
        match name:
            case "flush":
                redis.say("FLUSHALL")
            case "kill":
                redis.kill()
                return redis.start
            case "back_in_time":
                redis.go_back()
                return redis.start
            case "hang":
                redis.send(signal.SIGSTOP)
                return lambda: redis.send(signal.SIGCONT)
            case "full":
                redis.say("CONFIG", "SET", "maxmemory", "1")
                return lambda: redis.say("CONFIG", "SET", "maxmemory", "0")
        return None

    def _to_the_database(self, name: str, seconds: float) -> Mend:
        match name:
            case "lock":
                self._database.lock(seconds)
                # It lets go by itself; what follows only makes the end of the fault known.
                return lambda: None
            case "cut":
                self._database.cut()
                return None
        self._database.stop(signal.SIGQUIT if name == "crash" else signal.SIGINT)
        return self._database.start

    def _to_a_program(self, name: str, target: int) -> tuple[str, Mend]:
        if name == "kill_everything":
            return self._to_everything()
        program = self._program(name, target)
        family = program.family() if program else []
        if program is None or not family:
            return "", None
        if program.name == "web":
            self._await_a_call(target)
        match name:
            case "kill_parent":
                _send(family[:1], signal.SIGKILL)
            case "kill_horse":
                _send(family[1:], signal.SIGKILL)
            case "kill_web_worker":
                _send(family[1 + target % max(len(family) - 1, 1) :][:1], signal.SIGKILL)
            case "end_worker":
                _send(family[:1], signal.SIGTERM)
            case "stop_worker":
                _send(family, signal.SIGSTOP)
                return program.name, lambda: _send(family, signal.SIGCONT)
            case _:
                _send(family[:1], signal.SIGKILL)
                _send(family[1:], signal.SIGKILL)
        return f"{program.name}, {len(family)} processes", None

    def _program(self, name: str, target: int) -> Program | None:
        if name in KILLS_OF_WORKERS:
            return self._worker(target, with_horse=name == "kill_horse")
        return self._programs.all[name.split("_")[1]]

    def _await_a_call(self, target: int) -> None:
        """Until somebody's call has just begun: whoever dies then may have done what was asked, or not."""
        last = time.monotonic() + A_CALL_WITHIN
        while not self._crowd.clerks.calling and time.monotonic() < last:
            time.sleep(0.001)
        time.sleep(INTO_THE_CALL * (target % 100) / 100)

    def _worker(self, target: int, with_horse: bool) -> Program | None:
        """The delivery worker that `target` picks, rather one at work."""
        workers = self._programs.workers
        in_turn = [workers[(target + step) % len(workers)] for step in range(len(workers))]
        at_work = [program for program in in_turn if len(program.family()) > 1]
        idle = [] if with_horse else [program for program in in_turn if program.pid]
        return next(iter(at_work + idle), None)

    def _to_everything(self) -> tuple[str, Mend]:
        """As when the power fails: every program of the portal and both stores at once."""
        for program in self._programs.all.values():
            _send(program.family(), signal.SIGKILL)
        self._redis.kill()
        self._database.stop(signal.SIGQUIT)

        def start() -> None:
            self._database.start()
            self._redis.start()

        return "all programs and stores", start


def _send(processes: Sequence[Process], number: int) -> None:
    for process in processes:
        process.send(number)
