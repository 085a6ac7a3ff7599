"""Delivery workers as processes of their own, on the database and the Redis of the test."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection

from offline_portal.delivery import sweep
from tests.embedded.conftest import start

PATIENCE = 120.0
"""Seconds for which a test waits on a machine that others keep busy."""


def database_url() -> str:
    """The address of the test's database, as another process takes it."""
    told = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{told['NAME']}"
    word = f":{told['PASSWORD']}" if told["PASSWORD"] else ""
    return f"postgres://{told['USER']}{word}@{told['HOST']}:{told['PORT']}/{told['NAME']}"


@contextmanager
def workers(many: int, redis_url: str, **environment: str) -> Iterator[list[subprocess.Popen[str]]]:
    """So many real delivery workers, asked to end afterwards."""
    places = {"DATABASE_URL": database_url(), "REDIS_URL": redis_url, "PORTAL_DATA": os.environ["PORTAL_DATA"]}
    started = [start("manage.py", "worker", "delivery", **places, **environment) for _ in range(many)]
    try:
        yield started
    finally:
        for one in started:
            one.terminate()
        for one in started:
            try:
                one.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                one.kill()
                one.communicate()


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait for `condition()`, sweeping as the sweeper does."""
    last = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < last, "it did not come about in time"
        sweep.one_pass()
        time.sleep(0.5)
