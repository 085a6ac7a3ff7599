"""Streams the rows of a text file: fast where rows are plain, careful where they are odd.

The text goes in blocks of about a million characters through `csv.reader`. Only rows that it cannot read
strictly, or whose cells are too few, too many or undecodable, are looked at one by one.
"""

import csv
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path

from . import oddities
from .dialect import Dialect, physical_lines, reader, unescape
from .encoding import Encoding, nul_inside, spoiled_text, text_blocks
from .reading import Limits, Note, Refused, SourceRow

csv.field_size_limit(sys.maxsize)  # the reader's own limit is ours: it names line and column


@dataclass(frozen=True)
class TextSource:
    """A text file as recognised, from which its rows can be streamed again and again."""

    path: Path
    encoding: Encoding
    dialect: Dialect
    header_line: int
    first_line: int
    columns: list[str]
    limits: Limits

    def blocks(self, note: Note) -> Iterator[list[SourceRow]]:
        """Lists of rows in file order; findings that belong to no row go to `note`. Raises Refused."""
        with self.path.open("rb") as stream:
            yield from _Passage(self, note).blocks(text_blocks(stream, self.encoding))


class _Passage:
    """One way through a file."""

    def __init__(self, source: TextSource, note: Note) -> None:
        self.dialect: Dialect = source.dialect
        self.limits = source.limits
        self.width = len(source.columns)
        self.header_line = source.header_line
        self.first_line = source.first_line
        self.rows_left = source.limits.max_rows
        self.judge = oddities.Judge(source.columns, self.dialect, source.limits, note)
        self.long_row = source.limits.max_cell_bytes // 4  # a character has at most four bytes

    def blocks(self, texts: Iterator[str]) -> Iterator[list[SourceRow]]:
        line = 1
        waiting: list[str] = []
        for lines, final in _physical_lines(texts, self.limits):
            if line < self.first_line:
                skipped = min(self.first_line - line, len(lines))
                lines, line = lines[skipped:], line + skipped
            lines = waiting + lines
            rows, starts, used = self._parse(lines, line, final)
            waiting, line = lines[used:], line + used
            found = self._judged(rows, starts, lines[:used])
            self.rows_left -= len(found)
            if self.rows_left < 0:
                raise _too_many_rows(self.limits, found[self.rows_left].line)
            if found:
                yield found

    def _parse(self, lines: list[str], first: int, final: bool) -> tuple[list[list[str]], list[int], int]:
        """The whole rows in `lines`, the physical line of each, and how many lines they take."""
        quote = self.dialect.quote
        text = "".join(lines)
        if not quote or quote not in text:
            rows = list(reader(lines, self.dialect, strict=True))
            return rows, list(range(first, first + len(rows))), len(lines)
        if self.dialect.backslash:
            lines = physical_lines(unescape(text, self.dialect))
        source, starts, line = reader(lines, self.dialect, strict=True), [], first
        rows = []
        try:
            for cells in source:
                rows.append(cells)
                starts.append(line)
                line = first + source.line_num
        except csv.Error:
            cut_off = not final and source.line_num == len(lines)
            if not cut_off or sum(map(len, lines[line - first :])) > self.limits.max_cell_bytes:
                return self._parse_odd(lines, first, rows, starts, line - first, final)
            return rows, starts, line - first
        return rows, starts, len(lines)

    def _parse_odd(
        self, lines: list[str], first: int, rows: list[list[str]], starts: list[int], place: int, final: bool
    ) -> tuple[list[list[str]], list[int], int]:
        """Go on row by row from `place`, where a row is broken."""
        while place < len(lines):
            cells, used, defects = oddities.read_row(lines, place, self.dialect, self.width, self.limits)
            if used is None and not final and sum(map(len, lines[place:])) <= self.limits.max_cell_bytes:
                break
            if used is None:
                cells, used, defects = oddities.read_line(lines[place], self.dialect, self.width)
            if defects:
                self.judge.defects[first + place] = defects
            rows.append(cells)
            starts.append(first + place)
            place += used
        return rows, starts, place

    def _judged(self, rows: list[list[str]], starts: list[int], lines: list[str]) -> list[SourceRow]:
        if not rows:
            return []
        text = "".join(lines)
        judge = self.judge
        judge.line_ends(lines, text, starts)
        quote = self.dialect.quote
        if quote and not self.dialect.backslash and quote in text and quote in "".join(chain.from_iterable(rows)):
            self._find_bare_quotes(rows, starts, lines)
        if starts[0] == self.header_line:
            rows, starts = rows[1:], starts[1:]
        odd = self._odd_lines(rows, starts, lines, text)
        odd.update(judge.defects)
        if not odd and set(map(len, rows)) == {self.width}:
            return list(map(SourceRow, starts, rows, repeat(None)))
        width, look = self.width, judge.look
        every = [
            SourceRow(line, cells, None) if len(cells) == width and line not in odd else look(line, cells)
            for line, cells in zip(starts, rows, strict=True)
        ]
        return [row for row in every if row is not None]

    def _odd_lines(self, rows: list[list[str]], starts: list[int], lines: list[str], text: str) -> set[int]:
        """Lines of the rows that have to be looked at, by tests over the whole text first."""
        tests: list[Callable[[list[str]], bool]] = []
        if not text.isascii() and spoiled_text(text):
            tests.append(lambda cells: spoiled_text("".join(cells)))
        if oddities.holds_limit_number(text):
            tests.append(lambda cells: not oddities.LIMIT_NUMBERS.isdisjoint(cells))
        if self.long_row < (len(text) if len(rows) != len(lines) else max(map(len, lines))):
            tests.append(lambda cells: len(max(cells, key=len, default="")) > self.long_row)
        if self.width > 1 and (self.dialect.delimiter * (self.width - 1) in text or '"",""' in text):
            tests.append(lambda cells: not any(cells))
        return (
            {line for line, cells in zip(starts, rows, strict=True) if any(test(cells) for test in tests)}
            if tests
            else set()
        )

    def _find_bare_quotes(self, rows: list[list[str]], starts: list[int], lines: list[str]) -> None:
        quote, first = self.dialect.quote, starts[0]
        for place, (line, cells) in enumerate(zip(starts, rows, strict=True)):
            if line not in self.judge.defects and quote in "".join(cells):
                end = starts[place + 1] - first if place + 1 < len(starts) else len(lines)
                if bare := oddities.bare_quotes("".join(lines[line - first : end]), self.dialect):
                    self.judge.defects[line] = bare


def _physical_lines(texts: Iterator[str], limits: Limits) -> Iterator[tuple[list[str], bool]]:
    """Lists of whole physical lines, ends kept, each with whether it is the last list."""
    rest = ""
    longest = 16 * limits.max_cell_bytes
    for text in texts:
        if "\0" in text:
            raise nul_inside()
        text = rest + text
        # A carriage return at the very end may be half of a line end.
        cut = max(text.rfind("\n"), text.rfind("\r", 0, len(text) - 1)) + 1
        rest = text[cut:]
        if len(rest) > longest:
            raise Refused(
                "cell_too_large",
                f"A line is longer than {longest:,} characters; this is no table. Export it again as CSV.",
            )
        if cut:
            yield physical_lines(text[:cut]), False
    yield physical_lines(rest), True


def _too_many_rows(limits: Limits, line: int) -> Refused:
    message = (
        f"The file has more than {limits.max_rows:,} rows (line {line:,} is one too many). Split it into several files."
    )
    return Refused("too_many_rows", message)
