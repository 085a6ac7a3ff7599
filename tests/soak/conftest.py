"""Running the soak as a program of its own, on the kind of database that the tests are run on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from django.db import connection

from tests.embedded.conftest import ROOT

LONGEST = 600.0


@pytest.fixture
def run() -> Callable[..., str]:
    """Run a module of the soak; what it printed. Fails with that when a promise broke."""

    def started(module: str, *arguments: str) -> str:
        database = "postgres" if connection.vendor == "postgresql" else "sqlite"
        done = subprocess.run(
            [sys.executable, "-m", module, "--database", database, *arguments], cwd=ROOT, text=True, timeout=LONGEST,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "DATABASE_URL": "", "REDIS_URL": ""},
        )  # fmt: skip
        if done.returncode == 2:
            pytest.skip(done.stdout.strip().splitlines()[-1])
        assert done.returncode == 0, done.stdout
        return done.stdout

    return started
