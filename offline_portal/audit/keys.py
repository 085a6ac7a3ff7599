"""Keyed digests: values are found again by them, and cannot be guessed from them without PORTAL_INDEX_KEY.

The key does not rotate: with another one, nothing that was stored before would be found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from django.conf import settings

from offline_portal.audit.canonical import canonical
from offline_portal.audit.groups import salted

__all__ = ["digester", "duplicate_digester", "keyed", "salted"]

_SIZE = 16


def keyed(purpose: str, text: str) -> bytes:
    """16 bytes of `text`, keyed; the same text gives different bytes for different purposes (at most 16 letters)."""
    return digester(purpose)(text)


def digester(purpose: str) -> Callable[[str], bytes]:
    """`keyed` for one purpose and many texts: the settings are asked once."""
    copy = _start(purpose, settings.PORTAL_INDEX_KEY).copy

    def digest(text: str) -> bytes:
        state = copy()
        state.update(text.encode("utf-8", "surrogatepass"))
        return state.digest()

    return digest


def duplicate_digester() -> Callable[[Sequence[Any]], bytes]:
    """16 bytes that two rows share exactly when they are the same conversion, as a function for many rows.

    It takes what the connector declares as a row's identity: texts, numbers, and dicts or lists of them. It does not
    name the destination, so the key of a row is looked up together with one.
    """
    digest = digester("duplicate")
    return lambda parts: digest(canonical(list(parts)))


@lru_cache(maxsize=8)
def _start(purpose: str, key: str) -> Any:
    # BLAKE2b takes keys of up to 64 bytes; hashing lets PORTAL_INDEX_KEY be of any length.
    short = hashlib.sha512(key.encode()).digest()
    return hashlib.blake2b(digest_size=_SIZE, key=short, person=purpose.encode())
