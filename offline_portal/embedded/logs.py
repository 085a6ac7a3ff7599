"""What the programs of a run print: all of it in a file, the gist on the screen."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from pathlib import Path

LARGEST_FILE = 10 * 1024 * 1024
_NOISE = re.compile(r"\s|$|During handling of |The above exception was |Traceback \(most recent call last\)")
_STAMP = re.compile(r"^\d{4}-\d\d-\d\d (\d\d:\d\d:\d\d),\d+ (INFO )?(\w+ )?[\w.]+: ")


class Log:
    """Takes lines by the program that printed them.

    On the screen a traceback becomes its last line; the file has the whole of it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._in_traceback: set[str] = set()

    def line(self, name: str, text: str) -> None:
        """One line that the program `name` printed."""
        with suppress(OSError):
            self._file.write(f"{name}: {text}\n")
            if self._file.tell() > LARGEST_FILE:
                self._turn_over()
        if text.startswith("Traceback "):
            self._in_traceback.add(name)
        if name in self._in_traceback and _NOISE.match(text):
            return
        self._in_traceback.discard(name)
        if text and not _NOISE.match(text):
            self._show(f"{name:>10} | {_STAMP.sub(_short, text)}")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _turn_over(self) -> None:
        self._file.close()
        self._path.replace(self._path.with_suffix(".old.log"))
        self._file = self._path.open("a", encoding="utf-8", buffering=1)

    def _show(self, line: str) -> None:
        # The terminal may be gone before the programs are.
        with suppress(OSError):
            print(line, flush=True, file=sys.stdout)


def _short(stamp: re.Match[str]) -> str:
    time, _, level = stamp.groups(default="")
    return f"{time} {level}"
