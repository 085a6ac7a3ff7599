"""What `bulk` does on SQLite and on PostgreSQL.

Both go to the driver's own cursor: Django's would translate every statement and, with DEBUG=1, keep each one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    import psycopg

Row = tuple[Any, ...]
Preparation = Callable[[Any], Callable[[Any], Any]]
"""From a connection to what translates a value for it."""
_ROWS_A_STATEMENT = 10_000


class Sql(str):
    """An SQL expression in the place of a value. Never made from anything that a person typed."""

    __slots__ = ()


class Columns:
    """The columns of one table that a statement writes, and how Python values become theirs."""

    def __init__(self, model: type[models.Model], fields: Sequence[models.Field]) -> None:
        self.model = model
        self.fields = list(fields)
        self.table = f'"{model._meta.db_table}"'
        self.key = f'"{model._meta.pk.column}"'
        self.names = [f'"{field.column}"' for field in fields]
        self._preparations: dict[str, list[tuple[int, Preparation]]] = {}
        self._types: list[str] = []

    def types(self, connection: Any) -> list[str]:
        """The type of each column, as PostgreSQL calls it."""
        if not self._types:
            self._types = [_type(field, connection) for field in self.fields]
        return self._types

    def prepared(self, rows: Iterable[Row], connection: Any, offset: int = 0) -> Iterable[Row]:
        """`rows` with the values that no driver takes translated; `offset`: where in a row the columns begin."""
        changes = [(offset + place, change(connection)) for place, change in self._changes(connection.vendor)]
        return _changed(rows, changes) if changes else rows

    def value(self, place: int, value: Any, connection: Any) -> Any:
        """One value for the column at `place`."""
        for changed, change in self._changes(connection.vendor) if value is not None else ():
            if changed == place:
                return change(connection)(value)
        return value

    def _changes(self, vendor: str) -> list[tuple[int, Preparation]]:
        """The columns whose values have to be translated. Found out once: a turn of sending asks a dozen times."""
        if vendor not in self._preparations:
            self._preparations[vendor] = [
                (place, change)
                for place, field in enumerate(self.fields)
                if (change := _preparation(field, vendor)) is not None
            ]
        return self._preparations[vendor]


def _preparation(field: models.Field, vendor: str) -> Preparation | None:
    if isinstance(field, models.JSONField):
        return lambda connection: lambda value: field.get_db_prep_save(value, connection)
    if vendor == "postgresql":
        return (lambda _connection: _without_nul) if isinstance(field, models.CharField | models.TextField) else None
    if isinstance(field, models.DateTimeField):
        return lambda connection: connection.ops.adapt_datetimefield_value
    return None


def _without_nul(text: str) -> str:
    return text.replace("\0", "\ufffd") if "\0" in text else text


def _changed(rows: Iterable[Row], changes: list[tuple[int, Callable[[Any], Any]]]) -> Iterator[Row]:
    for row in rows:
        for place, change in changes:
            value = row[place]
            if value is not None and (changed := change(value)) is not value:
                row = (*row[:place], changed, *row[place + 1 :])
        yield row


def _with_constants(rows: Iterable[Row], constants: Row) -> Iterable[Row]:
    return (tuple(row) + constants for row in rows) if constants else rows


class SQLite:
    """Nothing lies between us and the file, so that only the number of statements costs."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def insert(self, columns: Columns, constants: Row, rows: Iterable[Row], ending: str = "") -> int:
        named = len(columns.fields) - len(constants)
        fixed = [
            self.connection.connection.execute("SELECT quote(?)", (value,)).fetchone()[0]
            for value in next(iter(columns.prepared([(None,) * named + constants], self.connection)))[named:]
        ]
        values = f"({', '.join(['?'] * named + fixed)})"
        written = Columns(columns.model, columns.fields[:named]) if constants else columns
        sql = f"INSERT INTO {columns.table} ({', '.join(columns.names)}) VALUES "
        source = iter(written.prepared(rows, self.connection))
        together = self._rows_together(named)
        sql_together = sql + ", ".join([values] * together) + ending
        count = 0
        with self.connection.wrap_database_errors:
            cursor = self.connection.connection.cursor()
            while len(part := list(islice(source, together))) == together:
                count += cursor.execute(sql_together, tuple(chain.from_iterable(part))).rowcount
        return count + self._many(sql + values + ending, part)

    def _rows_together(self, columns: int) -> int:
        """How many rows one statement inserts: each of its own takes 2 to 3 times as long, more than 50 win nothing."""
        most = self.connection.connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        return max(1, min(50, most // max(columns, 1)))

    def insert_ignoring(self, columns: Columns, constants: Row, rows: Iterable[Row]) -> int:
        return self.insert(columns, constants, rows, " ON CONFLICT DO NOTHING")

    def next_ids(self, model: type[models.Model], count: int) -> Sequence[int]:
        table, key = model._meta.db_table, model._meta.pk.column
        with self.connection.wrap_database_errors:
            cursor = self.connection.connection.cursor()
            cursor.execute(
                f'SELECT max((SELECT coalesce(max("{key}"), 0) FROM "{table}"),'
                " (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?))",
                (table,),
            )
            last = cursor.fetchone()[0]
            cursor.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = ?", (last + count, table))
            if not cursor.rowcount:
                cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, last + count))
        return range(last + 1, last + count + 1)

    def set_by_ids(
        self,
        columns: Columns,
        assignments: Mapping[str, Any],
        ids: Sequence[int],
        where: str,
        params: Sequence[Any],
    ) -> int:
        setting, values = _setting(columns, assignments, self.connection, "?")
        sql = (
            f"UPDATE {columns.table} SET {setting} WHERE {columns.key} IN (SELECT value FROM json_each(?))"
            + _and(where).replace("%s", "?")
        )
        id_list = f"[{','.join(map(str, ids))}]"
        with self.connection.wrap_database_errors:
            return self.connection.connection.cursor().execute(sql, (*values, id_list, *params)).rowcount

    def set_each(self, columns: Columns, rows: Iterable[Row], where: str, params: Sequence[Any]) -> int:
        setting = ", ".join(f"{name} = ?" for name in columns.names)
        sql = f"UPDATE {columns.table} SET {setting} WHERE {columns.key} = ?" + _and(where).replace("%s", "?")
        prepared = columns.prepared(rows, self.connection, offset=1)
        return self._many(sql, ((*row[1:], row[0], *params) for row in prepared))

    def _many(self, sql: str, rows: Iterable[Row]) -> int:
        with self.connection.wrap_database_errors:
            return max(self.connection.connection.cursor().executemany(sql, rows).rowcount, 0)


class PostgreSQL:
    """COPY for new rows (binary, which takes 2/3 of the time of text), arrays for everything else."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def insert(self, columns: Columns, constants: Row, rows: Iterable[Row]) -> int:
        rows = columns.prepared(_with_constants(rows, constants), self.connection)
        binary = not any(isinstance(field, models.JSONField) for field in columns.fields)
        sql = f"COPY {columns.table} ({', '.join(columns.names)}) FROM STDIN"
        sql += " (FORMAT binary)" if binary else ""
        with self.connection.wrap_database_errors:
            cursor = self._cursor()
            with cursor.copy(sql) as copy:
                if binary:
                    copy.set_types(columns.types(self.connection))
                for row in rows:
                    copy.write_row(row)
            return cursor.rowcount

    def insert_ignoring(self, columns: Columns, constants: Row, rows: Iterable[Row]) -> int:
        sql = (
            f"INSERT INTO {columns.table} ({', '.join(columns.names)})"
            f" SELECT * FROM unnest({_arrays(columns.types(self.connection))}) ON CONFLICT DO NOTHING"
        )
        return self._chunks(sql, columns.prepared(_with_constants(rows, constants), self.connection))

    def next_ids(self, model: type[models.Model], count: int) -> Sequence[int]:
        sql = "SELECT nextval(pg_get_serial_sequence(%s, %s)) FROM generate_series(1, %s)"
        with self.connection.wrap_database_errors:
            cursor = self._cursor()
            cursor.execute(sql, (f'"{model._meta.db_table}"', model._meta.pk.column, count))
            return sorted(row[0] for row in cursor)

    def set_by_ids(
        self,
        columns: Columns,
        assignments: Mapping[str, Any],
        ids: Sequence[int],
        where: str,
        params: Sequence[Any],
    ) -> int:
        setting, values = _setting(columns, assignments, self.connection, "%s")
        sql = f"UPDATE {columns.table} SET {setting} WHERE {columns.key} = ANY(%s::bigint[])" + _afterwards(where)
        with self.connection.wrap_database_errors:
            return self._cursor().execute(sql, (*values, list(ids), *params)).rowcount

    def set_each(self, columns: Columns, rows: Iterable[Row], where: str, params: Sequence[Any]) -> int:
        setting = ", ".join(f"{name} = given.v{place}" for place, name in enumerate(columns.names))
        given = ", ".join(f"v{place}" for place in range(len(columns.names)))
        key = _type(columns.model._meta.pk, self.connection)
        sql = (
            f"UPDATE {columns.table} SET {setting}"
            f" FROM unnest({_arrays([key, *columns.types(self.connection)])}) AS given(key, {given})"
            f" WHERE {columns.table}.{columns.key} = given.key" + _afterwards(where)
        )
        return self._chunks(sql, columns.prepared(rows, self.connection, offset=1), params)

    def _chunks(self, sql: str, rows: Iterable[Row], params: Sequence[Any] = ()) -> int:
        changed, source = 0, iter(rows)
        with self.connection.wrap_database_errors:
            cursor = self._cursor()
            while chunk := list(islice(source, _ROWS_A_STATEMENT)):
                changed += cursor.execute(sql, (*map(list, zip(*chunk, strict=True)), *params)).rowcount
        return changed

    def _cursor(self) -> psycopg.Cursor:
        import psycopg  # Takes a tenth of a program's start, and SQLite needs none of it.

        return psycopg.Cursor(self.connection.connection)


def _afterwards(where: str) -> str:
    """A condition that is looked at once a row was found by its id.

    PostgreSQL must not estimate it: its statistics know of no row that is being sent, and a plan for none of them
    compares every row with every other.
    """
    return _and(f"CASE WHEN {where} THEN true ELSE false END") if where else ""


def _arrays(types: Sequence[str]) -> str:
    return ", ".join(f"%s::{name}[]" for name in types)


def _type(field: models.Field, connection: Any) -> str:
    return field.cast_db_type(connection).split("(")[0]


def _setting(
    columns: Columns, assignments: Mapping[str, Any], connection: Any, placeholder: str
) -> tuple[str, list[Any]]:
    parts, values = [], []
    for place, (name, value) in enumerate(zip(columns.names, assignments.values(), strict=True)):
        parts.append(f"{name} = {value if isinstance(value, Sql) else placeholder}")
        if not isinstance(value, Sql):
            values.append(columns.value(place, value, connection))
    return ", ".join(parts), values


def _and(where: str) -> str:
    return f" AND ({where})" if where else ""
