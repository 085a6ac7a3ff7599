"""The plan of faults: what goes wrong when, drawn from a seed. The same seed gives the same plan."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

KILLS_OF_WORKERS = (
    "kill_both", "kill_parent", "kill_horse", "kill_both", "stop_worker", "kill_both", "end_worker", "kill_horse",
)  # fmt: skip
"""Of delivery workers. `both`: worker and work-horse; `stop`: SIGSTOP for longer than the lease."""
KILLS = (*KILLS_OF_WORKERS, "kill_intake", "kill_sweeper", "kill_web", "kill_web_worker", "kill_everything")
"""Of the portal's programs. `web`: gunicorn with all its workers; `web_worker`: one of these."""
STORES = ("redis_flush", "redis_kill", "redis_back_in_time", "redis_hang", "redis_full", "database_lock")
POSTGRES = ("database_restart", "database_crash", "database_cut")
VENDOR = (
    "cut_before_storing", "cut_after_storing", "refuses", "cut_in_answer", "error_500", "error_500_stored", "busy_503",
    "busy_429", "slow", "garbage", "mixed", "refuses",
)  # fmt: skip
"""`refuses`: rows, for good, until a person has them sent once more."""
LOOKS = ("forbidden", "in_doubt", "hidden", "error_500", "in_doubt", "garbage", "slow", "hidden")
"""Of the vendor that is asked what it has stored. `hidden`: it does not show it for longer than anybody looks;
`in_doubt`: answers get lost, and a send is cancelled after that, so that only looks can tell what arrived."""
PEOPLE = ("pause", "resend", "cancel", "close_destination", "retry", "resend", "abandon")

MOMENT = 3.0
HIDDEN_FOR = (10.0, 40.0)
"""Seconds: some rows are found at a late look, some never. The times of looks are short, whatever the timers."""
REFUSED_FOR = (10.0, 40.0)
"""Seconds: long enough for a refused request to be split, at one a second, until single rows are refused."""


@dataclass(frozen=True)
class Timers:
    """The portal's own times, in seconds, and the lengths of faults that follow from them."""

    lease: float
    shift: float
    sweep: float
    deadline: float
    retry_base: float
    retry_ceiling: float
    sqlite: float
    """How long SQLite waits for the write lock."""

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PORTAL_LEASE": str(self.lease), "PORTAL_SWEEP_EVERY": str(self.sweep),
            "PORTAL_REQUEST_DEADLINE": str(self.deadline), "PORTAL_RETRY_BASE": str(self.retry_base),
            "PORTAL_RETRY_CEILING": str(self.retry_ceiling), "SOAK_SHIFT_SECONDS": str(self.shift),
            "SOAK_SQLITE_SECONDS": str(self.sqlite),
        }  # fmt: skip


SHORT = Timers(lease=5, shift=4, sweep=1, deadline=2, retry_base=0.3, retry_ceiling=3, sqlite=6)


@dataclass(frozen=True)
class Fault:
    """What begins `at` seconds after the start and lasts so many `seconds` (0: it is over at once).

    `target` picks among those whom it can hit at that moment.
    """

    at: float
    name: str
    seconds: float = 0.0
    target: int = 0

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.at:7.1f} s  {self.name}{lasting} ({self.target})"


def make(seed: int, seconds: float, kills: int, timers: Timers, postgres: bool) -> list[Fault]:
    """All faults of a run, in order: so many kills, and beside them half as many of each other sort."""
    draw = random.Random(f"{seed} {seconds} {kills} {postgres}")
    sorts = {
        KILLS: kills,
        STORES + (POSTGRES * 2 if postgres else ()): max(kills // 3, 1),
        tuple(f"vendor_{name}" for name in VENDOR): max(kills // 2, 1),
        tuple(f"person_{name}" for name in PEOPLE): max(kills // 2, 1),
        tuple(f"look_{name}" for name in LOOKS): max(kills // 5, 1),
    }
    faults = []
    for names, count in sorts.items():
        moments = _spread(draw, count, seconds)
        for at, name in zip(moments, _deck(draw, names), strict=False):
            length = _length(draw, name, timers)
            if name.startswith(("look_", "vendor_refuses")):
                # Nobody is to wait at the end for a vendor that hides what it has, or refuses rows.
                length = min(length, round(max(seconds - at, MOMENT), 2))
            faults.append(Fault(at, name, length, draw.randrange(1_000)))
    return sorted(faults, key=lambda fault: (fault.at, fault.name))


def _spread(draw: random.Random, count: int, seconds: float) -> list[float]:
    """Random moments, one in each of `count` equal parts of the time."""
    return [round((part + draw.random()) * seconds / count, 2) for part in range(count)]


def _deck(draw: random.Random, names: tuple[str, ...]) -> Iterator[str]:
    """The names in random order, again and again: each comes before any comes twice more often."""
    while True:
        yield from draw.sample(names, len(names))


def _length(draw: random.Random, name: str, timers: Timers) -> float:
    short, long = {
        "stop_worker": (timers.lease * 1.1, timers.lease * 1.5),
        "database_lock": (timers.sqlite * 0.2, timers.sqlite * 1.2),
        "redis_kill": (0.2, timers.lease / 2),
        "redis_back_in_time": (0.2, 2.0),
        "redis_hang": (0.5, timers.lease / 2),
        "redis_full": (1.0, timers.lease),
        "database_restart": (0.2, timers.lease / 2),
        "database_crash": (0.2, 2.0),
        "vendor_refuses": REFUSED_FOR,
        "person_pause": (1.0, timers.lease),
        "person_close_destination": (1.0, timers.lease / 2),
        "look_forbidden": (2.0, 5.0),
        "look_hidden": HIDDEN_FOR,
        "look_in_doubt": (8.0, 20.0),
    }.get(name, (timers.deadline, 3 * timers.deadline) if name.startswith(("vendor_", "look_")) else (0.0, 0.0))
    return round(draw.uniform(short, long), 2)
