"""`make soak`: the portal under seeded faults, and the four counts afterwards. Also `python -m tests.soak --help`."""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tests.soak import plan, soak, stores

SECONDS_A_KILL = 6.0
SHOWN = 40


def main() -> None:
    """Exit code 0 when every promise held, 1 when one broke (the folder stays), 2 where a part is not installed."""
    chosen = _arguments()
    seed = random.randrange(1_000_000) if chosen.seed is None else chosen.seed
    seconds = chosen.seconds or chosen.minutes * 60
    wish = soak.Wish(
        seed, seconds, chosen.kills or max(round(seconds / SECONDS_A_KILL), 1), chosen.workers,
        chosen.database == "postgres", plan.SHORT if chosen.short else None,
    )  # fmt: skip
    print(
        f"Seed {seed}: {seconds:g} s, {wish.kills} kills, {wish.workers} delivery workers, {chosen.database}, times "
        f"{'short' if chosen.short else 'as shipped'}", flush=True,
    )  # fmt: skip
    # Ended from outside, too, no server may stay behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    begun = time.monotonic()
    try:
        report = soak.run(wish, folder, lambda text: print(text, flush=True))
    except stores.NotInstalled as why:
        shutil.rmtree(folder, ignore_errors=True)
        print(why, file=sys.stderr)
        sys.exit(2)
    _tell(report, time.monotonic() - begun)
    if report.all_complaints():
        print(f"\nA promise broke. Logs and database lie in {folder}")
        sys.exit(1)
    if chosen.keep:
        print(f"\nLogs and database lie in {folder}")
        return
    shutil.rmtree(folder, ignore_errors=True)


def _tell(report: soak.Report, seconds: float) -> None:
    from tests.soak.judge import table
    from tests.soak.judge_looks import BY_LOOKS_ALONE, S

    print(f"\n{table(report.tallies)}\n")
    looked = sum((tally.numbers for tally in report.tallies if tally.vendor.shows), Counter[str]())
    print(f"Looked for: {_listed({name: looked[name] for name in (*S.values, BY_LOOKS_ALONE)})}")
    print(f"Hit: {report.kills} kills, {sum(report.hit.values())} faults in all: {_listed(report.hit)}")
    print(f"People: {_listed(report.acts)}")
    print(f"The web server's answers, {report.repeated} calls made once more: {_listed(report.answers)}")
    print("Largest in the first third, and in the last:")
    for what, (first, last) in sorted(report.growth.items()):
        print(f"  {what:<24} {first:>10,.1f} {last:>10,.1f}")
    over, looked = (_seconds(found) for found in (report.recovery, report.looked))
    print(f"From the last fault to the end of all sends: {over}, of all looks: {looked}; {seconds / 60:.1f} min in all")
    complaints = report.all_complaints()
    print(f"\n{len(complaints)} disagreements" + "".join(f"\n- {text}" for text in complaints[:SHOWN]))


def _seconds(found: float | None) -> str:
    return "not in time" if found is None else f"{found:.0f} s"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    add = parser.add_argument
    add("--minutes", type=float, default=20, help="how long faults are made (default: 20)")
    add("--seconds", type=float, help="the same in seconds")
    add("--seed", type=int, help="the plan of faults (default: a random one, which is printed)")
    add("--kills", type=int, help=f"how many kills (default: one every {SECONDS_A_KILL:g} s)")
    add("--workers", type=int, default=4, help="delivery workers (default: 4)")
    add("--database", choices=("sqlite", "postgres"), default="sqlite", help="each is started for the run alone")
    add("--keep", action="store_true", help="keep the folder with logs and database although all held")
    add("--short", action="store_true", help="lease, shift and pauses of seconds, so that more happens in less time")
    return parser.parse_args()


if __name__ == "__main__":
    main()
