"""Triggers that let Attempts, Answers, Outcomes and audit entries be added, but neither changed nor deleted.

They are made again after each migration, because SQLite loses the triggers of a table that it remakes.
"""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from offline_portal.models import Answer, Attempt, AuditEntry, Outcome

INSERT_ONLY = (Attempt, Answer, Outcome, AuditEntry)

_FUNCTION = """
CREATE OR REPLACE FUNCTION portal_insert_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is insert-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$
"""


def install(using: str = "default", **_: Any) -> None:
    """Make every trigger that is missing; a `post_migrate` receiver."""
    connection = connections[using]
    present = _present(connection)
    tables = set(connection.introspection.table_names())
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_FUNCTION)
        for name, (table, statements) in _triggers(connection).items():
            if table in tables and name not in present:
                for statement in statements:
                    cursor.execute(statement)


def remove(using: str = "default") -> None:
    """Drop every trigger: only for emptying a test database."""
    connection = connections[using]
    present = _present(connection)
    with connection.cursor() as cursor:
        for name, (table, _statements) in _triggers(connection).items():
            if name in present:
                cursor.execute(f"DROP TRIGGER {name}" + (f" ON {table}" if connection.vendor == "postgresql" else ""))


def missing(using: str = "default") -> list[str]:
    """Names of the triggers that should be there and are not, of tables that exist."""
    connection = connections[using]
    tables = set(connection.introspection.table_names())
    present = _present(connection)
    return [name for name, (table, _) in _triggers(connection).items() if table in tables and name not in present]


@register(Tags.database)
def check_triggers(databases: list[str] | None = None, **_: Any) -> list[CheckMessage]:
    """portal.W003: without its triggers, the log still shows a change, but no longer refuses it."""
    return [
        Warning(
            f"The trigger {name} is missing: what must stay as it was written could be changed unhindered.",
            hint="Run: manage.py migrate (it makes missing triggers), then: manage.py verify_audit",
            id="portal.W003",
        )
        for using in databases or []
        for name in missing(using)
    ]


def _triggers(connection: BaseDatabaseWrapper) -> dict[str, tuple[str, list[str]]]:
    """{name: (table, statements that make it)}"""
    make = _on_postgresql if connection.vendor == "postgresql" else _on_sqlite
    found: dict[str, tuple[str, list[str]]] = {}
    for model in INSERT_ONLY:
        table = model._meta.db_table
        found |= {name: (table, statements) for name, statements in make(table, model._meta.pk.column).items()}
    return found


def _on_sqlite(table: str, key: str) -> dict[str, list[str]]:
    stop = f"BEGIN SELECT RAISE(ABORT, '{table} is insert-only'); END"
    # INSERT OR REPLACE deletes the old row without asking a delete trigger.
    replacing = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key})"
    return {
        f"{table}_no_update": [f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {stop}"],
        f"{table}_no_delete": [f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {stop}"],
        f"{table}_no_replace": [f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} {replacing} {stop}"],
    }


def _on_postgresql(table: str, key: str) -> dict[str, list[str]]:
    def make(name: str, when: str) -> list[str]:
        return [
            f"CREATE OR REPLACE TRIGGER {name} BEFORE {when} EXECUTE FUNCTION portal_insert_only()",
            # Also in a session that poses as a replica, where ordinary triggers sleep.
            f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}",
        ]

    return {
        f"{table}_no_change": make(f"{table}_no_change", f"UPDATE OR DELETE ON {table} FOR EACH ROW"),
        f"{table}_no_truncate": make(f"{table}_no_truncate", f"TRUNCATE ON {table} FOR EACH STATEMENT"),
    }


def _present(connection: BaseDatabaseWrapper) -> set[str]:
    sql = (
        "SELECT tgname FROM pg_trigger WHERE tgenabled = 'A' AND NOT tgisinternal"
        if connection.vendor == "postgresql"
        else "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return {row[0] for row in cursor.fetchall()}
