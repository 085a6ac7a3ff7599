"""What intake gives to everyone else: a file's header and its numbered rows."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

# Problems that only tell; the row's cells are certain all the same and may be sent.
HARMLESS = frozenset({"quote_inside", "number_at_limit", "merged_cells", "trailing_delimiter", "duplicate_row"})

NOTES_KEPT = 1000


@dataclass(frozen=True)
class Limits:
    """What a file may be at most; a file beyond is refused."""

    max_bytes: int = 200 * 1024**2
    max_rows: int = 1_048_576
    max_columns: int = 500
    max_cell_bytes: int = 1024 * 1024


@dataclass(frozen=True)
class Options:
    """What a person says about a file instead of having it recognised.

    `header_line` counts from 1 as the person sees it; 0 means that there is no header.
    `delimiter` is one character or `tab`.
    """

    sheet: str | None = None
    header_line: int | None = None
    encoding: str | None = None
    delimiter: str | None = None


class Refused(Exception):
    """The file is not taken. `code` is stable; `message` says to a person what, where and what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Problem:
    """A defect of the file: `line` None means the whole file, `column` is the column's name."""

    line: int | None
    column: str | None
    code: str
    message: str


class SourceRow(NamedTuple):
    """One data line. `cells` has one text a column; surplus cells of a too long row follow at the end."""

    line: int
    cells: list[str]
    problems: list[Problem] | None


Note = Callable[[Problem], None]
Blocks = Callable[[Note], Iterator[list[SourceRow]]]


@dataclass
class Reading:
    """A file as it was recognised; `rows` and `chunks` stream its rows and may be called again.

    `problems` holds those of the whole file and of the header. While the rows are read, lines that are no
    rows (blank ones) and other findings of the whole file are added to it, at most 1,000.
    """

    filename: str
    format: str
    encoding: str
    delimiter: str
    quote: str
    sheet: str
    sheets: list[str]
    header_line: int
    columns: list[str]
    problems: list[Problem]
    blocks: Blocks = field(repr=False)

    def __post_init__(self) -> None:
        self._opening_problems = tuple(self.problems)

    def rows(self) -> Iterator[SourceRow]:
        """Stream the rows in file order. Raises Refused where a limit is passed or the file breaks off."""
        return chain.from_iterable(self._blocks())

    def chunks(self, size: int = 5000) -> Iterator[list[SourceRow]]:
        """Stream the rows in lists of `size` (the last may be shorter). Raises Refused, as `rows` does."""
        waiting: list[SourceRow] = []
        for block in self._blocks():
            waiting += block
            whole = len(waiting) - len(waiting) % size
            for start in range(0, whole, size):
                yield waiting[start : start + size]
            del waiting[:whole]
        if waiting:
            yield waiting

    def _blocks(self) -> Iterator[list[SourceRow]]:
        self.problems[:] = self._opening_problems
        count = 0
        for block in self.blocks(self._note):
            count += len(block)
            yield block
        if not count and not any(problem.code == "no_rows" for problem in self.problems):
            self._note(no_rows())

    def _note(self, problem: Problem) -> None:
        if len(self.problems) < len(self._opening_problems) + NOTES_KEPT:
            self.problems.append(problem)


def no_rows() -> Problem:
    return Problem(None, None, "no_rows", "The file has a header but no rows below it: there is nothing to send.")


_UNSAFE_IN_NAMES = re.compile(r'[\\/:*?"<>|\s]+')


def safe_name(filename: str) -> str:
    """`filename` made safe to show and to offer for download: no path, quotes, control or direction marks.

    At most 120 characters; the ending stays. Never empty.
    """
    base = re.split(r"[\\/]", filename)[-1]
    visible = "".join(
        character for character in base if unicodedata.category(character)[0] != "C" or character in "\t\n\r"
    )
    clean = _UNSAFE_IN_NAMES.sub(" ", visible.replace("'", " ")).strip(" .")
    if len(clean) > 120:
        stem, dot, ending = clean.rpartition(".")
        clean = f"{stem[:110]}…{dot}{ending}" if dot and len(ending) < 9 else clean[:119] + "…"
    return clean or "file"
