"""Names of months in the languages of the people who keep the spreadsheets."""

from __future__ import annotations

_NAMES = (
    "january jan januar jän jänner januar janvier janv ocak oca",
    "february feb februar febr février fevrier févr fevr fév şubat subat şub",
    "march mar märz maerz mrz mär mars mart",
    "april apr avril avr nisan nis",
    "may mai mayıs mayis",
    "june jun juni juin haziran haz",
    "july jul juli juillet juil temmuz tem",
    "august aug août aout ağustos agustos ağu",
    "september sep sept septembre eylül eylul eyl",
    "october oct oktober okt octobre ekim eki",
    "november nov novembre kasım kasim kas",
    "december dec dezember dez décembre decembre déc aralık aralik ara",
)
_NUMBERS = {name: number for number, names in enumerate(_NAMES, 1) for name in names.split()}


def month_number(name: str) -> int:
    """1 to 12 for a month's name or its short form in English, German, French or Turkish. Raises KeyError."""
    return _NUMBERS[name.rstrip(".").lower().replace("i̇", "i")]
