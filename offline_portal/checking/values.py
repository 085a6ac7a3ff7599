"""From a cell's text to a value of the field's type: one reader a type."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import Any
from urllib.parse import urlsplit

from connectors.base import Field

from .currencies import CURRENCIES
from .dates import compile_format, read_iso, utc_text
from .numbers import plain_integer, plain_number, written_number
from .unfit import Doubtful, Unfit

__all__ = ["Doubtful", "Reader", "Unfit", "reader"]

Reader = Callable[[str], Any]

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_NO_ADDRESS = re.compile(r"[\s<>\"\x00-\x1f]")
_YES = frozenset(("true", "yes", "y", "1", "on", "ja", "j", "wahr", "oui", "o", "vrai", "evet", "doğru", "dogru"))
_NO = frozenset(("false", "no", "n", "0", "off", "nein", "falsch", "non", "faux", "hayır", "hayir", "yanlış", "yanlis"))


def reader(field: Field, source: Mapping[str, Any], zone: tzinfo) -> Reader | None:
    """What turns a trimmed, non-empty text into the field's value; None where the text is the value.

    The reader raises Unfit (a problem) or Doubtful (a value and a warning). `source` is a Source of a mapping:
    its `format` and `decimal` count here. Raises BadFormat for a format that cannot be read.
    """
    read = _of_type(field, source, zone)
    longest = field.max_length
    if longest is None:
        return read
    return _not_longer(read, longest)


def _of_type(field: Field, source: Mapping[str, Any], zone: tzinfo) -> Reader | None:
    mark = source.get("decimal")
    match field.type:
        case "timestamp":
            return _timestamp(source.get("format"), zone)
        case "number" | "money":
            return written_number(mark) if mark else plain_number
        case "integer":
            return _whole(written_number(mark)) if mark else plain_integer
        case "currency":
            return _currency
        case "email":
            return _email
        case "url":
            return _url
        case "boolean":
            return _boolean
        case "choice":
            return _choice(field)
        case _:
            return written_number(mark) if mark else None


def _not_longer(read: Reader | None, longest: int) -> Reader:
    message = f"This is longer than {longest} characters. Shorten it."

    def check(text: str) -> Any:
        if len(text) > longest:
            raise Unfit("too_long", message)
        return read(text) if read else text

    return check


def _timestamp(pattern: str | None, zone: tzinfo) -> Reader:
    parse = compile_format(pattern) if pattern else read_iso
    return lambda text: utc_text(parse(text), zone)


def _whole(read: Reader) -> Reader:
    return lambda text: plain_integer(read(text))


def _currency(text: str) -> str:
    code = text.upper()
    if code in CURRENCIES:
        return code
    raise Unfit("not_a_currency", "This is no currency code. Write its three letters, such as EUR, USD or TRY.")


def _email(text: str) -> str:
    if _EMAIL.fullmatch(text):
        return text
    raise Unfit("not_an_email", "This is no e-mail address. Write it like name@example.com.")


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        if parts.scheme.lower() in ("http", "https") and parts.hostname and not _NO_ADDRESS.search(text):
            return text
    except ValueError:
        pass
    raise Unfit("not_a_url", "This is no web address. Write it whole, such as https://www.example.com/page.")


def _boolean(text: str) -> bool:
    word = text.lower().replace("i̇", "i")
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise Unfit("not_yes_or_no", "This is neither yes nor no. Write one of the two.")


def _choice(field: Field) -> Reader:
    known = {choice.label.casefold(): choice.value for choice in field.choices}
    known |= {choice.value.casefold(): choice.value for choice in field.choices}
    allowed = ", ".join(choice.value for choice in field.choices)

    def read(text: str) -> str:
        try:
            return known[text.casefold()]
        except KeyError:
            raise Unfit("not_a_choice", f"This is none of the allowed values: {allowed}.") from None

    return read
