"""Binding a program's life to that of the one that started it, where the system can do so."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with(parent: int) -> None:
    """Have the kernel send this program SIGTERM when `parent`, which started it, is no more (Linux).

    Called in the new program itself. Elsewhere than on Linux it does nothing.
    """
    if _libc is None:
        return
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)


def interruption_of(parent: int) -> Callable[[], bool]:
    """A test for whether `parent`, a GNU make that waits for this program, was interrupted (Linux; else never).

    A terminal's Ctrl-C reaches both. But a SIGINT sent to make alone only makes it wait for its children, after it
    has put its own handler away: that is what shows.
    """
    if not _catches_interrupts(parent):
        return lambda: False
    return lambda: not _catches_interrupts(parent)


def _catches_interrupts(pid: int) -> bool:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    caught = next((line.split()[1] for line in lines if line.startswith("SigCgt:")), "0")
    return bool(int(caught, 16) >> (signal.SIGINT - 1) & 1)
