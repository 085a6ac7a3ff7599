"""Rows that are not as they should be: read as far as is certain, every defect named, nothing shifted."""

import re
from functools import lru_cache

from .columns import letter
from .dialect import Dialect
from .encoding import UNDECODABLE
from .reading import Limits, Note, Problem, Refused, SourceRow

Defect = tuple[str, int]  # code, index of the column

# Numbers at which other programs cut: 16, 32 and 64 bits, signed and unsigned.
_LIMITS = (
    "32767", "32768", "65535", "2147483647", "2147483648", "4294967295", "9223372036854775807", "18446744073709551615"
)  # fmt: skip
LIMIT_NUMBERS = frozenset((*_LIMITS, *(f"-{number}" for number in _LIMITS)))
_AFTER_QUOTE = re.compile(r" *")
_ENDS = {"\r\n": "CRLF", "\n": "LF", "\r": "CR"}
_NAMED_QUOTE = {'"': "quotation mark", "'": "apostrophe"}


class Judge:
    """Looks at the odd rows of one file and says what is wrong with each."""

    def __init__(self, columns: list[str], dialect: Dialect, limits: Limits, note: Note) -> None:
        self.columns = columns
        self.width = len(columns)
        self.dialect = dialect
        self.limits = limits
        self.note = note
        self.defects: dict[int, list[Defect]] = {}
        self.line_end: str | None = None
        self.trailing_noted = False

    def look(self, line: int, cells: list[str]) -> SourceRow | None:
        """The row with its problems; None for a blank line, which is noted."""
        if not cells:
            self.note(Problem(line, None, "blank_line", f"Line {line} is blank and was left out."))
            return None
        problems: list[Problem] = []
        if len(cells) != self.width:
            cells = self._ragged(line, cells, problems)
        elif not any(map(str.strip, cells)) and self.width > 1:
            problems.append(Problem(line, None, "blank_line", f"All cells of line {line} are empty."))
        for code, index in self.defects.pop(line, ()):
            problems.append(_quote_problem(line, self.column(index), code))
        for index, cell in enumerate(cells):
            if cell:
                cells[index] = self._cell(line, index, cell, problems)
        return SourceRow(line, cells, problems or None)

    def column(self, index: int) -> str:
        """The name of the column, or its letter where the header has none."""
        return self.columns[index] if index < self.width else f"Column {letter(index)}"

    def line_ends(self, lines: list[str], text: str, starts: list[int]) -> None:
        """Note the first row that ends differently from those before."""
        if self.line_end == "mixed":
            return
        pairs = text.count("\r\n")
        singles = (("\r\n", pairs), ("\n", text.count("\n") - pairs), ("\r", text.count("\r") - pairs))
        kinds = [end for end, times in singles if times]
        if len(kinds) == 1 and self.line_end in (None, kinds[0]):
            self.line_end = kinds[0]
            return
        first = starts[0]
        lasts = [start - first - 1 for start in starts[1:]] + [len(lines) - 1]
        for start, last in zip(starts, lasts, strict=True):
            end = next((end for end in _ENDS if lines[last].endswith(end)), None)
            if end and self.line_end and end != self.line_end:
                message = (
                    f"Line {start} ends with {_ENDS[end]}, the lines before with {_ENDS[self.line_end]}; "
                    "every row was read all the same."
                )
                self.note(Problem(start, None, "mixed_line_ends", message))
                self.line_end = "mixed"
                return
            self.line_end = self.line_end or end

    def _ragged(self, line: int, cells: list[str], problems: list[Problem]) -> list[str]:
        width, count = self.width, len(cells)
        if count > width and not any(map(str.strip, cells[width:])):
            if not self.trailing_noted:
                self.trailing_noted = True
                message = (
                    f"From line {line} on, rows end with more delimiters than the header; nothing stands after them."
                )
                self.note(Problem(line, None, "trailing_delimiter", message))
            return cells[:width]
        if count > self.limits.max_columns:
            raise too_many_columns(count, self.limits, line)
        if count > width:
            message = (
                f"Line {line} has {count} cells, but there are only {width} columns. What stands from column "
                f"{letter(width)} on belongs to none; perhaps a cell with a delimiter in it is not quoted."
            )
            problems.append(Problem(line, self.column(width), "too_many_cells", message))
            return cells
        if cells[0].lstrip().startswith("#"):
            message = (
                f"Line {line} looks like a comment (it begins with #). Take it out of the file, or leave the row out."
            )
            problems.append(Problem(line, self.columns[0], "comment_line", message))
        elif not any(map(str.strip, cells)):
            problems.append(Problem(line, None, "blank_line", f"All cells of line {line} are empty."))
        else:
            message = (
                f"Line {line} has {count} cells, but there are {width} columns: "
                f"“{self.columns[count]}” and what follows is missing."
            )
            problems.append(Problem(line, self.columns[count], "too_few_cells", message))
        return cells + [""] * (width - count)

    def _cell(self, line: int, index: int, cell: str, problems: list[Problem]) -> str:
        if (
            len(cell) * 4 > self.limits.max_cell_bytes
            and len(cell.encode("utf-8", "ignore")) > self.limits.max_cell_bytes
        ):
            raise cell_too_large(line, self.column(index), self.limits)
        column = self.column(index)
        if not cell.isascii() and UNDECODABLE.search(cell):
            wrong = ", ".join(_shown(found) for found in UNDECODABLE.findall(cell)[:5])
            message = (
                f"Line {line}, column “{column}”: {wrong} cannot be read in this encoding and is shown as \ufffd. "
                "Choose another encoding or mend the cell."
            )
            problems.append(Problem(line, column, "undecodable", message))
            return UNDECODABLE.sub("\ufffd", cell)
        if cell in LIMIT_NUMBERS:
            message = (
                f"Line {line}, column “{column}”: the number is exactly the largest that some programs can hold; "
                "it may have been cut before."
            )
            problems.append(Problem(line, column, "number_at_limit", message))
        return cell


def holds_limit_number(text: str) -> bool:
    """Whether one of the limit numbers stands in the text by itself."""
    for number in _LIMITS:
        place = text.find(number)
        while place >= 0:
            before, after = text[place - 1 : place], text[place + len(number) : place + len(number) + 1]
            if not before.isalnum() and not after.isalnum():
                return True
            place = text.find(number, place + 1)
    return False


def read_row(
    lines: list[str], place: int, dialect: Dialect, width: int, limits: Limits
) -> tuple[list[str], int | None, list[Defect]]:
    """One row from `lines[place]` on: cells, physical lines used (None: it does not end), defects."""
    cells: list[str] = []
    quote, stop = dialect.quote, dialect.delimiter
    used, text = 1, lines[place]
    position = 0
    while True:
        while dialect.spaced and text.startswith(" ", position):
            position += 1
        if not text.startswith(quote, position):
            end = text.find(stop, position)
            if end < 0:
                cells.append(text[position:].rstrip("\r\n"))
                return cells, used, []
            cells.append(text[position:end])
            position = end + 1
            continue
        begin, search = position + 1, position + 1
        while True:
            close = text.find(quote, search)
            if close < 0:
                if place + used == len(lines):
                    return cells, None, []
                if len(text) - begin > limits.max_cell_bytes:
                    return _endless(lines, place, used, dialect, width, limits)
                search = len(text)
                text += lines[place + used]
                used += 1
            elif text.startswith(quote, close + 1):
                search = close + 2
            else:
                break
        cells.append(text[begin:close].replace(quote * 2, quote))
        after = _AFTER_QUOTE.match(text, close + 1).end()  # type: ignore[union-attr]
        if text.startswith(stop, after):
            position = after + 1
        elif text[after : after + 1] in ("\r", "\n", ""):
            return cells, used, []
        else:
            return read_line(lines[place], dialect, width)


def bare_quotes(text: str, dialect: Dialect) -> list[Defect]:
    """Quotes within the unquoted cells of the row `text`: they are text, and told."""
    cells = _fields(dialect.quote, dialect.delimiter, dialect.spaced).finditer(text)
    return [("quote_inside", index) for index, cell in enumerate(cells) if cell[1] and dialect.quote in cell[1]]


@lru_cache
def _fields(quote: str, delimiter: str, spaced: bool) -> re.Pattern[str]:
    quote, stop, before = re.escape(quote), re.escape(delimiter), " *" if spaced else ""
    return re.compile(
        rf"(?:\A|{stop}){before}(?:{quote}(?:[^{quote}]|{quote}{quote})*{quote} *(?={stop}|[\r\n]|\Z)|([^{stop}\r\n]*))"
    )


def _endless(
    lines: list[str], place: int, used: int, dialect: Dialect, width: int, limits: Limits
) -> tuple[list[str], int, list[Defect]]:
    """A quoted cell beyond the limit: whole rows swallowed by an open quote, or truly too large."""
    swallowed = lines[place + 1 : place + used]
    alike = sum(line.count(dialect.delimiter) >= width - 1 for line in swallowed)
    if width > 1 and alike * 2 > len(swallowed):
        return read_line(lines[place], dialect, width)
    raise cell_too_large(place + 1, None, limits)


def read_line(line: str, dialect: Dialect, width: int) -> tuple[list[str], int, list[Defect]]:
    """One physical line whose quotes are wrong: cells, 1, and which quotes are wrong."""
    inside = _split(line.rstrip("\r\n"), dialect, to_last_quote=True)
    raw = _split(line.rstrip("\r\n"), dialect, to_last_quote=False)
    cells, defects = inside if len(inside[0]) == width or len(raw[0]) != width else raw
    return cells, 1, defects


def _split(line: str, dialect: Dialect, to_last_quote: bool) -> tuple[list[str], list[Defect]]:
    """Cells of `line`. A quote within quotes is text; a cell ends at a quote before a delimiter, or
    (without `to_last_quote`) where a quote was wrong, at the next delimiter with all its quotes kept."""
    quote, stop = dialect.quote, dialect.delimiter
    cells: list[str] = []
    defects: list[Defect] = []
    position = 0
    while position <= len(line):
        cell, end = None, -1
        if line.startswith(quote, position):
            cell, end, wrong = _quoted(line, position, quote, stop, to_last_quote)
            if wrong:
                defects.append((wrong, len(cells)))
        if cell is None:
            end = line.find(stop, position)
            end = len(line) if end < 0 or (defects and defects[-1] == ("unclosed_quote", len(cells))) else end
            cell = line[position:end]
        cells.append(cell)
        position = end + 1
    return cells, defects


def _quoted(line: str, position: int, quote: str, stop: str, to_last_quote: bool) -> tuple[str | None, int, str]:
    search, wrong = position + 1, ""
    while True:
        close = line.find(quote, search)
        if close < 0:
            return None, -1, wrong or "unclosed_quote"
        if line.startswith(quote, close + 1):
            search = close + 2
        elif close + 1 == len(line) or line[close + 1] == stop:
            return line[position + 1 : close].replace(quote * 2, quote), close + 1, wrong
        elif to_last_quote:
            search, wrong = close + 1, "stray_quote"
        else:
            return None, -1, "stray_quote"


def _quote_problem(line: int, column: str, code: str) -> Problem:
    if code == "quote_inside":
        what = "a quotation mark stands in a cell that is not quoted; it was kept as text"
        return Problem(line, column, code, f"Line {line}, column “{column}”: {what}.")
    if code == "unclosed_quote":
        what = "a quotation mark opens the cell and none closes it; the row was taken to end there"
    else:
        what = "a quotation mark stands inside a quoted cell; inside it must be doubled"
    return Problem(line, column, code, f"Line {line}, column “{column}”: {what}. Mend the cell in the file.")


def cell_too_large(line: int, column: str | None, limits: Limits) -> Refused:
    where = f"Line {line}" + (f", column “{column}”" if column else "")
    most = f"{limits.max_cell_bytes // 1024:,} KB"
    message = f"{where}: a cell is larger than {most}. Shorten it, or look whether a quotation mark is never closed."
    return Refused("cell_too_large", message)


def too_many_columns(count: int, limits: Limits, line: int) -> Refused:
    message = (
        f"Line {line} has {count:,} columns; at most {limits.max_columns:,} are allowed. "
        "Leave out columns that are not needed."
    )
    return Refused("too_many_columns", message)


def _shown(character: str) -> str:
    code = ord(character)
    return f"byte 0x{code - 0xDC00:02X}" if 0xDC80 <= code < 0xDCFF else "a broken character"
