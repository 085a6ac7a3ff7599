"""The environment of the tests: nothing outside a private folder and the loopback interface is touched.

Loaded by `-p tests.environment` (pyproject.toml), because settings are read before any conftest.py is.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any
from unittest import TestCase

import pytest

STORES = {"db", "transactional_db", "redis_server_url"}
"""Fixtures of a test that meets the database or the Redis of the environment."""
CASES = 3

_FOLDER = tempfile.mkdtemp(prefix="portal-test-")
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)
os.environ.setdefault("DEBUG", "1")
os.environ["PORTAL_DATA"] = _FOLDER
os.environ["PORTAL_ALLOW_PRIVATE_DESTINATIONS"] = "1"


def pytest_addoption(parser: pytest.Parser) -> None:
    """A second run on other stores need not repeat what touches none, nor each vendor and each of its answers."""
    parser.addoption(
        "--stores-only", action="store_true",
        help=f"only tests that use DATABASE_URL or REDIS_URL, and at most {CASES} cases of each",
    )  # fmt: skip


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what `--stores-only` does not ask for."""
    if config.getoption("--stores-only"):
        cases: dict[str, list[pytest.Item]] = {}
        for item in filter(_meets_a_store, items):
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
        chosen = {item for together in cases.values() for item in _spread(together)}
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = [item for item in items if item in chosen]


def _spread(cases: list[pytest.Item]) -> list[pytest.Item]:
    """At most CASES of them, from the first to the last."""
    most = min(CASES, len(cases))
    return [cases[place * (len(cases) - 1) // max(1, most - 1)] for place in range(most)]


def _meets_a_store(item: pytest.Item) -> bool:
    is_of_django = isinstance(item, pytest.Function) and item.cls and issubclass(item.cls, TestCase)
    asked_for = set(getattr(item, "fixturenames", ()))
    meets = bool(is_of_django or STORES & asked_for or item.get_closest_marker("django_db"))
    return meets and not item.get_closest_marker("own_stores")


@pytest.fixture(scope="session", autouse=True)
def _emptying_past_the_triggers() -> Iterator[None]:
    """A transactional test ends with emptying all tables.

    Insert-only ones refuse that. TRUNCATE takes PostgreSQL twenty times as long as deleting a few rows. And of all that
    follows a migration, only the roles follow.
    """
    from django.core.management.commands import flush as command
    from django.db import transaction
    from django.db.backends.base.operations import BaseDatabaseOperations

    from offline_portal.access import roles
    from offline_portal.audit import triggers

    flush = BaseDatabaseOperations.execute_sql_flush

    def flush_all(operations: Any, statements: Any) -> None:
        connection = operations.connection
        if connection.vendor == "postgresql":
            tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
            statements = [*(f'DELETE FROM "{table}"' for table in tables), "SET CONSTRAINTS ALL IMMEDIATE"]
        with transaction.atomic(connection.alias):
            triggers.remove(connection.alias)
            flush(operations, statements)
            triggers.install(connection.alias)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseDatabaseOperations, "execute_sql_flush", flush_all)
        patch.setattr(command, "emit_post_migrate_signal", lambda *_, **__: roles.ensure_groups())
        yield
