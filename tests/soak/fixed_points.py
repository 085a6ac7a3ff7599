"""A worker dies once at each fixed point, for a vendor that counts repeats once and for one that does not.

`python -m tests.soak.fixed_points [--database postgres]`: exit code 0 when every row ended as it must.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.soak import stores
from tests.soak.plan import SHORT
from tests.soak.points import POINTS
from tests.soak.stage import TICK, Stage, running
from tests.soak.vendors import VENDORS, Vendor

TIMERS = replace(SHORT, lease=3, shift=2, sweep=0.5)
PATIENCE = 90.0
ROWS = 20
BOTH = [vendor for vendor in VENDORS if vendor.name in ("Tracify orders", "Qubit")]
KEYED, KEYLESS = (replace(vendor, rows=ROWS, calm={"delay_ms": 900}) for vendor in BOTH)
MUST = {
    "before_claim": ("accepted", 1), "after_claim": ("accepted", 1), "before_leaving": ("unknown", 0),
    "after_leaving": ("unknown", 1), "after_answer": ("unknown", 1), "in_outcome": ("unknown", 1),
    "after_outcome": ("accepted", 1),
}  # fmt: skip
"""What becomes of the rows, and how often the vendor has each, where it counts repeats twice. Else all are accepted."""


def main() -> None:
    """One line a point and vendor; 1 where a row ended otherwise, 2 where a part is not installed."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.fixed_points", description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    points = folder / "points"
    points.mkdir()
    try:
        with running(folder, 1, chosen.database == "postgres", TIMERS, SOAK_POINTS=str(points)) as stage:
            wrong = _all_points(stage, points)
    except stores.NotInstalled as why:
        print(why, file=sys.stderr)
        sys.exit(2)
    if wrong:
        print(f"Logs and database lie in {folder}")
        sys.exit(1)
    shutil.rmtree(folder)


def _all_points(stage: Stage, points: Path) -> list[str]:
    from tests.soak import judge, people

    people.prepare(stage.emulator)
    made, wrong = {}, []
    for vendor in (KEYED, KEYLESS):
        stage.emulator.set(vendor.connector, vendor.account, **vendor.calm)
        for point in POINTS:
            number = len(made) + 1
            (points / point).touch()
            name = people.send_at_once(stage.folder, vendor, number)
            made[name] = vendor, number
            _until(stage, people.all_is_over, f"{vendor.name}, {point}")
            found = _found(stage, vendor, number)
            must = ("accepted", 1) if vendor.has_key else MUST[point]
            fits = found == must and not (points / point).exists()
            print(f"{point:<16} {vendor.name:<16} {found[0]}, {found[1]} at the vendor {'' if fits else '– WRONG'}")
            wrong += [] if fits else [f"{vendor.name}, {point}: {found} instead of {must}"]
    stage.programs.end()
    tallies, complaints = judge.judge(made, stage.emulator)
    wrong += complaints + [text for tally in tallies for text in tally.complaints]
    print("\n".join(wrong))
    return wrong


def _found(stage: Stage, vendor: Vendor, number: int) -> tuple[str, float]:
    """What all rows of the file are, and how often the vendor has each on the average."""
    from offline_portal.models import Delivery
    from tests.soak.vendors import token

    rows = Delivery.objects.filter(send__upload__filename=f"file {number}.csv")
    statuses = set(rows.values_list("status", flat=True))
    stored = [token(entry) for entry in stage.emulator.effective(vendor.connector, vendor.account)]
    there = sum(word.startswith(f"s{number:04}") for word in stored)
    return ", ".join(sorted(map(str, statuses))), there / vendor.rows


def _until(stage: Stage, condition: Callable[[], bool], what: str) -> None:
    last = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > last:
            raise SystemExit(f"{what}: not over after {PATIENCE:g} s")
        stage.keep_up()
        time.sleep(TICK)


if __name__ == "__main__":
    main()
