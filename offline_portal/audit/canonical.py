"""One text for one value, so that the same facts always give the same hash."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from offline_portal.compact_json import encoder

_encode = encoder(sort_keys=True)
_text = json.encoder.encode_basestring
NO_HASH = "0" * 64
"""What the first entry carries in the place of its predecessor's hash."""


def canonical(value: Any) -> str:
    """Canonical JSON: keys sorted by code point, no spaces, nothing escaped but what JSON demands.

    Raises TypeError for what is no JSON and ValueError for a float that is no number.
    """
    return _encode(value)


def digest(value: Any) -> str:
    """SHA-256, in hexadecimal, of the canonical JSON in UTF-8."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def moment(at: datetime) -> str:
    """An aware datetime as `2026-03-01T12:00:00.123456Z`, always in UTC, always with six digits."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def moment_sql(column: str) -> str:
    """SQL that reads a column of moments as `moment` writes them; what is no moment comes as it is."""
    if connection.vendor == "postgresql":
        return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
    digits = "[0-9][0-9]"
    pattern = f"{digits}{digits}-{digits}-{digits} {digits}:{digits}:{digits}"
    return (
        f"CASE WHEN {column} GLOB '{pattern}.{digits}{digits}{digits}'"
        f" THEN substr({column}, 1, 10) || 'T' || substr({column}, 12) || 'Z'"
        f" WHEN {column} GLOB '{pattern}'"
        f" THEN substr({column}, 1, 10) || 'T' || substr({column}, 12) || '.000000Z'"
        f" ELSE {column} || '' END"
    )


def entry_digest(seq: int, at: str, actor: str, action: str, object: str, detail: str) -> str:
    """The digest of what one audit entry says. `at` is text as of `moment`, `detail` its canonical JSON as stored.

    The hashed text is the canonical JSON of an object with these six members; it is put together by hand because
    `detail` is already JSON, and must enter byte for byte.
    """
    whole = (
        f'{{"action":{_text(action)},"actor":{_text(actor)},"at":{_text(at)},"detail":{detail},'
        f'"object":{_text(object)},"seq":{seq}}}'
    )
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()


def linked(previous: str, digest: str) -> str:
    """The hash of an entry with this digest behind the one with the hash `previous`.

    So a stranger can follow the chain past entries of which they are given no more than the digest.
    """
    return hashlib.sha256(f"{previous}{digest}".encode("utf-8", "surrogatepass")).hexdigest()


def entry_hash(seq: int, at: str, actor: str, action: str, object: str, detail: str, previous: str) -> str:
    """The hash of one audit entry; see `entry_digest`."""
    return linked(previous, entry_digest(seq, at, actor, action, object, detail))
