"""How far something has come: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from typing import TextIO

WIDTH = 24
_LINE_EVERY = 5.0


class Progress:
    """Shows one stage after the other on `stream`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._stage = ""
        self._began = 0.0
        self._done_before = 0
        self._next_line = 0.0
        self._shown = self._printed = ""

    def show(self, stage: str, done: int, total: int) -> None:
        """`done` of `total` rows of this stage; `total` is 0 while it is not known."""
        now = time.monotonic()
        if stage != self._stage:
            self.close()
            self._stage, self._began, self._done_before, self._next_line = stage, now, done, now
        text = f"{stage:<10} {self._bar(done, total)}{self._pace(done, total, now - self._began)}"
        if text == self._shown:
            return
        if self._is_terminal:
            self._write(f"\r\033[K{text}")
        elif now >= self._next_line:
            self._next_line = now + _LINE_EVERY
            self._printed = text
            self._write(text + "\n")
        self._shown = text

    def close(self) -> None:
        """End the stage: how it ended is shown in any case."""
        if self._is_terminal and self._shown:
            self._write("\n")
        elif self._shown != self._printed:
            self._write(self._shown + "\n")
        self._shown = self._printed = self._stage = ""

    def _bar(self, done: int, total: int) -> str:
        if not total:
            return f"{done:,} rows"
        filled = WIDTH * done // total
        bar = f"[{'#' * filled}{'.' * (WIDTH - filled)}] " if self._is_terminal else ""
        return f"{bar}{done:,} of {total:,} rows"

    def _pace(self, done: int, total: int, seconds: float) -> str:
        moved = done - self._done_before
        if seconds < 1 or moved <= 0:
            return ""
        rate = moved / seconds
        left = f", {duration((total - done) / rate)} left" if done < total else ""
        return f", {rate:,.0f} rows/s{left}"

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def duration(seconds: float) -> str:
    """`42 s`, `3:07 min`, `2:05 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}:{rest:02} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours}:{rest:02} h"
