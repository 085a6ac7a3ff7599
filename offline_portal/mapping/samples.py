"""What the cells of a column look like: dates and in which format, numbers and with which decimal mark."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from connectors.base import FieldType
from offline_portal.checking import Doubtful, Unfit, compile_format
from offline_portal.checking.currencies import CURRENCIES
from offline_portal.checking.dates import read_iso
from offline_portal.checking.numbers import plain_number, written_number

_DAY_FIRST = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})(.*)", re.DOTALL)
_YEAR_FIRST = re.compile(r"(\d{4})([./-])(\d{1,2})\2(\d{1,2})(.*)", re.DOTALL)
_TIME = re.compile(r"(,?[ T]\s*)\d{1,2}:\d{2}(:\d{2})?([.,]\d{1,6})?(\s?[AaPp]\.?[Mm]\.?)?")
_EPOCH = {"X": re.compile(r"1\d{9}"), "x": re.compile(r"1\d{12}")}
_NAMED = ("DD MMM YYYY", "DD-MMM-YYYY", "DD. MMM YYYY", "DD.MMM.YYYY", "DD/MMM/YYYY", "MMM DD, YYYY", "DD-MMM-YY")
# A cell the other way round becomes a problem, so it may be left to a person where all others agree.
_CLEARLY = 5
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class Guess(NamedTuple):
    """What the samples say of a format or a decimal mark.

    `choice` is None where none is needed or none fits; `both` names the two readings that fit alike.
    """

    choice: str | None = None
    both: tuple[str, str] | None = None


def date_format(values: Sequence[str]) -> Guess:
    """The format of the dates among `values`. ISO 8601 needs none, so none is given where most are written so."""
    written = [value for value in values if not _fits(read_iso, value)]
    best: set[int] = set()
    choice = ""
    for pattern in _patterns(written):
        fitting = _fitting(pattern, written)
        if len(fitting) > len(best):
            best, choice = fitting, pattern
    if len(best) < max(1, len(values) - len(written)):
        return Guess()
    twin = _other_order(choice)
    if twin is None:
        return Guess(choice)
    other = _fitting(twin, written)
    if best > other:
        return Guess(choice)
    return Guess(both=(choice, twin) if choice.startswith("D") else (twin, choice))


def decimal_mark(values: Sequence[str]) -> Guess:
    """The decimal mark of the numbers among `values`; plain numbers with a dot need none."""
    evidence = {"": 0, ".": 0, ",": 0, "both": 0}
    unplain = False
    for value in values:
        with_dot, with_comma = _number(".", value), _number(",", value)
        if with_dot is None and with_comma is None:
            continue
        unplain = unplain or not _fits(plain_number, value)
        if with_dot is not None and with_comma is not None:
            evidence["" if with_dot == with_comma else "both"] += 1
        else:
            evidence["." if with_comma is None else ","] += 1
    dot, comma = evidence["."], evidence[","]
    if max(dot, comma) < _CLEARLY * min(dot, comma) or (evidence["both"] and not dot and not comma):
        return Guess(both=(".", ","))
    if comma > dot:
        return Guess(",")
    return Guess("." if unplain else None)


def looks_like(type_: FieldType, values: Sequence[str]) -> bool:
    """Whether most of the values are of the type; False for none at all and for types that anything fits."""
    test = _TESTS.get(type_)
    if test is None or not values:
        return False
    if type_ == "timestamp" and (pattern := date_format(values)) != Guess():
        patterns = [pattern.choice] if pattern.choice else list(pattern.both or ())
        fitting = set().union(*(_fitting(one, values) for one in patterns if one))
        return len(fitting) * 2 > len(values)
    return sum(map(test, values)) * 2 > len(values)


def kind_of(example: str) -> FieldType | None:
    """The type that an example itself shows (`bob@bob.com` is an e-mail address); None for plain text."""
    kinds: tuple[FieldType, ...] = ("email", "url", "timestamp")
    return next((kind for kind in kinds if looks_like(kind, [example])), None) if example else None


def fits_format(pattern: str, values: Sequence[str]) -> bool:
    """Whether at least one of the values is a date of this format."""
    return bool(_fitting(pattern, values))


def _patterns(values: Sequence[str]) -> list[str]:
    """Every format worth a try, each once, in the order of the values that suggest it."""
    found: dict[str, None] = {}
    for value in values:
        if shaped := _DAY_FIRST.fullmatch(value):
            _, mark, _, year, rest = shaped.groups()
            time = _time_tokens(rest)
            for order in ("DD{0}MM{0}", "MM{0}DD{0}"):
                found[order.format(mark) + "Y" * len(year) + time] = None
        elif shaped := _YEAR_FIRST.fullmatch(value):
            mark = shaped[2]
            found[f"YYYY{mark}MM{mark}DD" + _time_tokens(shaped[5])] = None
        elif epoch := next((token for token, shape in _EPOCH.items() if shape.fullmatch(value)), None):
            found[epoch] = None
        elif re.search(r"[^\W\d_]{3}", value):
            cut = re.search(r",?\s+\d{1,2}:\d{2}", value)
            time = _time_tokens(value[cut.start() :]) if cut else ""
            found |= dict.fromkeys(named + time for named in _NAMED)
    return list(found)


def _time_tokens(rest: str) -> str:
    shaped = _TIME.fullmatch(rest)
    if not shaped:
        return ""
    gap, seconds, fraction, half = shaped.groups()
    tokens = ("[T]" if gap == "T" else gap) + ("h:mm" if half else "HH:mm") + (":ss" if seconds else "")
    tokens += f"{fraction[0]}SSS" if fraction else ""
    return tokens + (" A" if half and half[0].isspace() else "A" if half else "")


def _other_order(pattern: str) -> str | None:
    """The format with day and month the other way round, where both are digits; None where there is none."""
    found = re.match(r"(DD|MM)(\W)(DD|MM)(?=\W)", pattern)
    return f"{found[3]}{found[2]}{found[1]}{pattern[found.end() :]}" if found else None


def _fitting(pattern: str, values: Sequence[str]) -> set[int]:
    parse = compile_format(pattern)
    return {index for index, value in enumerate(values) if _fits(parse, value)}


def _fits(read: Callable[[str], object], value: str) -> bool:
    try:
        read(value)
    except Unfit:
        return False
    except Doubtful:
        pass
    return True


def _number(mark: str, value: str) -> str | None:
    try:
        return _reader(mark)(value)
    except Doubtful as doubt:
        return str(doubt.value)
    except Unfit:
        return None


@lru_cache(2)
def _reader(mark: str) -> Callable[[str], str]:
    return written_number(mark)


def _is_number(value: str) -> bool:
    return _number(".", value) is not None or _number(",", value) is not None


_TESTS: dict[FieldType, Callable[[str], bool]] = {
    "timestamp": lambda value: _fits(read_iso, value),
    "money": _is_number,
    "number": _is_number,
    "integer": _is_number,
    "currency": lambda value: value.upper() in CURRENCIES,
    "email": lambda value: _EMAIL.fullmatch(value) is not None,
    "url": lambda value: value.lower().startswith(("http://", "https://")),
}
