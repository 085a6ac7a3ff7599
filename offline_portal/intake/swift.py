"""The fast way through a large plain sheet: calamine in a child process with capped memory and time.

calamine drops the text of error cells and trims strings, so a sheet with either is left to our own reader
(`is_plain`). Whatever happens to the child, the caller can go on with that after the last row it got.
"""

import marshal
import re
import resource
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from .columns import letter
from .numbers import LOST_FROM, digits_lost, duration_text, moment_text, number_text
from .sheet import Rows

FROM_BYTES = 4 * 1024**2  # below, starting a child takes longer than reading
TO_BYTES = 400 * 1024**2  # above, the child would need more memory than it is given
MEMORY = 1024**3
SECONDS = 120
_ROWS = 2000
_SIZE = struct.Struct("<I")

# Searched for as plain bytes first: a regular expression over the whole sheet takes as long as reading it.
_ERRORS = (b't="e"', b't="d"')
_ERRORS_IN_SINGLE_QUOTES = (b"t='e'", b"t='d'")
_SPACED = (b"<t> ", b"<t>\n", b"<t>\t", b"<t>\r", b" </t>", b"\n</t>", b"\t</t>", b"\r</t>")
_TRIMMED = re.compile(rb"<t>(?:\s[^<]*|[^<]*\s)</t>")


def worthwhile(size: int) -> bool:
    """Whether a sheet of so many unpacked bytes is read faster by the child."""
    return FROM_BYTES <= size <= TO_BYTES


class Child:
    """A child process that reads one sheet. `finished` tells afterwards whether it came to the end."""

    def __init__(self, path: str, sheet: str, width: int) -> None:
        self.merged: list[str] = []
        self.finished = False
        self._process = subprocess.Popen(  # noqa: S603 (our own module)
            [sys.executable, "-m", __name__, path, sheet, str(width)],
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> "Child":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def rows(self) -> Iterator[Rows]:
        """Rows, padded to the width; ends early, with `finished` false, where the child fails."""
        assert self._process.stdout is not None
        while True:
            size = self._process.stdout.read(_SIZE.size)
            if len(size) < _SIZE.size:
                return
            message = self._process.stdout.read(*_SIZE.unpack(size))
            try:
                what, content = marshal.loads(message)  # noqa: S302 (from our own child)
            except (EOFError, ValueError, TypeError):
                return
            if what == "rows":
                yield Rows(*content)
            elif what == "merged":
                self.merged += content
            else:
                self.finished = True
                return


def is_plain(blocks: Iterable[bytes]) -> bool:
    """Whether calamine reads exactly what is in these blocks of a sheet or of the shared strings."""
    held = b""
    for block in blocks:
        block = held + block
        if b":c " in block or b":t>" in block or any(mark in block for mark in _ERRORS):
            return False
        if b"='" in block and any(mark in block for mark in _ERRORS_IN_SINGLE_QUOTES):
            return False
        if b"<t>" in block and any(mark in block for mark in _SPACED) and _TRIMMED.search(block):
            return False
        held = block[-4096:]
    return True


def main() -> None:
    """The child: write messages (what, content) to standard output."""
    path, name, width = sys.argv[1:4]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    from python_calamine import CalamineWorkbook

    sheet = CalamineWorkbook.from_path(path).get_sheet_by_name(name)
    merged = [
        f"{letter(first[1])}{first[0] + 1}:{letter(last[1])}{last[0] + 1}"
        for first, last in (sheet.merged_cell_ranges or [])[:1000]
    ]
    _say("merged", merged)
    for rows in _rows(sheet, int(width)):
        _say("rows", tuple(rows))
    _say("end", None)


def _say(what: str, content: Any) -> None:
    # Not marshal.load from the pipe: it asks the stream for every few bytes.
    message = marshal.dumps((what, content))
    sys.stdout.buffer.write(_SIZE.pack(len(message)) + message)


def _rows(sheet: Any, width: int) -> Iterator[Rows]:
    """Rows that hold anything, with the sheet's row numbers."""
    if sheet.start is None:
        return
    line, left = sheet.start[0], [""] * sheet.start[1]
    right = [""] * (width - sheet.end[1] - 1)
    shaped = bool(left or right) or sheet.end[1] >= width
    long: list[float] = []
    texts = {**_TEXTS, float: _float_text(long)}
    rows = Rows([], [], {})
    for values in sheet.iter_rows():
        line += 1
        cells = [value if value.__class__ is str else texts[value.__class__](value) for value in values]
        if shaped:
            cells = left + cells + right
            while len(cells) > width and not cells[-1]:
                cells.pop()
        if not any(map(str.strip, cells)):
            if not any(cells):
                continue
            rows.defects[line] = [("blank_line", 0)]
        if long:
            rows.defects[line] = _lost(values, len(left))
            long.clear()
        rows.lines.append(line)
        rows.cells.append(cells)
        if len(rows.lines) == _ROWS:
            yield rows
            rows = Rows([], [], {})
    yield rows


def _float_text(long: list[float]) -> Callable[[float], str]:
    """`number_text`, which also puts numbers with too many digits into `long`."""

    def text(number: float) -> str:
        if -LOST_FROM < number < LOST_FROM:
            return str(int(number)) if number == number // 1 else number_text(number)
        if digits_lost(number):
            long.append(number)
        return number_text(number)

    return text


def _lost(values: list[Any], left: int) -> list[tuple[str, int]]:
    return [
        ("digits_lost", place)
        for place, value in enumerate(values, left)
        if type(value) is float and digits_lost(value)
    ]


_TEXTS: dict[type, Any] = {
    int: str,
    bool: lambda value: "TRUE" if value else "FALSE",
    date: moment_text,
    datetime: moment_text,
    time: moment_text,
    timedelta: duration_text,
    type(None): lambda _: "",
}


if __name__ == "__main__":
    main()
