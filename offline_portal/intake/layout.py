"""Which line is the header and where the rows begin, alike for text files and workbooks."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .columns import lettered_columns, looks_like_data, name_columns
from .reading import Options, Problem, Refused

LOOKED_AT = 200

Line = tuple[int, list[str]]


@dataclass(frozen=True)
class Layout:
    """`header_line` is 0 where there is no header; `below` are the first rows, `preamble` the lines above."""

    header_line: int
    header: list[str]
    below: list[list[str]]
    preamble: list[int]
    looks_headless_at: int | None = None


def find(filled: Sequence[Line], options: Options) -> Layout:
    """The layout, from the first lines that hold anything. Raises Refused `bad_header_line`."""
    if options.header_line == 0:
        return Layout(0, filled[0][1], [cells for _, cells in filled], [])
    if options.header_line is not None:
        return _told(filled, options.header_line)
    place = _header_place([cells for _, cells in filled])
    line, header = filled[place]
    below = [cells for _, cells in filled[place + 1 :]]
    preamble = [line for line, _ in filled[:place]]
    if not preamble and looks_like_data(header, below):
        return Layout(0, header, [header, *below], [], looks_headless_at=line)
    return Layout(line, header, below, preamble)


def columns_of(layout: Layout, width: int) -> tuple[list[str], list[Problem]]:
    """The names of `width` columns, and what is to be said about header and preamble."""
    problems = [
        Problem(
            line, None, "preamble", f"Line {line} stands above the header (line {layout.header_line}) and was left out."
        )
        for line in layout.preamble
    ]
    if layout.looks_headless_at is not None:
        message = (
            f"Line {layout.looks_headless_at} looks like a row, not like a header; "
            "the columns are called by their letters. If it is the header, say so."
        )
        problems.append(Problem(layout.looks_headless_at, None, "no_header", message))
    if not layout.header_line:
        return lettered_columns(width), problems
    header = layout.header + [""] * (width - len(layout.header))
    names, found = name_columns(header, layout.header_line)
    return names, problems + found


def _told(filled: Sequence[Line], header_line: int) -> Layout:
    for place, (line, cells) in enumerate(filled):
        if line == header_line:
            return Layout(line, cells, [below for _, below in filled[place + 1 :]], [])
    message = f"Line {header_line} cannot be the header: no row begins there within the first {LOOKED_AT}."
    raise Refused("bad_header_line", message)


def _header_place(rows: Sequence[Sequence[str]]) -> int:
    """Which of the filled rows is the header: the first that is nearly as wide as the rows are."""
    counts = [sum(1 for cell in cells if cell.strip()) for cells in rows]
    times = Counter(counts)
    usual = max(times, key=lambda count: (times[count] * count, count))
    for place, (cells, count) in enumerate(zip(rows, counts, strict=True)):
        if place + 1 == len(rows) or place == 50:
            break
        comment = cells[0].lstrip().startswith("#") and count < max(usual, 2)
        if not comment and not _is_title(cells, count, usual, counts[place + 1]):
            return place
    return 0


def _is_title(cells: Sequence[str], count: int, usual: int, next_count: int) -> bool:
    """Whether a line above the table: a title alone, or a few cells at the left of a wide table."""
    if usual < 3:
        return usual == 2 and len(cells) == 1 and next_count > 1
    reach = max(index for index, cell in enumerate(cells) if cell.strip()) + 1
    return count == 1 or reach * 2 <= usual
