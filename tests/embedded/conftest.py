"""Real programs, real Redis, real ports; all on this machine and in folders of their own."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short path."""
    folder = Path(tempfile.mkdtemp(prefix="pt-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nothing listens on, below those that whoever connects somewhere is given."""
    ports: set[int] = set()
    while len(ports) < count:
        with suppress(OSError), socket.create_server(("127.0.0.1", 15_000 + secrets.randbelow(17_000))) as probe:
            ports.add(int(probe.getsockname()[1]))
    return list(ports)


def wait_until(condition: Callable[[], object], seconds: float = 10.0) -> bool:
    """Whether `condition()` became true in time."""
    last = time.monotonic() + seconds
    while time.monotonic() < last:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())


def alive(pid: int) -> bool:
    """Whether a process runs and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def descendants(pid: int) -> dict[int, str]:
    """Command line by process id of everything below a process."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found: dict[int, str] = {}
    edge = {pid}
    while edge := {child for child, parent in parents.items() if parent in edge and child not in found}:
        found |= {child: command_of(child) for child in edge}
    return found


def command_of(pid: int) -> str:
    """A process's command line; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def start(*command: str, **environment: str) -> subprocess.Popen[str]:
    """A program of ours, in the project's folder and a session of its own, its output to be read."""
    return subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env={**os.environ, **environment}, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )
