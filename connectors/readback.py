"""Reading back: what every vendor has in common that can be asked afterwards what it has stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

from connectors.base import Field, Issue

KEYS = ("verify", "readback_after", "readback_every", "readback_tries")
AFTER, EVERY, TRIES = 30.0, 30.0, 6
LONGEST_MINUTES = 60 * 24 * 30
MOST_TRIES = 1_000


def settings(shows: str) -> tuple[Field, ...]:
    """The settings by which an admin says whether, when and how often the portal looks.

    `shows` is a sentence: how long the vendor takes to show what it has stored.
    """
    return (
        Field(
            "verify", "Read back", "boolean", default=False,
            help="Whether the portal looks up at the vendor what it has sent. Rows whose answer was lost are looked "
            "up in any case.",
        ),
        Field(
            "readback_after", "First read back after", "number", default=30, example="30",
            help=f"Minutes after sending; fractions are possible. {shows}",
        ),
        Field(
            "readback_every", "Read back again every", "number", default=30, example="30",
            help="Minutes until the next look, as long as the conversion is not there.",
        ),
        Field(
            "readback_tries", "Read back at most", "integer", default=TRIES, example="6",
            help="How often the portal looks before it leaves a row as it is.",
        ),
    )  # fmt: skip


def check_settings(given: Mapping[str, Any]) -> list[Issue]:
    """Read-backs lie ahead, there is at least one, and they come to an end."""
    most = {"readback_after": LONGEST_MINUTES, "readback_every": LONGEST_MINUTES, "readback_tries": MOST_TRIES}
    too_small = {
        "readback_after": given.get("readback_after", 0) < 0,
        "readback_every": given.get("readback_every", 1) <= 0,
        "readback_tries": given.get("readback_tries", 1) < 1,
    }
    small = [Issue(key, "too_small", "Give a number above 0.") for key, is_wrong in too_small.items() if is_wrong]
    large = [Issue(key, "too_large", f"Give at most {top}.") for key, top in most.items() if given.get(key, 0) > top]
    return small + large


@dataclass(frozen=True)
class Timing:
    """When the portal looks: `after` the answer, then `every` so long, at most `tries` times.

    `verify`: whether accepted rows are looked up too, and not only those that are unknown.
    """

    verify: bool
    after: timedelta
    every: timedelta
    tries: int

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """As a destination's settings say, which were checked when they were entered."""
        after, every = given.get("readback_after"), given.get("readback_every")
        return cls(
            bool(given.get("verify")),
            timedelta(minutes=float(AFTER if after is None else after)),
            timedelta(minutes=float(EVERY if every is None else every)),
            int(given.get("readback_tries") or TRIES),
        )
