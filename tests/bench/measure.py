"""Measuring side by side: each round lets every contender run once, so that all meet the same weather."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, NamedTuple


class Spent(NamedTuple):
    """Seconds by the clock, and seconds of processor that this process alone took of them."""

    seconds: float
    processor: float


Timed = Callable[[int], Spent]
"""One contender: does round n, and gives what counts of it."""


class Clock:
    """What is spent inside `with clock.running():`."""

    spent = Spent(0.0, 0.0)

    @contextmanager
    def running(self) -> Iterator[None]:
        begun, worked = time.perf_counter(), time.process_time()
        yield
        self.spent = Spent(time.perf_counter() - begun, time.process_time() - worked)


@dataclass
class Result:
    """One row of the table: what was measured, the mark, and the ratio of every round."""

    what: str
    mark: float | None
    """None where nothing is asked for: the machine is the limit."""
    at_least: bool
    ratios: list[float]
    details: dict[str, str] = field(default_factory=dict)
    """What each contender did, in plain words: seconds, rows a second, megabytes."""
    unit: str = "×"

    @property
    def ratio(self) -> float:
        """The median over the rounds."""
        return median(self.ratios)

    @property
    def reached(self) -> bool:
        assert self.mark is not None
        return self.ratio >= self.mark if self.at_least else self.ratio <= self.mark

    def line(self, database: str) -> str:
        """The result as a row of a Markdown table."""
        bound = "" if self.mark is None else f"{'≥' if self.at_least else '≤'} {self._text(self.mark)}"
        spread = f"{self._text(min(self.ratios))} to {self._text(max(self.ratios))}"
        verdict = "" if self.mark is None else "reached" if self.reached else "missed"
        details = "; ".join(f"{name} {text}" for name, text in self.details.items())
        cells = (
            self.what, database, bound, f"**{self._text(self.ratio)}** ({spread})",
            verdict, details,
        )
        return f"| {' | '.join(cells)} |"

    def _text(self, value: float) -> str:
        return f"{value * 100:.0f} %" if self.unit == "%" else f"{value:.2f}"


HEADING = "| what | database | mark | measured (lowest to highest round) | | medians |\n" + "| --- " * 6 + "|"


def rounds(count: int, contenders: Mapping[str, Timed]) -> dict[str, list[Spent]]:
    """Let the contenders take turns; what each spent, by name, in order of the rounds."""
    spent: dict[str, list[Spent]] = {name: [] for name in contenders}
    for number in range(count):
        for name, run in contenders.items():
            spent[name].append(run(number))
    return spent


def times(spent: Mapping[str, list[Spent]], rows: int) -> dict[str, str]:
    """Medians in plain words."""
    told = {}
    for name, rounds_ in spent.items():
        seconds, processor = (median(values) for values in zip(*rounds_, strict=True))
        told[name] = f"{seconds:.2f} s ({rows / seconds:,.0f} rows/s, {processor / rows * 1e6:,.0f} µs CPU a row)"
    return told


def ratios(above: list[Spent], below: list[Spent]) -> list[float]:
    """Round by round, how many times as long."""
    return [one.seconds / other.seconds for one, other in zip(above, below, strict=True)]


def as_json(results: list[Result]) -> list[dict[str, Any]]:
    """Results as they go from a child to its parent."""
    return [asdict(result) for result in results]
