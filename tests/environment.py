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

_FOLDER = tempfile.mkdtemp(prefix="portal-test-")
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)
os.environ.setdefault("DEBUG", "1")
os.environ["PORTAL_DATA"] = _FOLDER
os.environ["PORTAL_ALLOW_PRIVATE_DESTINATIONS"] = "1"


def pytest_addoption(parser: pytest.Parser) -> None:
    """A second run on other stores need not repeat what touches none."""
    parser.addoption("--stores-only", action="store_true", help="only tests that use DATABASE_URL or REDIS_URL")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what `--stores-only` does not ask for."""
    if config.getoption("--stores-only"):
        others = [item for item in items if not _meets_a_store(item)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if _meets_a_store(item)]


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
