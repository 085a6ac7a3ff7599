"""A portal started as a person starts it, for tests to look at from the outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from offline_portal.embedded import place
from tests.embedded.conftest import ROOT, alive, descendants, free_ports, start, wait_until

PROGRAMS = {
    "redis": "redis-server",
    "web": "gunicorn",
    "intake": "worker intake",
    "delivery": "worker delivery",
    "sweeper": "manage.py sweeper",
    "emulator": "connectors.emulator",
}


class Run:
    """One run of the portal in a folder of its own; `stores` (DATABASE_URL, …) are known to its commands too."""

    def __init__(self, folder: Path, port: int, emulator_port: int, **stores: str) -> None:
        self.folder, self.port, self.emulator_port = folder, port, emulator_port
        self.stores = {"REDIS_URL": "", "DATABASE_URL": ""} | stores
        self.ftp_port, self.sftp_port = free_ports(2)
        self.program: subprocess.Popen[str] | None = None

    def start(self) -> subprocess.Popen[str]:
        self.program = start("manage.py", "run_portal", **self._environment())
        return self.program

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A management command in another terminal: of the environment it knows only where the data lies."""
        environment = {name: text for name, text in os.environ.items() if name not in place.SHARED}
        return subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, text=True, capture_output=True, timeout=60,
            env={**environment, "PORTAL_DATA": str(self.folder), **self.stores},
            stdin=subprocess.DEVNULL,
        )

    def _environment(self) -> dict[str, str]:
        return {
            "DEBUG": "1", "PORTAL_DEMO": "1", "PORTAL_DATA": str(self.folder), "PORT": str(self.port),
            "EMULATOR_PORT": str(self.emulator_port), "EMULATOR_FTP_PORT": str(self.ftp_port),
            "EMULATOR_SFTP_PORT": str(self.sftp_port), "PORTAL_SWEEP_EVERY": "1", **self.stores,
        }  # fmt: skip

    @property
    def pid(self) -> int:
        assert self.program
        return self.program.pid

    def get(self, port: int, path: str) -> tuple[int, bytes]:
        """Status and body; 0 where nothing answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError:
            return 0, b""

    def health(self) -> dict[str, Any]:
        return json.loads(self.get(self.port, "/api/v1/health")[1] or b"{}")

    def is_up(self) -> bool:
        return self.get(self.port, "/api/v1/health")[0] == 200 and self.get(self.emulator_port, "/")[0] == 200

    def programs(self) -> dict[str, int]:
        """Process id by name of the programs that it supervises."""
        running = descendants(self.pid)
        return {
            name: min(pid for pid, command in running.items() if words in command)
            for name, words in PROGRAMS.items()
            if any(words in command for command in running.values())
        }

    def end(self, number: int = signal.SIGINT) -> str:
        """End it, make sure that nothing is left, and give what it printed."""
        everything = {self.pid, *descendants(self.pid)}
        os.kill(self.pid, number)
        assert self.program
        said, _ = self.program.communicate(timeout=30)
        assert wait_until(lambda: not any(map(alive, everything)), 15), "something was left behind"
        return said
