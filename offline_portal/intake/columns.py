"""Names of columns: letters, blank and repeated headers, and whether a line looks like a header at all."""

import re
from collections.abc import Sequence

from .reading import Problem

_NUMBER = re.compile(r"[-+]?[\d.,\u00a0 ']*\d(?:[eE][-+]?\d+)?\s?[%€$£]?")
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}.*|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}.*", re.DOTALL)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_TIME = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?")
_ERROR = re.compile(r"#(?:[A-Z/0-9]+[!?]|N/A|GETTING_DATA)")
_YEAR = re.compile(r"(?:19|20)\d\d")


def letter(index: int) -> str:
    """The spreadsheet's letter of the column `index`, counted from 0: 0 is A, 26 is AA."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def column_index(reference: str) -> int:
    """The column of a cell reference such as `AB12`, counted from 0; -1 where it names none."""
    index = 0
    for character in reference:
        if "A" <= character <= "Z":
            index = index * 26 + ord(character) - 64
        elif "a" <= character <= "z":
            index = index * 26 + ord(character) - 96
        else:
            break
    return index - 1


def name_columns(header: Sequence[str], line: int) -> tuple[list[str], list[Problem]]:
    """One distinct name a column from the header's cells, and the problems found on the way."""
    names: list[str] = []
    problems: list[Problem] = []
    taken: set[str] = {cell.strip() for cell in header}
    seen: set[str] = set()
    for index, cell in enumerate(header):
        name = cell.strip()
        if not name:
            name = _free(f"Column {letter(index)}", taken)
            message = f"Column {letter(index)} has no name in line {line}; it is called “{name}” here."
            problems.append(Problem(line, name, "blank_header", message))
        elif name in seen:
            first, name = name, _free(name, taken, 2)
            message = f"“{first}” stands more than once in line {line}; column {letter(index)} is called “{name}” here."
            problems.append(Problem(line, name, "duplicate_header", message))
        seen.add(name)
        taken.add(name)
        names.append(name)
    return names, problems


def lettered_columns(width: int) -> list[str]:
    """The names of `width` columns of a file without a header."""
    return [f"Column {letter(index)}" for index in range(width)]


def looks_like_data(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether the line `first` is a row rather than a header, judged by the lines below it."""
    filled = [(index, kind) for index, cell in enumerate(first) if (kind := _kind(cell))]
    telling = [(index, kind) for index, kind in filled if kind != "text"]
    if any(kind == "email" for _, kind in telling):
        return True
    if all(_YEAR.fullmatch(first[index].strip()) for index, _ in telling):
        return False
    if len(telling) == len(filled):
        return True
    alike = sum(_column_is(below, index, kind) for index, kind in telling)
    leads = bool(telling) and telling[0][0] == 0 and _column_is(below, *telling[0])
    return leads or (alike > 0 and alike * 2 >= len(filled))


def _column_is(below: Sequence[Sequence[str]], index: int, kind: str) -> bool:
    kinds = [_kind(row[index]) for row in below[:20] if index < len(row) and row[index].strip()]
    return bool(kinds) and kinds.count(kind) * 2 > len(kinds)


def _kind(cell: str) -> str:
    text = cell.strip()
    if not text:
        return ""
    if _EMAIL.fullmatch(text):
        return "email"
    if _DATE.fullmatch(text) or _TIME.fullmatch(text):
        return "date"
    if text.upper() in ("TRUE", "FALSE"):
        return "truth"
    if _ERROR.fullmatch(text):
        return "error"
    return "number" if _NUMBER.fullmatch(text) else "text"


def _free(name: str, taken: set[str], number: int = 1) -> str:
    candidate = name if number == 1 else f"{name} ({number})"
    while candidate in taken:
        number += 1
        candidate = f"{name} ({number})"
    return candidate
