"""What the names in the plan do: each fault begins, and what it broke is mended when it is over."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence

from connectors.emulator.testing import Emulator
from tests.soak.plan import Fault
from tests.soak.programs import Process, Program, Programs
from tests.soak.stores import Database, RedisServer
from tests.soak.vendors import VENDORS

Mend = Callable[[], object] | None
"""What ends a fault; None where it is over at once."""


class Faults:
    """Carries out the plan. `ask` gives an act to the people: its name and a number that picks its object."""

    def __init__(
        self, programs: Programs, redis: RedisServer, database: Database, emulator: Emulator,
        ask: Callable[[str, int], object],
    ) -> None:
        self._programs, self._redis, self._database, self._emulator = programs, redis, database, emulator
        self._ask = ask

    def begin(self, fault: Fault) -> tuple[str, Mend]:
        """Let it happen; whom it hit (empty: nobody was there), and what ends it."""
        sort, _, rest = fault.name.partition("_")
        match sort:
            case "vendor":
                return self._at_a_vendor(rest, fault.target)
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
        return idle and fault.name in ("kill_both", "kill_parent", "kill_horse", "stop_worker", "end_worker")

    def calm(self) -> None:
        """Everything that can be broken works again, whatever fault is still on."""
        for vendor in VENDORS:
            self._emulator.set(vendor.connector, vendor.account, **vendor.calm)
        self._redis.send(signal.SIGCONT)
        self._redis.start()
        self._redis.say("CONFIG", "SET", "maxmemory", "0")
        self._database.start()
        for program in self._programs.all.values():
            _send(program.family(), signal.SIGCONT)

    def _at_a_vendor(self, name: str, target: int) -> tuple[str, Mend]:
        vendor = VENDORS[target % len(VENDORS)]
        self._emulator.set(vendor.connector, vendor.account, **vendor.switches(name, target))
        return vendor.name, lambda: self._emulator.set(vendor.connector, vendor.account, **vendor.calm)

    def _by_a_person(self, name: str, target: int) -> tuple[str, Mend]:
        self._ask(name, target)
        undo = {"pause": "resume", "close_destination": "open_destinations"}.get(name)
        return "a send", (lambda: self._ask(undo, target)) if undo else None

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
        if name in ("kill_intake", "kill_sweeper"):
            program: Program | None = self._programs.all[name.removeprefix("kill_")]
        else:
            program = self._worker(target, with_horse=name == "kill_horse")
        family = program.family() if program else []
        if program is None or not family:
            return "", None
        match name:
            case "kill_parent":
                _send(family[:1], signal.SIGKILL)
            case "kill_horse":
                _send(family[1:], signal.SIGKILL)
            case "end_worker":
                _send(family[:1], signal.SIGTERM)
            case "stop_worker":
                _send(family, signal.SIGSTOP)
                return program.name, lambda: _send(family, signal.SIGCONT)
            case _:
                _send(family[:1], signal.SIGKILL)
                _send(family[1:], signal.SIGKILL)
        return f"{program.name}, {len(family)} processes", None

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
