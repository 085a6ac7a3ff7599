"""The raw bulk writes: many rows of one table at once, past the ORM's objects.

Two back ends, SQLite (executemany) and PostgreSQL (COPY and arrays), with the same results. Every function
works inside the caller's transaction and refuses to run outside one; database errors come as Django's. Values
are given as the columns hold them: text, bytes, numbers, None; aware datetimes, and for a JSONField its Python
value, are translated. NUL characters in text, which PostgreSQL cannot hold, become U+FFFD there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from offline_portal.bulk_backends import Columns, PostgreSQL, Sql, SQLite

__all__ = ["Sql", "insert", "insert_ignoring", "next_ids", "set_by_ids", "set_each"]

Row = tuple[Any, ...]


def insert(model: type[models.Model], fields: Sequence[str], rows: Iterable[Row]) -> int:
    """Insert `rows`, tuples in the order of `fields` (column names such as `send_id`); returns how many.

    `rows` may be a generator: it is read once and never held. Columns that are not named get the default of
    their field. Ids that are given must come from `next_ids`. Raises ValueError for a column that must be named.
    """
    return _backend().insert(*_columns_and_defaults(model, fields), rows)


def insert_ignoring(model: type[models.Model], fields: Sequence[str], rows: Iterable[Row]) -> int:
    """As `insert`, but a row that breaks a uniqueness rule is left out; returns how many really went in.

    Writers that may compete for the same keys give their rows in the same order (sorted by the key), or
    PostgreSQL may have to end one of them to resolve a deadlock.
    """
    return _backend().insert_ignoring(*_columns_and_defaults(model, fields), rows)


def next_ids(model: type[models.Model], count: int) -> Sequence[int]:
    """Reserve `count` ids, ascending, that no other writer will get. On PostgreSQL they may have gaps."""
    return _backend().next_ids(model, count) if count else range(0)


def set_by_ids(
    model: type[models.Model],
    assignments: Mapping[str, Any],
    ids: Sequence[int],
    where: str = "",
    params: Sequence[Any] = (),
) -> int:
    """Set the same values on the rows with these ids; returns how many were really changed.

    `assignments` is {column: value}, where a value may be `Sql("attempt_count + 1")`. `where` is a further
    condition in SQL with `%s` for each of `params`.
    """
    if not ids:
        return 0
    return _backend().set_by_ids(_columns(model, tuple(assignments)), assignments, ids, where, params)


def set_each(
    model: type[models.Model],
    fields: Sequence[str],
    rows: Iterable[Row],
    where: str = "",
    params: Sequence[Any] = (),
) -> int:
    """Set different values on many rows, each (id, value of fields[0], …); returns how many really changed.

    No id may occur twice. `where` is a further condition as in `set_by_ids`.
    """
    return _backend().set_each(_columns(model, tuple(fields)), rows, where, params)


def _backend() -> SQLite | PostgreSQL:
    ours = connections[DEFAULT_DB_ALIAS]
    if not ours.in_atomic_block:
        raise TransactionManagementError("A bulk write needs a transaction.atomic() around it.")
    ours.ensure_connection()
    return SQLite(ours) if ours.vendor == "sqlite" else PostgreSQL(ours)


@cache
def _columns(model: type[models.Model], fields: tuple[str, ...]) -> Columns:
    by_attname = {field.attname: field for field in model._meta.concrete_fields}
    return Columns(model, [by_attname[name] for name in fields])


def _columns_and_defaults(model: type[models.Model], fields: Sequence[str]) -> tuple[Columns, Row]:
    """All columns to write, the named ones first, and the constants for the others."""
    columns, others = _with_others(model, tuple(fields))
    return columns, tuple(_default(field) for field in others)


@cache
def _with_others(model: type[models.Model], fields: tuple[str, ...]) -> tuple[Columns, list[models.Field]]:
    named = _columns(model, fields)
    unnamed = (field for field in model._meta.concrete_fields if field.attname not in fields)
    others = [field for field in unnamed if not _may_stay_out(field)]
    return Columns(model, named.fields + others), others


def _may_stay_out(field: models.Field) -> bool:
    if field.has_db_default() or isinstance(field, models.AutoField):
        return True
    return field.null and not field.has_default()


def _default(field: models.Field) -> Any:
    if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
        return timezone.now()
    default = field.get_default()
    if default is None or (default == "" and field.primary_key):
        raise ValueError(f"{field.model.__name__}.{field.attname} has no default: name it among the fields.")
    return default
