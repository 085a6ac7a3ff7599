"""Stores of a test's own, to be stopped, killed, restarted and filled up: PostgreSQL, Redis, a small disk."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dj_database_url
import psycopg
import pytest
from django.core.management import call_command
from django.db import connections

from offline_portal.embedded import redis_server
from tests.embedded.conftest import free_ports
from tests.faults.programs import until
from tests.production.conftest import postgres_programs


class Postgres:
    """A PostgreSQL server whose files lie in `folder`, which its user must be able to enter (see `folder_for_all`)."""

    def __init__(self, folder: Path) -> None:
        self.programs = postgres_programs()
        if self.programs is None:
            pytest.skip("no PostgreSQL on this machine")
        # PostgreSQL refuses to run as root: then the user that its package made runs it.
        self._as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.getuid() == 0 else []
        (self.port,), self.store = free_ports(1), folder / "postgres"
        self.store.mkdir()
        if self._as:
            shutil.chown(self.store, "postgres")
        made = ["-D", str(self.store), "-U", "portal", "-A", "trust", "-N", "--locale=C.UTF-8"]
        subprocess.run([*self._as, str(self.programs / "initdb"), *made], check=True, capture_output=True, cwd="/")
        self.server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgres://portal@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = [
            "listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "max_connections=60",
            "min_wal_size=32MB", "max_wal_size=48MB", "shared_buffers=8MB",
        ]  # fmt: skip
        command = [*self._as, str(self.programs / "postgres"), "-D", str(self.store), "-p", str(self.port)]
        command += [part for option in options for part in ("-c", option)]
        self.server = subprocess.Popen(command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers(self) -> bool:
        with suppress(psycopg.OperationalError), psycopg.connect(self.url, connect_timeout=2):
            return True
        return False

    def started(self) -> None:
        self.start()
        until(self.answers, "PostgreSQL answers")

    def end(self, number: int = signal.SIGINT) -> None:
        """SIGINT ends it in order, cutting every connection; SIGQUIT is a crash of the whole server."""
        if self.server and self.server.poll() is None:
            self.server.send_signal(number)
            self.server.wait(60)

    def execute(self, statement: str) -> list[Any]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(statement).fetchall()  # type: ignore[arg-type]


class RedisServer:
    """A Redis on a port of its own that keeps snapshots in a folder."""

    def __init__(self, folder: Path) -> None:
        found = redis_server.find_program()
        if found is None:
            pytest.skip("no Redis on this machine")
        (self.port,), self.folder, self._program = free_ports(1), folder, found[0]
        self.server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def snapshot(self) -> Path:
        return self.folder / "dump.rdb"

    def start(self, *options: str) -> None:
        command = [
            str(self._program), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
            "--save", "", "--appendonly", "no", "--logfile", str(self.folder / "redis.log"), *options,
        ]  # fmt: skip
        self.server = subprocess.Popen(command, env=redis_server.environment(), stdout=subprocess.DEVNULL)
        assert redis_server.answers(self.url, within=30)

    def signal(self, number: int) -> None:
        assert self.server
        self.server.send_signal(number)

    def kill(self) -> None:
        if self.server and self.server.poll() is None:
            self.server.kill()
            self.server.wait()


@contextmanager
def folder_for_all() -> Iterator[Path]:
    """A folder that the user of PostgreSQL may enter too, as it may not enter those of the tests."""
    folder = Path(tempfile.mkdtemp(prefix="portal-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def small_disk(megabytes: int) -> Iterator[Disk]:
    """A disk of so many megabytes; skips the test where it cannot be made."""
    with folder_for_all() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(folder)]
        if subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("a small disk can only be made by root")
        try:
            yield Disk(folder)
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Disk:
    """It can be filled to the last byte, and given its room back."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._ballast = folder, folder / "ballast"

    def fill(self) -> None:
        with self._ballast.open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"\0" * 65_536)
        with self._ballast.open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"\0")

    def leave(self, room: int) -> None:
        """So many bytes are free again."""
        os.truncate(self._ballast, self._ballast.stat().st_size - room)

    def empty(self) -> None:
        self._ballast.unlink(missing_ok=True)


@contextmanager
def database_at(url: str) -> Iterator[None]:
    """The test, and threads that it starts, use the database at `url`, which is migrated first."""
    before = connections.databases["default"]
    there = {**before, **dj_database_url.parse(url), "OPTIONS": {}}
    if there["ENGINE"].endswith("sqlite3"):
        there["OPTIONS"] = {"transaction_mode": "IMMEDIATE", "timeout": 30, "init_command": "PRAGMA journal_mode=WAL;"}
    _use(there)
    try:
        call_command("migrate", verbosity=0, interactive=False)
        yield
    finally:
        _use(before)


def _use(settings: dict[str, Any]) -> None:
    connections["default"].close()
    connections.databases["default"] = settings
    del connections["default"]
