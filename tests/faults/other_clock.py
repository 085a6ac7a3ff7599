"""The portal's settings for a program whose clock is libfaketime's (see `clocks`)."""

import select
import time

from tests.faults.hasty import *  # noqa: F403


def _sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


# Python sleeps until a moment of the monotonic clock, which libfaketime 0.9.10 takes for one of a clock that it fakes:
# the sleep fails, or never ends. Nothing else that waits is touched by it.
time.sleep = _sleep
