"""What the database says of some Sends and their rows: read after every step of a game, and so in plain SQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from django.db import connection

from offline_portal.models import Delivery

COUNTED = tuple(Delivery.Status.values)
LOOKED_FOR = ("looking", "confirmed", "not_found", "not_available")
"""States of a Readback that are counted; a stopped one is not."""
_ROWS = """
SELECT row.id, row.send_id, send.destination_id, send.upload_id, send.readback_refused, row.line, row.status,
row.evidence, row.resolved, row.wire_key, row.attempt_count, COALESCE(readback.state, ''), readback.sighting
FROM portal_delivery AS row JOIN portal_send AS send ON send.id = row.send_id
LEFT JOIN portal_readback AS readback ON readback.delivery_id = row.id
WHERE row.status IS NOT NULL AND row.send_id IN ({}) ORDER BY row.id
"""
_OF_A_SEND = ("id", "status", "ready", *COUNTED, *(f"readback_{state}" for state in LOOKED_FOR))
_SENDS = f"SELECT {', '.join(_OF_A_SEND)} FROM portal_send WHERE id IN ({{}}) ORDER BY id"
_ENTRIES = """
SELECT seq, action, detail FROM portal_auditentry
WHERE seq > %s AND action IN ('delivery.attempts', 'delivery.outcomes') ORDER BY seq
"""


class StoredRow(NamedTuple):
    """A row that was queued, as it stands, and where looking for it stands."""

    pk: int
    send: int
    destination: int
    upload: int
    refused: bool
    """Its Send: the vendor lets nobody look for it."""
    line: int
    status: str
    evidence: str
    resolved: str
    wire_key: str | None
    attempts: int
    state: str
    """Of its Readback; empty where nobody ever looked."""
    sighting: bytes | None

    @property
    def conversion(self) -> tuple[int, int, int]:
        """What must count once, in whichever Send it goes: destination, upload and line."""
        return self.destination, self.upload, self.line


def rows(sends: Sequence[int]) -> list[StoredRow]:
    """All rows of these that were queued, in their order."""
    return [StoredRow(*values[:-1], _bytes(values[-1])) for values in _fetch(_ROWS, sends)]


def counters(sends: Sequence[int]) -> list[dict[str, Any]]:
    """Of each of these its `id`, `status` and counters."""
    return [dict(zip(_OF_A_SEND, values, strict=True)) for values in _fetch(_SENDS, sends)]


def entries(after: int) -> list[tuple[int, str, str]]:
    """Number, action and detail of the audit entries over Attempts and Answers behind that number."""
    with connection.cursor() as cursor:
        cursor.execute(_ENTRIES, [after])
        return cursor.fetchall()


def begun(after: int) -> list[int]:
    """The Attempts behind that number."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM portal_attempt WHERE id > %s ORDER BY id", [after])
        return [pk for (pk,) in cursor.fetchall()]


def answered(attempts: Iterable[int]) -> list[int]:
    """Those of these Attempts that have an Answer."""
    statement = "SELECT attempt_id FROM portal_answer WHERE attempt_id IN ({}) ORDER BY attempt_id"
    return [pk for (pk,) in _fetch(statement, list(attempts))]


def _fetch(statement: str, ids: Sequence[int]) -> list[tuple[Any, ...]]:
    if not ids:
        return []
    with connection.cursor() as cursor:
        cursor.execute(statement.format(", ".join(["%s"] * len(ids))), list(ids))
        return cursor.fetchall()


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)
