"""What is wrong with the rows of a send, grouped by kind: a kind is a code at a column.

Grouped and searched by the database, in the JSON that checking leaves with each row.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from django.db import connection
from django.db.models import BooleanField
from django.db.models.expressions import RawSQL

from offline_portal.models import Delivery, Send

SHOWN = 30
COUNTED_ROWS = 200_000
"""So many rows with problems are counted: half a second's work on each edit. Beyond, counts tell of the first ones."""

_NOTES = {
    "sqlite": "json_each({rows}.problems) AS note",
    "postgresql": "json_array_elements({rows}.problems::json) AS note(value)",
}
_CODE = {"sqlite": "json_extract(note.value, '$.code')", "postgresql": "note.value ->> 'code'"}
_COLUMN = {
    "sqlite": "coalesce(json_extract(note.value, '$.column'), '')",
    "postgresql": "coalesce(note.value ->> 'column', '')",
}

# The condition of the index stands there word for word: SQLite uses it only so.
_COUNTED = """
SELECT {code}, {column}, count(DISTINCT line) AS rows_of_it, min(line) AS first_line
FROM (SELECT line, problems FROM portal_delivery
      WHERE send_id = %s AND generation = %s AND verdict = 'problem' AND NOT (verdict = 'ready')
      ORDER BY line LIMIT %s) AS wrong, {notes}
GROUP BY 1, 2 ORDER BY rows_of_it DESC, first_line, 1, 2 LIMIT %s
"""
_OF_KIND = "EXISTS (SELECT 1 FROM {notes} WHERE {code} = %s AND {column} = %s)"


class Kind(NamedTuple):
    """Problems of one kind: code, column (empty where it is of none), the first row's words, how many rows."""

    code: str
    column: str
    message: str
    rows: int


def counted(send: Send) -> list[Kind]:
    """The kinds of a send's problems as it was checked last, the most frequent first; at most SHOWN."""
    with connection.cursor() as cursor:
        cursor.execute(_for_this_database(_COUNTED, "wrong"), [send.pk, send.generation, COUNTED_ROWS, SHOWN])
        found = cursor.fetchall()
    words = _words(send, {first for *_kind, first in found})
    return [Kind(code, column, words[first][code, column], rows) for code, column, rows, first in found]


def of_kind(code: str, column: str) -> RawSQL:
    """A condition on Delivery: it has a problem of this kind."""
    condition = _for_this_database(_OF_KIND, "portal_delivery")
    return RawSQL(condition, (code, column), output_field=BooleanField())  # noqa: S611 (a constant)


def _words(send: Send, lines: set[int]) -> dict[int, dict[tuple[str, str], str]]:
    """What the problems of these lines say, by line and kind."""
    found = Delivery.objects.filter(send=send.pk, generation=send.generation, line__in=lines)
    return {
        line: {(note["code"], note["column"] or ""): note["message"] for note in json.loads(text)}
        for line, text in found.values_list("line", "problems")
    }


def _for_this_database(statement: str, rows: str) -> str:
    vendor = connection.vendor
    return statement.format(notes=_NOTES[vendor].format(rows=rows), code=_CODE[vendor], column=_COLUMN[vendor])
