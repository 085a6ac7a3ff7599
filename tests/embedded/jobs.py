"""What the workers of the tests are given to do. Each job leaves its words in a file."""

from __future__ import annotations

import os
import time
from pathlib import Path

from offline_portal.delivery import stopping


def note(file: str, words: str) -> None:
    """Add a line to a file."""
    with Path(file).open("a") as lines:
        lines.write(words + "\n")


def until_stopped(file: str) -> None:
    """Say that it began, work until asked to stop, and say so."""
    note(file, f"began {os.getpid()}")
    while not stopping.requested():
        time.sleep(0.02)
    note(file, "stopped early")


def slow(file: str, seconds: float) -> None:
    """Work for a while."""
    note(file, f"began {os.getpid()}")
    time.sleep(seconds)
    note(file, "done")
