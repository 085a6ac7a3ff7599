"""How a workbook's numbers, dates and formats become text."""

import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal

# Serial 60 is 29 Feb 1900, a day that never was; spreadsheet programs count it (ECMA-376 part 1, 18.17.4.1).
# A sheet knows no time zones, so these are naive.
_EPOCH_1900 = datetime(1899, 12, 30)  # noqa: DTZ001
_EPOCH_1904 = datetime(1904, 1, 1)  # noqa: DTZ001
_LAST_SERIAL = 2_958_466
_DATE_IDS = frozenset((*range(14, 23), *range(27, 37), 45, 47, *range(50, 59)))
_NOT_A_CODE = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]', re.IGNORECASE)
_ELAPSED = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)
_CLOCK_OR_DAY = re.compile(r"[dmhyse]", re.IGNORECASE)
_ZEROS = re.compile(r"0{2,}")

LOST_FROM = 10**15


def format_kind(number: int, code: str | None) -> str | int:
    """What a number format makes of a number: `number`, `date`, `elapsed`, or how many digits to pad to."""
    if code is None:
        return "elapsed" if number == 46 else "date" if number in _DATE_IDS else "number"
    if _ZEROS.fullmatch(code):
        return len(code)
    bare = _NOT_A_CODE.sub("", code.split(";")[0])
    if _ELAPSED.search(bare):
        return "elapsed"
    if "general" in bare.lower() or "#" in bare or ("0" in bare and not re.search(r"[sS]\.0", bare)):
        return "number"
    return "date" if _CLOCK_OR_DAY.search(bare) else "number"


def number_text(number: float) -> str:
    """The shortest plain digits that give the number again: no exponent, no `.0`."""
    if number == number // 1 and -LOST_FROM < number < LOST_FROM:
        return str(int(number))
    text = repr(number)
    if "e" not in text:
        return text.removesuffix(".0")
    plain = format(Decimal(text), "f")
    return plain.rstrip("0").removesuffix(".") if "." in plain else plain


def digits_lost(number: float) -> bool:
    """Whether a whole number has 16 digits or more, of which a workbook keeps only 15."""
    return (number >= LOST_FROM or number <= -LOST_FROM) and number == number // 1


def serial_text(serial: float, from_1904: bool) -> str:
    """A date serial as ISO 8601, a time of day as HH:MM:SS; outside the calendar as the plain number."""
    if not 0 <= serial < _LAST_SERIAL:
        return number_text(serial)
    whole = timedelta(milliseconds=round(serial * 86_400_000))
    if whole < timedelta(days=1) and serial < 1:
        return moment_text((_EPOCH_1904 + whole).time())
    if from_1904:
        return moment_text(_EPOCH_1904 + whole)
    early = timedelta(days=1) if serial < 60 else timedelta(0)
    return moment_text(_EPOCH_1900 + early + whole)


def elapsed_text(serial: float) -> str:
    """A duration in days as H:MM:SS."""
    return duration_text(timedelta(milliseconds=round(serial * 86_400_000)))


def duration_text(duration: timedelta) -> str:
    """Hours may go beyond 24; a fraction of a second is kept to the millisecond."""
    seconds = abs(duration).total_seconds()
    minutes, rest = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    sign = "-" if duration < timedelta(0) else ""
    shown = f"{rest:06.3f}".removesuffix(".000")
    return f"{sign}{hours:02d}:{minutes:02d}:{shown}"


def moment_text(moment: datetime | date | time) -> str:
    """ISO 8601 with seconds; a date alone is its midnight; fractions to the millisecond where there are any."""
    if isinstance(moment, datetime | time):
        return moment.isoformat(timespec="milliseconds" if moment.microsecond >= 1000 else "seconds")
    return f"{moment.isoformat()}T00:00:00"


def iso_text(text: str) -> str | None:
    """A cell that holds ISO 8601 itself, in the form of `moment_text`; None where it is no date."""
    for kind in (date, datetime, time):
        try:
            moment = kind.fromisoformat(text)
        except ValueError:
            continue
        return moment_text(moment).replace("+00:00", "Z" if text.endswith("Z") else "+00:00")
    return None
