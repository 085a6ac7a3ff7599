"""The picture on the home page: rows a day by status, as SVG drawn on the server."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple

from django.utils import timezone

from offline_portal.screens.viewer import grouped

STATUSES = ("accepted", "queued", "sending", "unknown", "rejected", "failed", "cancelled")
_FILLS = {
    "accepted": "good",
    "queued": "soft",
    "sending": "wait",
    "unknown": "warn",
    "rejected": "bad",
    "failed": "bad",
    "cancelled": "quiet",
}
WIDTH, HEIGHT = 900, 100


class Part(NamedTuple):
    """One coloured piece of a column."""

    y: float
    height: float
    fill: str


class Column(NamedTuple):
    """One day."""

    day: date
    x: float
    width: float
    parts: list[Part]
    words: str

    @property
    def bar_x(self) -> float:
        """Where the coloured part begins: a gap is left to the neighbours."""
        return round(self.x + self.width * 0.16, 1)

    @property
    def bar_width(self) -> float:
        """How wide the coloured part is."""
        return round(self.width * 0.68, 1)


class Rule(NamedTuple):
    """One line of the scale."""

    y: float
    label: str


def drawn(days: Mapping[date, Mapping[str, int]], count: int) -> dict[str, Any]:
    """Columns and scale for the last `count` days."""
    today = timezone.localdate()
    most = max((sum(parts.values()) for parts in days.values()), default=0)
    top = _round_up(most)
    step = WIDTH / count
    columns = []
    for number in range(count):
        day = today - timedelta(days=count - 1 - number)
        columns.append(_column(day, number * step, step, days.get(day, {}), top))
    rules = [Rule(HEIGHT * part / 2, grouped(top * (2 - part) // 2)) for part in range(3)] if top else []
    labels = [f"{column.day.day} {column.day:%b}" for column in columns[-29::7]]
    total = sum(sum(parts.values()) for parts in days.values())
    return {"columns": columns, "rules": rules, "labels": labels, "width": WIDTH, "height": HEIGHT, "total": total}


def _column(day: date, x: float, step: float, counts: Mapping[str, int], top: int) -> Column:
    parts, y = [], float(HEIGHT)
    for status in STATUSES:
        if rows := counts.get(status, 0):
            height = max(1.5, HEIGHT * rows / top)
            y -= height
            parts.append(Part(round(y, 1), round(height, 1), _FILLS[status]))
    told = ", ".join(f"{grouped(rows)} {status}" for status, rows in counts.items() if rows)
    return Column(day, round(x, 1), round(step, 1), parts, f"{day.day} {day:%B}: {told or 'nothing'}")


def _round_up(number: int) -> int:
    """The next even number with one significant digit, so that the middle of the scale is whole."""
    if number <= 0:
        return 0
    size = 10 ** (len(str(number)) - 1)
    rounded = -(-number // size) * size
    return max(2, rounded + rounded % 2)
