"""How alike a column's header and a field's names are."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from rapidfuzz import fuzz

from connectors.base import Field

ALIKE = 84
"""The least similarity, out of 100, at which two names are put before a person."""

_WORD_ENDS = re.compile(r"(?<=[a-zäöüßçğış0-9])(?=[A-ZÄÖÜÇĞİŞ])|[\W_]+")


class Match(NamedTuple):
    """A header that is one of a field's names: `rank` 0 for its own, else the place among the aliases."""

    how: str
    rank: int
    name: str


def plain(text: str) -> str:
    """The text without case, accents, spaces and signs: `Käufer E-Mail` and `kaufer_email` are the same."""
    return "".join(words(text))


@lru_cache(10_000)
def words(text: str) -> tuple[str, ...]:
    """The words of a header, without case and accents; `orderId` has two."""
    bare = (_bare(part) for part in _WORD_ENDS.split(text))
    return tuple(word for word in bare if word)


def _bare(text: str) -> str:
    split = unicodedata.normalize("NFKD", text.casefold().replace("ı", "i"))
    return "".join(character for character in split if character.isalnum())


def match(field: Field, header: str) -> Match | None:
    """Whether the header is the field's key, its label or one of its aliases; None if it is none of them."""
    wanted = plain(header)
    if not wanted or field.is_family:
        return None
    if wanted in (plain(field.key), plain(field.label)):
        return Match("name", 0, field.label)
    for rank, alias in enumerate(field.aliases, 1):
        if wanted == plain(alias):
            return Match("alias", rank, alias)
    return None


def member(family: Field, header: str) -> str | None:
    """The key of the family's member that the header names (`Prop:Plan` -> `property:Plan`); None if none.

    How an alias of a family is read: `connectors.base.Field`.
    """
    text = header.strip()
    for alias in (family.key, *family.aliases):
        start = alias.removesuffix("*")
        if not alias.endswith("*") or not start:
            continue
        if start.endswith(":"):
            before, colon, name = text.partition(":")
            if colon and name.strip() and plain(before) == plain(start):
                return family.key[:-1] + name.strip()
        elif start.endswith("_"):
            if len(text) > len(start) and text.casefold().startswith(start.casefold()):
                return family.key[:-1] + text
        elif (rest := re.fullmatch(re.escape(start) + r"[\s_-]*(\d+)", text, re.IGNORECASE)) is not None:
            return family.key[:-1] + rest[1]
    return None


def likeness(field: Field, header: str) -> float:
    """0 to 100: how alike the header is to the field's nearest name."""
    heard = words(header)
    return max(_likeness(words(name), heard) for name in (field.key, field.label, *field.aliases))


def _likeness(name: tuple[str, ...], heard: tuple[str, ...]) -> float:
    if not name or not heard:
        return 0
    ratio = fuzz.token_sort_ratio(" ".join(name), " ".join(heard))
    # `Order date (UTC)` holds the whole of `order date`; a single short word inside a header says little.
    if len("".join(name)) > 3 and set(name) <= set(heard):
        return max(ratio, 95 - 5 * (len(heard) - len(name)))
    return ratio
