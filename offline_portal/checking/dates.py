"""Dates and times: from a cell's text to a moment in UTC."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from .months import month_number
from .unfit import Doubtful, Unfit

Parser = Callable[[str], datetime]

_TOKEN = re.compile(r"\[[^\]]*\]|YYYY|YY|MMMM|MMM|MM|M|DD|D|HH|H|hh|h|mm|m|ss|s|S+|A|a|Z|X|x|\s+|.")
_FIXED = {"YYYY": r"(?P<year>\d{4})", "YY": r"(?P<short_year>\d{2})", "Z": r"(?P<offset>Z|[+-]\d{2}:?\d{2})",
          "X": r"(?P<epoch>-?\d{1,11})(?:\.\d+)?", "x": r"(?P<epoch_ms>-?\d{1,14})"}  # fmt: skip
_NUMBERS = {"MM": "month", "M": "month", "DD": "day", "D": "day", "HH": "hour", "H": "hour", "hh": "hour12",
            "h": "hour12", "mm": "minute", "m": "minute", "ss": "second", "s": "second"}  # fmt: skip
_ISO_BASIC = re.compile(r"\d{8}(?:[Tt]\d{2}(?:\d{2}){0,2}.*)?")
_SPACE_BEFORE_OFFSET = re.compile(r"\s+(?=[+-]\d{2}:?\d{2}$)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

NOT_A_DATE = (
    "This is no date that the portal can be sure of. Write it like 2026-04-03 14:30, or choose the date format."
)


class BadFormat(ValueError):
    """A date format that cannot be read; the text says why."""


def read_iso(text: str) -> datetime:
    """The moment of an ISO 8601 text, without zone where it names none. Raises Unfit."""
    try:
        if text[4:5] == "-":
            if text[10:11] in ("", "T", " "):
                return datetime.fromisoformat(text)
        elif _ISO_BASIC.fullmatch(text):
            return datetime.fromisoformat(text.upper())
    except ValueError:
        pass
    return _read_loose_iso(text)


def _read_loose_iso(text: str) -> datetime:
    # What databases and command lines write: a space before the offset, `UTC`, a small t or z.
    upper = text.upper()
    if upper.endswith(("UTC", "GMT")):
        upper = upper[:-3].rstrip() + "Z"
    upper = _SPACE_BEFORE_OFFSET.sub("", upper)
    if text[4:5] == "-" and upper[10:11] in ("T", " "):
        try:
            return datetime.fromisoformat(upper)
        except ValueError:
            pass
    raise Unfit("not_a_date", NOT_A_DATE)


@lru_cache(256)
def compile_format(pattern: str) -> Parser:
    """A reader of dates written as `pattern` says; it raises Unfit for any other text.

    Tokens: YYYY YY MMMM MMM MM M DD D HH H hh h mm m ss s S… A Z X (seconds since 1970) x (milliseconds);
    text in [brackets] stands for itself. Raises BadFormat. True workbook dates come as ISO 8601 and are read
    beside the pattern, unless the pattern itself begins with the year.
    """
    flags = re.IGNORECASE if "MMM" in pattern else re.IGNORECASE | re.ASCII
    expression = re.compile(_expression(pattern), flags)
    iso_too = not pattern.lstrip().startswith("YY")
    message = f"This is no date of the form {pattern}. Write it that way, or choose another date format."

    def parse(text: str) -> datetime:
        found = expression.fullmatch(text)
        if found is None:
            if iso_too and text[4:5] == "-":
                return read_iso(text)
            raise Unfit("not_a_date", message)
        try:
            return _moment(found.groupdict())
        except (ValueError, OverflowError, KeyError):
            raise Unfit("not_a_date", message) from None

    return parse


def _expression(pattern: str) -> str:
    tokens = _TOKEN.findall(pattern.strip())
    parts: list[str] = []
    for index, token in enumerate(tokens):
        beside = {*tokens[max(index - 1, 0) : index], *tokens[index + 1 : index + 2]}
        parts.append(_part(token, beside))
    expression = "".join(parts)
    try:
        groups = set(re.compile(expression).groupindex)
    except re.error:
        raise BadFormat("The date format names the same part twice.") from None
    _complete(groups)
    return expression


def _part(token: str, beside: set[str]) -> str:
    if token in _FIXED:
        return _FIXED[token]
    if token in _NUMBERS:
        # 3.4.2026 is read by DD.MM.YYYY too; only where digits touch (YYYYMMDD) the count must be exact.
        touching = any(other in _NUMBERS or other in _FIXED for other in beside)
        return rf"(?P<{_NUMBERS[token]}>\d{{{2 if touching else '1,2'}}})"
    if token in ("MMMM", "MMM"):
        return r"(?P<month_name>[^\W\d_]+\.?)"
    if token in ("A", "a"):
        return r"(?P<half>[ap]\.?\s?m\.?)"
    if token.startswith("S"):
        return r"(?P<fraction>\d{1,9})"
    if token.isspace():
        return r"\s+"
    if token.startswith("[") and token.endswith("]") and len(token) > 1:
        return re.escape(token[1:-1])
    if token.isalpha() and token not in ("T", "t"):
        raise BadFormat(
            f"The date format does not know “{token}”. Write the day as DD, the month MM, the year YYYY, "
            "the hour HH, minutes mm, seconds ss; other letters in [brackets]."
        )
    return re.escape(token)


def _complete(groups: set[str]) -> None:
    if groups & {"epoch", "epoch_ms"}:
        return
    if not (groups & {"year", "short_year"} and groups & {"month", "month_name"} and "day" in groups):
        raise BadFormat("The date format needs a year, a month and a day, such as DD.MM.YYYY.")
    if {"year", "short_year"} <= groups or {"month", "month_name"} <= groups or {"hour", "hour12"} <= groups:
        raise BadFormat("The date format names the same part twice.")
    if ("hour12" in groups) != ("half" in groups):
        raise BadFormat("Hours of a twelve-hour clock (h) and AM/PM (A) need each other; else write HH.")


def _moment(parts: dict[str, str]) -> datetime:
    if "epoch" in parts:
        return _EPOCH + timedelta(seconds=int(parts["epoch"]))
    if "epoch_ms" in parts:
        return _EPOCH + timedelta(milliseconds=int(parts["epoch_ms"]))
    year = int(parts["year"]) if "year" in parts else _whole_year(int(parts["short_year"]))
    month = int(parts["month"]) if "month" in parts else month_number(parts["month_name"])
    hour = int(parts.get("hour", 0))
    if "hour12" in parts:
        hour = _hour(int(parts["hour12"]), parts["half"])
    fraction = int(parts.get("fraction", "0")[:6].ljust(6, "0"))
    minute, second = int(parts.get("minute", 0)), int(parts.get("second", 0))
    # Without a zone on purpose: whoever asks knows which one counts.
    moment = datetime(year, month, int(parts["day"]), hour, minute, second, fraction)  # noqa: DTZ001
    if "offset" not in parts:
        return moment
    return datetime.fromisoformat(moment.isoformat() + parts["offset"].upper())


def _whole_year(short: int) -> int:
    # As POSIX reads two digits.
    return short + (2000 if short < 69 else 1900)


def _hour(hour: int, half: str) -> int:
    if not 1 <= hour <= 12:
        raise ValueError("not an hour of a twelve-hour clock")
    return hour % 12 + (12 if half[0] in "pP" else 0)


def utc_text(moment: datetime, zone: tzinfo) -> str:
    """ISO 8601 in UTC ending in `Z`, with milliseconds where there are any; `zone` counts where none is named.

    Raises Unfit for a local time that daylight saving skips, Doubtful for one that exists twice (the earlier
    one counts).
    """
    own = moment.utcoffset()
    try:
        if own is not None:
            return _text(moment.replace(tzinfo=None) - own)
        if zone is UTC:
            return _text(moment)
        first, second = _offsets(moment, zone)
        if first == second:
            return _text(moment - first)
        if first < second:
            message = f"This time does not exist in {zone}: the clocks went forward. Correct it."
            raise Unfit("nonexistent_time", message)
        value = _text(moment - first)
    except OverflowError:
        raise Unfit("not_a_date", NOT_A_DATE) from None
    message = f"This time exists twice in {zone}, because the clocks went back; the earlier one is taken."
    raise Doubtful(value, "ambiguous_time", message)


def _offsets(moment: datetime, zone: tzinfo) -> tuple[timedelta, timedelta]:
    first, second = zone.utcoffset(moment), zone.utcoffset(moment.replace(fold=1))
    assert first is not None and second is not None
    return first, second


def _text(moment: datetime) -> str:
    if moment.microsecond:
        return moment.isoformat(timespec="milliseconds") + "Z"
    return moment.isoformat() + "Z"


@lru_cache(256)
def zone_named(name: str) -> tzinfo:
    """The time zone with an IANA name, such as Europe/Berlin. Raises ValueError for an unknown one."""
    if name in ("UTC", "Etc/UTC"):
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # a folder of the zone database is an OSError
        raise ValueError(f"There is no time zone named “{name}”. Use a name such as Europe/Berlin.") from None
