"""The digest over one group of requests: what was sent, what came back, what it meant for each delivery.

Two audit entries cover a group: `delivery.attempts` before its bytes leave, `delivery.outcomes` once it is over.
Whoever stores the group computes their digests from the very tuples that it stores; `audit.stored` computes them
again from the tables. docs/audit.md tells a stranger how to do the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from offline_portal.audit import canonical

ATTEMPTS = "delivery.attempts"
"""Action of an entry with detail {"attempts": [id, …], "digest": `digest(attempts)`}."""
OUTCOMES = "delivery.outcomes"
"""Action of an entry with {"attempts": [id, …], "outcomes": {status: n}, "digest": `digest(answers, outcomes)`}."""

ATTEMPT = ("id", "batch_id", "fence", "worker", "version", "started_at", "deliveries", "request_digest")
ANSWER = ("attempt_id", "ended_at", "status", "error", "vendor_date", "copy_id", "copy_digest")
OUTCOME = ("attempt_id", "delivery_id", "status", "evidence", "code", "message", "receipt")
"""The columns that a digest covers, in its order. An Outcome's own id is not among them."""


def digest(*tables: Iterable[tuple[Any, ...]]) -> str:
    """SHA-256, in hexadecimal, over the rows of some tables, each a tuple in the order of ATTEMPT, ANSWER, OUTCOME.

    The order of the rows does not matter: they are sorted by their first two columns. Moments are aware datetimes,
    or text as `canonical.moment` writes it.
    """
    return canonical.digest(
        [sorted(([plain(value) for value in row] for row in rows), key=lambda row: row[:2]) for rows in tables]
    )


def request_text(method: str, url: str, headers: str, body: str) -> str:
    """What `Attempt.request_digest` is the salted digest of: the redacted request with its whole body."""
    return "\n".join((method, url, headers, body))


def answer_text(headers: str, body: str) -> str:
    """What `Answer.copy_digest` is the salted digest of: headers and body of the AnswerCopy as they are stored."""
    return f"{headers}\n{body}"


def salted(salt: bytes, text: str) -> bytes:
    """32 bytes: SHA-256 over the salt and the text in UTF-8.

    The salt lies with the erasable copy alone. Once that is gone, nobody can find out by trying what the text was.
    """
    return hashlib.sha256(bytes(salt) + plain(text).encode()).digest()


def plain(value: Any) -> Any:
    """One form for what the databases give back in different ones."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd") if "\0" in value else value
    if isinstance(value, datetime):
        return canonical.moment(value)
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return value
