"""Values in the shapes that vendors ask for: one function a rule, with the page that states it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

_LONGEST_WORDS = 5_000
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def epoch_seconds(moment: str) -> int:
    """Whole seconds since 1970 of an ISO 8601 text with `Z` or an offset; a fraction is cut off.

    KISSmetrics `_t`: seconds in UTC (support.kissmetrics.io/reference/api-specifications-1).
    """
    return epoch_milliseconds(moment) // 1000


def epoch_milliseconds(moment: str) -> int:
    """Whole milliseconds since 1970 of an ISO 8601 text with `Z` or an offset; a finer fraction is cut off.

    Qubit `meta.ts`: 13 digits in the example of docs.qubit.com/content/setup/data-collection-offline-conversions,
    type EpochTimeMS in the QProtocol implementation guide.
    """
    since = datetime.fromisoformat(moment) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def decimals(number: str) -> int:
    """How many digits stand behind the dot of a plain decimal text; zeros count, as they may be a grouped `1.200`.

    Qubit: money has at most two, else the event is invalid (QProtocol implementation guide).
    """
    return len(number.partition(".")[2])


def exact_json(value: Any) -> str:
    """JSON without spaces in which a Decimal keeps exactly its digits (`9.90` stays `9.90`).

    Takes dicts, lists, texts, integers, booleans, None and Decimals. Vendors ask for amounts as JSON numbers
    (Qubit `total.value`), and a float would bend some of them.
    """
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(key)}:{exact_json(member)}" for key, member in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(exact_json, value)) + "]"
    return json.dumps(value)


def query(pairs: Sequence[tuple[str, str]]) -> str:
    """A form-encoded query: UTF-8, a space as `+`, `@` as `%40`.

    KISSmetrics asks for it by name ("Remember to URL encode any emails", its page on offline events).
    """
    return urlencode(pairs)


def path_part(text: str) -> str:
    """One segment of a URL path, with every reserved character (also `/`) percent-encoded."""
    return quote(text, safe="")


def under(base_url: str, path: str) -> str:
    """The vendor's own path below the address of a destination, which may end in a slash."""
    return base_url.rstrip("/") + path


def in_clear(url: str) -> bool:
    """Whether a URL sends everything unencrypted to another machine than this one."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1")


_GROUPED = re.compile(r"[-+]?\d{1,3}([.,'\u2019\s])\d{3}(?:\1\d{3})*(?:[.,]\d+)?|[-+]?\d+,\d+")
_SIGNED = re.compile(r"[-+]?[$€£¥₺]\s*[-+]?\d[\d.,'\s]*|[-+]?\d[\d.,'\s]*[$€£¥₺]")
_PLAIN = re.compile(r"[-+]?\d+(?:\.\d+)?")


def looks_like_a_number(text: str) -> bool:
    """Whether a person reads the text as a number, though it is no plain one (`5,000`, `$5000`, `12,50`).

    KISSmetrics keeps such a value as text, a plain one as a number ("Technical notes on events and properties").
    """
    if _PLAIN.fullmatch(text):
        return False
    return bool(_GROUPED.fullmatch(text) or _SIGNED.fullmatch(text))


_COMMA_AND_COLON = str.maketrans(",:", "  ")


def same_name(name: str) -> str:
    """The name as KISSmetrics compares it: without case, `,` and `:` read as spaces.

    From "Technical notes on events and properties" and "API Specifications" of the vendor.
    """
    return name.translate(_COMMA_AND_COLON).casefold()


def vendor_words(value: object) -> str:
    """What a vendor wrote, as text without control characters.

    It is cut to what is kept only after secrets were taken out: a cut through a secret would leave its first half.
    """
    text = value if isinstance(value, str) else json.dumps(value)
    return "".join(character if character.isprintable() else " " for character in text[:_LONGEST_WORDS])
