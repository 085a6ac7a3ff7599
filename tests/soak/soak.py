"""One run: everything started, the plan carried out, the end awaited, the counts compared."""

from __future__ import annotations

import heapq
import itertools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.soak import plan
from tests.soak.faults import Faults
from tests.soak.growth import Growth
from tests.soak.plan import SHORT, Fault, Timers
from tests.soak.stage import TICK, Stage, running, shipped

if TYPE_CHECKING:
    from tests.soak.judge import Tally
    from tests.soak.people import People

RECOVERY = 120.0
"""Seconds within which work must go on, and here end, once nothing is broken any more (promise 5). Looks may take
longer by the longest pause between two of them: failed ones in a row made it grow."""
PATIENCE = 4.0
"""Seconds for which the kill of a worker waits for one that is at work."""
LOOK_EVERY = 5.0
TELL_EVERY = 15.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Wish:
    """What kind of run is wanted. `timers`: None for the times as shipped."""

    seed: int
    seconds: float
    kills: int
    workers: int
    postgres: bool
    timers: Timers | None = SHORT


@dataclass
class Report:
    """What a run found."""

    hit: Counter[str] = field(default_factory=Counter)
    """By fault, how often it found somebody to hit."""
    acts: dict[str, int] = field(default_factory=dict)
    recovery: float | None = None
    """Seconds from the end of the last fault until every send was over; None where that took too long."""
    looked: float | None = None
    """The same until nothing was looked for at a vendor any more."""
    answers: Counter[str] = field(default_factory=Counter)
    """Of the web server, by call or page and status."""
    repeated: int = 0
    """Calls to the web server that were made once more, for want of an answer."""
    tallies: list[Tally] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    growth: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def kills(self) -> int:
        return sum(count for name, count in self.hit.items() if name in plan.KILLS)

    def all_complaints(self) -> list[str]:
        """Every disagreement; none when all promises held."""
        late = [] if self.recovery is not None else [f"Not every send was over {RECOVERY:g} s after the last fault"]
        late += [] if self.looked is not None or late else ["The looks at a vendor did not come to their end"]
        return late + self.complaints + [text for tally in self.tallies for text in tally.complaints]


def run(wish: Wish, folder: Path, say: Say) -> Report:
    """Carry out a whole run in `folder`. Raises stores.NotInstalled."""
    with running(folder, wish.workers, wish.postgres, wish.timers, web=True) as stage:
        from tests.soak import judge, people

        people.prepare(stage.emulator)
        crowd = people.People(folder, stage.port or 0)
        soak = _Soak(wish, stage, crowd, say)
        stage.until_up()
        crowd.start()
        soak.until_under_way()
        soak.carry_out()
        crowd.feeding.clear()
        soak.await_the_end()
        crowd.leave()
        stage.programs.end()
        say("comparing the counts")
        report = soak.report
        clerks = crowd.clerks
        report.acts, report.growth = crowd.done | clerks.done, soak.growth.largest()
        report.answers, report.repeated = clerks.tally.answers, clerks.tally.repeated
        report.tallies, report.complaints = judge.judge(crowd.made, stage.emulator)
        report.complaints += judge.of_the_web(crowd.by_web, clerks.decided) + clerks.tally.complaints
        return report


class _Soak:
    """Makes the faults and looks after everything meanwhile."""

    def __init__(self, wish: Wish, stage: Stage, crowd: People, say: Say) -> None:
        self.wish, self.stage, self.crowd, self.say = wish, stage, crowd, say
        self.faults = Faults(stage, crowd)
        self.faults.calm()
        self.growth, self.report = Growth(stage.programs, stage.redis, stage.folder), Report()
        self._looked = self._told = time.monotonic()

    def until_under_way(self) -> None:
        """Until rows of every destination have arrived: what kills hit then is at work."""
        from tests.soak import people

        last = time.monotonic() + RECOVERY
        while not people.all_are_under_way():
            assert time.monotonic() < last, f"nothing gets under way: {self.crowd.told}"
            self._pass_a_moment()

    def carry_out(self) -> None:
        """The plan; every fault that began is over at the end."""
        wish, number, begun = self.wish, itertools.count(), time.monotonic()
        todo = [
            (fault.at, next(number), fault, None)
            for fault in plan.make(wish.seed, wish.seconds, wish.kills, wish.timers or shipped(), wish.postgres)
        ]
        while todo or time.monotonic() - begun < wish.seconds:
            while todo and todo[0][0] <= time.monotonic() - begun:
                _at, _number, fault, mend = heapq.heappop(todo)
                now = time.monotonic() - begun
                if mend is not None:
                    mend()
                elif self.faults.finds_nobody_at_work(fault) and now < fault.at + PATIENCE:
                    heapq.heappush(todo, (now + TICK, next(number), fault, None))
                elif mend := self._begin(fault):
                    heapq.heappush(todo, (time.monotonic() - begun + fault.seconds, next(number), fault, mend))
            self._pass_a_moment()

    def _begin(self, fault: Fault) -> Callable[[], object] | None:
        whom, mend = self.faults.begin(fault)
        self.report.hit[fault.name] += bool(whom)
        self.say(f"{fault}: {whom or 'nobody there'}")
        return mend

    def await_the_end(self) -> None:
        """Mend everything, and wait until no send has a row on its way; the people open what is closed.

        Then until no look is to come.
        """
        from tests.soak import people

        self.faults.calm()
        self.say("no more faults")
        begun, longest = time.monotonic(), RECOVERY + (self.wish.timers or shipped()).retry_ceiling
        while (passed := time.monotonic() - begun) < longest:
            self._pass_a_moment()
            if self.report.recovery is None and passed > RECOVERY:
                return
            if self.report.recovery is None and self.crowd.is_at_rest() and people.all_is_over():
                self.report.recovery = passed
            if self.report.recovery is not None and people.nothing_is_looked_for():
                self.report.looked = passed
                return

    def _pass_a_moment(self) -> None:
        self.stage.keep_up()
        self.faults.switchboard.let_time_pass()
        now = time.monotonic()
        if now - self._looked > LOOK_EVERY:
            self._looked = now
            self.growth.look()
        if now - self._told > TELL_EVERY:
            self._told = now
            self.say(f"           {self.crowd.told}")
        time.sleep(TICK)
