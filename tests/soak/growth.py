"""Whether anything grows: what Redis keeps, SQLite's log, and each program's memory and open files."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.soak.programs import Programs
from tests.soak.stores import RedisServer


class Growth:
    """Looks from time to time; tells the largest of the first and of the last third of a run."""

    def __init__(self, programs: Programs, redis: RedisServer, folder: Path) -> None:
        self._programs, self._redis, self._log = programs, redis, folder / "portal.sqlite3-wal"
        self._seen: dict[str, list[float]] = defaultdict(list)

    def look(self) -> None:
        """One look; what does not answer is left out."""
        memory: Any = self._redis.say("INFO", "memory")
        if memory:
            self._seen["Redis keys"].append(float(str(self._redis.say("DBSIZE") or 0)))
            self._seen["Redis memory, MB"].append(memory["used_memory"] / 1e6)
        if self._log.exists():
            self._seen["SQLite's log, MB"].append(self._log.stat().st_size / 1e6)
        for name, program in self._programs.all.items():
            # A web server's first process answers nobody.
            for process in program.family()[1:] if name == "web" else program.family()[:1]:
                kind = name.partition(" ")[0]
                self._note(f"{kind}: memory, MB", f"/proc/{process.pid}/status")
                self._note(f"{kind}: open files", f"/proc/{process.pid}/fd")

    def _note(self, what: str, path: str) -> None:
        try:
            if path.endswith("/fd"):
                self._seen[what].append(len(list(Path(path).iterdir())))
            else:
                line = next(line for line in Path(path).read_text().splitlines() if line.startswith("VmRSS:"))
                self._seen[what].append(int(line.split()[1]) / 1e3)
        except (OSError, StopIteration):
            return

    def largest(self) -> dict[str, tuple[float, float]]:
        """By what was measured: the largest of the first third, and of the last."""
        return {
            what: (round(max(seen[: len(seen) // 3 or 1]), 1), round(max(seen[-(len(seen) // 3 or 1) :]), 1))
            for what, seen in self._seen.items()
        }
