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

import pytest

_FOLDER = tempfile.mkdtemp(prefix="portal-test-")
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)
os.environ.setdefault("DEBUG", "1")
os.environ["PORTAL_DATA"] = _FOLDER
os.environ["PORTAL_ALLOW_PRIVATE_DESTINATIONS"] = "1"


@pytest.fixture(scope="session", autouse=True)
def _emptying_past_the_triggers() -> Iterator[None]:
    """Insert-only tables refuse to be emptied, which is what a transactional test ends with."""
    from django.db.backends.base.operations import BaseDatabaseOperations

    from offline_portal.audit import triggers

    flush = BaseDatabaseOperations.execute_sql_flush

    def flush_all(operations: Any, statements: Any) -> None:
        triggers.remove(operations.connection.alias)
        flush(operations, statements)
        triggers.install(operations.connection.alias)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseDatabaseOperations, "execute_sql_flush", flush_all)
        yield
