"""Whether this worker was asked to end: a shift looks here before each group of requests."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from django.conf import settings

_SPARE_SECONDS = 15
"""For writing down the answers after the last request may have taken its whole deadline."""

_asked = threading.Event()


def requested() -> bool:
    """Whether the work at hand should end as soon as it can; it may finish requests that are under way."""
    return _asked.is_set()


def listen() -> None:
    """Take SIGTERM as that request, from now on, in this program. For the main thread of a work-horse."""
    _asked.clear()
    signal.signal(signal.SIGTERM, _ask)


def _ask(number: int, frame: Any) -> None:
    if not _asked.is_set():
        _asked.set()
        # Work that does not look here must not keep the program from ending; its claim is then taken over.
        last = threading.Timer(settings.PORTAL_REQUEST_DEADLINE + _SPARE_SECONDS, os._exit, (1,))
        last.daemon = True
        last.start()
