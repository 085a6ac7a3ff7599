"""Workbooks: their sheets, formats and shared strings, and the rows of one sheet."""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import chain, islice, repeat

from . import layout, swift
from .columns import column_index, letter
from .oddities import cell_too_large, too_many_columns
from .package import Package
from .parts import SheetEntry, Workbook, read_workbook
from .reading import Limits, Note, Options, Problem, Reading, Refused, SourceRow, no_rows
from .sheet import Defect, Rows, SharedStrings, Sheet, read_rows

_MESSAGES = {
    "cell_error": "the spreadsheet shows an error instead of a value. Mend the formula or type the value",
    "digits_lost": "spreadsheets keep only 15 digits of a number, so the last of this one are lost. Type it as text",
}


def open_workbook(package: Package, filename: str, options: Options, limits: Limits) -> Reading:
    """Recognise the chosen sheet (by default the first visible one) of a workbook. Raises Refused."""
    workbook = read_workbook(package)
    entry = _chosen(workbook, options.sheet)
    names = [sheet.name for sheet in workbook.sheets]
    source = SheetSource(package, workbook, entry, limits)
    filled = source.first_lines(layout.LOOKED_AT)
    problems: list[Problem] = []
    if not filled:
        problems.append(
            Problem(None, None, "no_rows", f"The sheet “{entry.name}” is empty. Choose another sheet, if there is one.")
        )
        return Reading(filename, "xlsx", "", "", "", entry.name, names, 0, [], problems, lambda note: iter(()))
    shape = layout.find(filled, options)
    source.header_line = shape.header_line
    width = max(map(len, [shape.header, *shape.below]))
    if width > limits.max_columns:
        raise too_many_columns(width, limits, shape.header_line or filled[0][0])
    source.columns, problems = layout.columns_of(shape, width)
    if workbook.external_links:
        message = "The workbook refers to other files; those are not opened, their last known values are used."
        problems.append(Problem(None, None, "external_links", message))
    if not shape.below and len(filled) < layout.LOOKED_AT:
        problems.append(no_rows())
    return Reading(
        filename, "xlsx", "", "", "", entry.name, names, shape.header_line, source.columns, problems, source.blocks
    )


class SheetSource:
    """One sheet from which rows can be streamed again and again."""

    def __init__(self, package: Package, workbook: Workbook, entry: SheetEntry, limits: Limits) -> None:
        self.package = package
        self.limits = limits
        self.entry = entry
        self.workbook = workbook
        self.header_line = 0
        self.columns: list[str] = []
        part = workbook.strings_part
        self._strings = SharedStrings(package.blocks(part) if part else (), part or "", limits)
        self.merged: list[str] = []

    def blocks(self, note: Note) -> Iterator[list[SourceRow]]:
        """Lists of rows in sheet order; findings that belong to no row go to `note`. Raises Refused."""
        left, last = self.limits.max_rows, self.header_line
        for rows in self._rows():
            below = bisect_right(rows.lines, self.header_line)
            lines, cells = rows.lines[below:], rows.cells[below:]
            if not lines:
                continue
            left -= len(lines)
            if left < 0:
                raise _too_many_rows(self.limits)
            for line in lines if last + len(lines) != lines[-1] else ():
                if line > last + 1 and last:
                    note(_blank(last + 1, line - 1))
                last = line
            last = lines[-1]
            if not rows.defects and set(map(len, cells)) == {len(self.columns)} and self._short(cells):
                yield list(map(SourceRow, lines, cells, repeat(None)))
            else:
                yield [self._judged(line, row, rows.defects.get(line)) for line, row in zip(lines, cells, strict=True)]
        for reference in self.merged[:100]:
            note(self._merged(reference))

    def first_lines(self, count: int) -> list[layout.Line]:
        """The first rows that hold more than spaces."""
        lines = chain.from_iterable(zip(rows.lines, rows.cells, strict=True) for rows in self._careful())
        return [(line, cells) for line, cells in islice(lines, count) if any(map(str.strip, cells))]

    def _rows(self) -> Iterator[Rows]:
        """The first rows by our own reader, at once; the rest of a large plain sheet by the fast one."""
        last, part = 0, self.entry.part
        for rows in islice(self._careful(), 1):
            last = rows.lines[-1]
            yield rows
        if part and swift.worthwhile(self.package.size(part)) and not self.workbook.pads:
            with swift.Child(self.package.path, self.entry.name, len(self.columns)) as child:
                if self._is_plain():
                    self.merged = child.merged
                    for rows in child.rows():
                        if fresh := _after(rows, last):
                            last = fresh.lines[-1]
                            yield fresh
                    if child.finished:
                        return
        for rows in self._careful():
            if fresh := _after(rows, last):
                yield fresh

    def _is_plain(self) -> bool:
        parts = (self.entry.part, self.workbook.strings_part)
        return all(swift.is_plain(self.package.blocks(part, 1024 * 1024)) for part in parts if part)

    def _careful(self) -> Iterator[Rows]:
        part = self.entry.part
        if part is None:
            return
        sheet = Sheet(self._strings, self.workbook.kinds, self.workbook.from_1904, self.limits)
        self.merged = sheet.merged
        yield from read_rows(self.package.blocks(part), part, sheet)

    def _short(self, rows: list[list[str]]) -> bool:
        return max(map(len, chain.from_iterable(rows)), default=0) * 4 <= self.limits.max_cell_bytes

    def _judged(self, line: int, cells: list[str], defects: list[Defect] | None) -> SourceRow:
        width, count = len(self.columns), len(cells)
        problems = [self._defect(line, defect) for defect in defects or ()]
        if count < width:
            cells = cells + [""] * (width - count)
        elif count > width:
            if count > self.limits.max_columns:
                raise too_many_columns(count, self.limits, line)
            problems.append(_surplus(line, count, width))
        if not self._short([cells]):
            for index, cell in enumerate(cells):
                if len(cell.encode("utf-8", "ignore")) > self.limits.max_cell_bytes:
                    raise cell_too_large(line, self._column(index), self.limits)
        return SourceRow(line, cells, problems or None)

    def _defect(self, line: int, defect: Defect) -> Problem:
        code, index = defect
        if code == "blank_line":
            return Problem(line, None, code, f"The cells of line {line} hold only spaces.")
        column = self._column(index)
        return Problem(line, column, code, f"Line {line}, column “{column}”: {_MESSAGES[code]}.")

    def _merged(self, reference: str) -> Problem:
        first = reference.partition(":")[0]
        digits = first.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ$").lstrip("$")
        column = self._column(column_index(first))
        line = int(digits) if digits.isdecimal() else None
        message = f"The cells {reference[:30]} are merged: only the first holds the value, the others are empty here."
        return Problem(line, column, "merged_cells", message)

    def _column(self, index: int) -> str:
        return self.columns[index] if 0 <= index < len(self.columns) else f"Column {letter(max(index, 0))}"


def _after(rows: Rows, line: int) -> Rows | None:
    done = bisect_right(rows.lines, line)
    return Rows(rows.lines[done:], rows.cells[done:], rows.defects) if done < len(rows.lines) else None


def _blank(first: int, last: int) -> Problem:
    one = f"Line {first} is blank and was left out."
    return Problem(
        first, None, "blank_line", one if first == last else f"Lines {first} to {last} are blank and were left out."
    )


def _surplus(line: int, count: int, width: int) -> Problem:
    message = (
        f"Line {line} has cells as far as column {letter(count - 1)}, but the columns end with {letter(width - 1)}; "
        "what stands beyond belongs to none. Give the column a name or clear the cells."
    )
    return Problem(line, f"Column {letter(width)}", "too_many_cells", message)


def _too_many_rows(limits: Limits) -> Refused:
    return Refused("too_many_rows", f"The sheet has more than {limits.max_rows:,} rows. Split it into several files.")


def _chosen(workbook: Workbook, named: str | None) -> SheetEntry:
    if named is not None:
        for sheet in workbook.sheets:
            if sheet.name == named:
                return sheet
        shown = ", ".join(f"“{sheet.name[:40]}”" for sheet in workbook.sheets[:10])
        raise Refused("no_such_sheet", f"There is no sheet “{named[:40]}”. The workbook has {shown}.")
    visible = [sheet for sheet in workbook.sheets if sheet.state == "visible"]
    if not visible and not workbook.sheets:
        raise Refused("no_data", "The workbook has no sheet with cells.")
    return (visible or workbook.sheets)[0]
