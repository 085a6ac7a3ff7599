"""Finding rows that were sent before: one set-based step in the database, never a set in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection

from offline_portal.models import Send, SentKey

# Each statement looks at the ready rows of one generation: those of a whole Send, or those with certain keys.
_MINE = "send_id = %s AND generation = %s AND verdict = 'ready'"

_SENT_BEFORE = """
UPDATE portal_delivery SET verdict = 'duplicate', duplicate_of = (
    SELECT delivery_id FROM portal_sentkey
    WHERE destination_id = %s AND key = portal_delivery.duplicate_key AND NOT forced
    UNION ALL
    SELECT delivery_id FROM portal_sentkey
    WHERE destination_id = %s AND key = portal_delivery.duplicate_key AND forced
    LIMIT 1)
WHERE {mine} AND (
    EXISTS (SELECT 1 FROM portal_sentkey
            WHERE destination_id = %s AND key = portal_delivery.duplicate_key AND NOT forced)
    OR EXISTS (SELECT 1 FROM portal_sentkey
               WHERE destination_id = %s AND key = portal_delivery.duplicate_key AND forced))
"""

_TWICE_IN_THE_FILE = """
UPDATE portal_delivery SET verdict = 'duplicate', duplicate_of = seen.first_id
FROM (SELECT id, first_value(id) OVER same AS first_id, row_number() OVER same AS nth
      FROM portal_delivery WHERE {mine}
      WINDOW same AS (PARTITION BY duplicate_key ORDER BY line)) AS seen
WHERE portal_delivery.id = seen.id AND seen.nth > 1
"""

_SIMILAR_IN_THE_FILE = """
UPDATE portal_delivery SET similar_line = seen.first_line
FROM (SELECT id, first_value(line) OVER same AS first_line, row_number() OVER same AS nth
      FROM portal_delivery WHERE {mine} AND similar_key IS NOT NULL
      WINDOW same AS (PARTITION BY similar_key ORDER BY line)) AS seen
WHERE portal_delivery.id = seen.id AND seen.nth > 1
"""

_FREE_AGAIN = """
UPDATE portal_delivery SET verdict = 'ready', duplicate_of = NULL
WHERE send_id = %s AND generation = %s AND verdict = 'duplicate' AND {keys}
"""


def mark(send: Send, keys: Sequence[bytes] | None = None) -> int:
    """Give the verdict `duplicate` to every ready row sent before, or standing on an earlier line of the file.

    With `keys`, only rows with one of these duplicate keys are looked at (after an edit). Inside a transaction.
    Returns how many rows were marked.
    """
    mine, parameters = _scope(send, keys)
    marked = 0
    if send.duplicates == "skip":
        if SentKey.objects.filter(destination=send.destination_id).exists():
            there = send.destination_id
            marked += _run(_SENT_BEFORE.format(mine=mine), [there, there, *parameters, there, there])
        marked += _run(_TWICE_IN_THE_FILE.format(mine=mine), parameters)
    if keys is None:
        _run(_SIMILAR_IN_THE_FILE.format(mine=mine), parameters)
    return marked


def release(send: Send, keys: Sequence[bytes]) -> int:
    """Make the duplicates with these keys ready again, before `mark` looks anew. Returns how many."""
    holes = ", ".join(["%s"] * len(keys))
    return _run(
        _FREE_AGAIN.format(keys=f"duplicate_key IN ({holes})"), [send.pk, send.generation, *keys]
    )


def _scope(send: Send, keys: Sequence[bytes] | None) -> tuple[str, list[Any]]:
    parameters: list[Any] = [send.pk, send.generation]
    if keys is None:
        return _MINE, parameters
    holes = ", ".join(["%s"] * len(keys))
    return f"{_MINE} AND duplicate_key IN ({holes})", [*parameters, *keys]


def _run(statement: str, parameters: list[Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return max(cursor.rowcount, 0)
