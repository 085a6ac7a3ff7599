"""`make bench`: the table "Speed", measured. Also `python -m tests.bench [NAME …] [--rows N] [--quick]`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from connectors.emulator.testing import running as running_emulator
from offline_portal.embedded import redis_server
from tests.bench.measure import HEADING, Result
from tests.bench.servers import postgresql, version

ROOT = Path(__file__).parents[2]
NAMES = ("intake", "duplicates", "memory", "workbook", "single", "hundred")
LARGE, SMALL = 1_000_000, 100_000


@dataclass(frozen=True)
class Size:
    """How much is measured: rows of a file, rows that are sent, rounds, and the two files of the memory row."""

    rows: int
    sent: int
    rounds: int
    large: int = LARGE
    small: int = SMALL


FULL, QUICK = Size(50_000, 10_000, 3), Size(10_000, 3_000, 2, 300_000, 100_000)


@dataclass(frozen=True)
class Database:
    """A kind of database, and how to get the address of an empty one."""

    name: str
    make: Callable[[str], str]


class Bench:
    """Runs measurements in child processes, each with a folder and a database of its own."""

    def __init__(self, folder: Path, size: Size, environment: dict[str, str]) -> None:
        self.folder, self.size, self.environment = folder, size, environment
        self._places = 0

    def run(self, name: str, database: Database) -> list[Result]:
        """One measurement on one database."""
        if name == "memory":
            return self._memory(database)
        rows = self.size.sent if name in ("single", "hundred") else self.size.rows
        if name in ("hundred", "workbook"):
            rows *= 2
        with self._place(database) as environment:
            return [Result(**found) for found in self._child(name, rows, environment)]

    def _memory(self, database: Database) -> list[Result]:
        found: dict[tuple[str, int], dict[str, float]] = {}
        for rows in (self.size.small, self.size.large):
            with self._place(database) as environment:
                for stage in ("reading", "checking"):
                    found[stage, rows] = self._child(stage, rows, environment)
        return [
            Result(
                f"peak memory of {stage}, {self.size.large:,} rows against {self.size.small:,}", 1.15, False,
                [found[stage, self.size.large]["megabytes"] / found[stage, self.size.small]["megabytes"]],
                {
                    f"{rows:,} rows": "{megabytes:.0f} MB in {seconds:.1f} s".format(**found[stage, rows])
                    for rows in (self.size.small, self.size.large)
                },
            )
            for stage in ("reading", "checking")
        ]

    @contextmanager
    def _place(self, database: Database) -> Iterator[dict[str, str]]:
        self._places += 1
        folder = self.folder / str(self._places)
        folder.mkdir()
        yield self.environment | {"PORTAL_DATA": str(folder), "DATABASE_URL": database.make(str(self._places))}

    def _child(self, name: str, rows: int, environment: dict[str, str]) -> Any:
        command = [sys.executable, "-m", "tests.bench.child", name, str(rows), str(self.size.rounds)]
        told = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)
        if told.returncode:
            raise SystemExit(f"The measurement “{name}” went wrong; what it measured would not be true.")
        return json.loads(told.stdout)


def main() -> None:
    """Measure what was asked for and print the table as it grows."""
    chosen = _arguments()
    size = QUICK if chosen.quick else FULL
    if chosen.rows:
        size = Size(chosen.rows, max(1000, chosen.rows // 5), size.rounds, size.large, size.small)
    begun = time.monotonic()
    # Ended from outside, too, no server and no folder may stay behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        databases = [Database("SQLite", lambda name: "")]
        if make := stack.enter_context(postgresql()) if "sqlite" not in chosen.only else None:
            databases.append(Database(version(make("version")), make))
        (folder / "redis").mkdir()
        environment = _environment(
            stack.enter_context(redis_server.running(folder / "redis")), stack.enter_context(running_emulator()).url
        )
        print(f"{machine()}\n\n{HEADING}", flush=True)
        bench = Bench(folder, size, environment)
        for name in chosen.names or NAMES:
            for database in databases[:1] if name == "workbook" else databases:
                for result in bench.run(name, database):
                    print(result.line("–" if name == "workbook" else database.name), flush=True)
    print(f"\nMeasured in {(time.monotonic() - begun) / 60:.1f} minutes.")


def machine() -> str:
    """What it was measured on."""
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}; load {load:.1f} before the first measurement"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to measure: {', '.join(NAMES)} (default: all)")
    parser.add_argument("--rows", type=int, help=f"rows of a file; a fifth of them is sent (default: {FULL.rows})")
    parser.add_argument("--quick", action="store_true", help="smaller and rougher, in less than 3 minutes")
    parser.add_argument("--only", default="", choices=("", "sqlite"), help="leave PostgreSQL out")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(NAMES):
        parser.error(f"There is no measurement {', '.join(sorted(unknown))}. Choose from {', '.join(NAMES)}.")
    return chosen


def _environment(redis_url: str, emulator_url: str) -> dict[str, str]:
    """As in production, but that destinations may lie on this machine."""
    return os.environ | {
        "DEBUG": "0", "PORTAL_DEMO": "0", "PORTAL_ALLOW_PRIVATE_DESTINATIONS": "1", "REDIS_URL": redis_url,
        "BENCH_EMULATOR": emulator_url, "SECRET_KEY": secrets.token_urlsafe(48),
        "PORTAL_ENCRYPTION_KEYS": Fernet.generate_key().decode(), "PORTAL_INDEX_KEY": secrets.token_urlsafe(48),
    }


if __name__ == "__main__":
    main()
