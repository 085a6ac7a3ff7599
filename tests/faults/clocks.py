"""Clocks for programs of a test, by libfaketime: each reads its offset from the true time in a file, over and over.

Only the time of day is another one. Pauses and deadlines go by the monotonic clock, which nobody sets.
"""

from __future__ import annotations

from datetime import timedelta
from glob import glob
from pathlib import Path

import pytest

LIBRARIES = "/usr/lib/*/faketime/libfaketimeMT.so.1"


class FalseClock:
    """A clock of its own for some programs; it starts as much `ahead` of the true one."""

    def __init__(self, file: Path, ahead: timedelta = timedelta()) -> None:
        found = sorted(glob(LIBRARIES))
        if not found:
            pytest.skip("no libfaketime on this machine (Debian: faketime)")
        self._file = file
        self.set(ahead)
        self.environment = {
            "DJANGO_SETTINGS_MODULE": "tests.faults.other_clock", "LD_PRELOAD": found[0],
            "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1",
        }  # fmt: skip
        """For `Programs.start`: the program goes by this clock."""

    def set(self, ahead: timedelta) -> None:
        """From now on it is as much ahead of the true time."""
        draft = self._file.with_suffix(".draft")
        draft.write_text(f"{ahead.total_seconds():+.0f}\n")
        draft.replace(self._file)
