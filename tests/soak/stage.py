"""Everything that a run needs, up and running: stores, emulator, the portal's programs; ended at the end."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet

from connectors.emulator.testing import Emulator
from connectors.emulator.testing import running as running_emulator
from tests.embedded.conftest import free_ports
from tests.soak import stores
from tests.soak.plan import Timers
from tests.soak.programs import Programs

TICK = 0.1


@dataclass(frozen=True)
class Stage:
    """What is up and running."""

    folder: Path
    emulator: Emulator
    redis: stores.RedisServer
    database: stores.Database
    programs: Programs
    port: int | None
    """Of the web server, where there is one."""

    def keep_up(self) -> None:
        """To be called every moment: what ended is started again."""
        self.programs.look_after()
        self.redis.copy()

    def until_up(self) -> None:
        """Returns once every program runs."""
        while not self.programs.are_up():
            self.keep_up()
            time.sleep(TICK)


@contextmanager
def running(
    folder: Path, workers: int, postgres: bool, timers: Timers | None, web: bool = False, **more: str
) -> Iterator[Stage]:
    """Stores and emulator started; this program itself becomes one of the portal's; the others are not started yet.

    `timers`: None for the times as shipped. `web`: whether there is a web server. `more`: environment of the programs.
    Raises stores.NotInstalled.
    """
    with ExitStack() as stack:
        emulator = stack.enter_context(running_emulator())
        redis = stores.RedisServer(folder)
        stack.callback(redis.end)
        redis.start()
        database: stores.Database = stores.Postgres(folder) if postgres else stores.Sqlite(folder)
        stack.callback(database.end)
        database.make()
        environment = _environment(folder, redis.url, database.url) | (timers.environment if timers else {})
        _join(environment, web)
        port = free_ports(1)[0] if web else None
        programs = Programs(folder, environment | more, workers, port)
        stack.callback(programs.end)
        yield Stage(folder, emulator, redis, database, programs, port)


def shipped() -> Timers:
    """The portal's times where nothing is set."""
    from django.conf import settings

    return Timers(
        settings.PORTAL_LEASE, settings.PORTAL_SHIFT_SECONDS, settings.PORTAL_SWEEP_EVERY,
        settings.PORTAL_REQUEST_DEADLINE, settings.PORTAL_RETRY_BASE, settings.PORTAL_RETRY_CEILING, sqlite=30,
    )  # fmt: skip


def _environment(folder: Path, redis_url: str, database_url: str) -> dict[str, str]:
    """As in production, but that destinations may lie on this machine. Nothing of ours leaks in."""
    return {
        "PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", "DJANGO_SETTINGS_MODULE": "tests.soak.settings",
        "DEBUG": "0", "PORTAL_DEMO": "0", "PORTAL_ALLOW_PRIVATE_DESTINATIONS": "1", "PORTAL_DATA": str(folder),
        "DATABASE_URL": database_url, "REDIS_URL": redis_url, "SECRET_KEY": secrets.token_urlsafe(48),
        "PORTAL_INDEX_KEY": secrets.token_urlsafe(48), "PORTAL_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    }  # fmt: skip


def _join(environment: dict[str, str], web: bool) -> None:
    """Make this program one of the portal's, with its tables made, and the files that pages are made up with."""
    os.environ.update(environment)
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    if web:
        call_command("collectstatic", verbosity=0, interactive=False)
