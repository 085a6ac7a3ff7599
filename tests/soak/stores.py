"""Redis and the database of a soak: real servers of its own that can be broken and come back."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import psycopg
import redis

from offline_portal.embedded import redis_server
from tests.embedded.conftest import free_ports, wait_until

PATIENCE = 60.0
COPY_EVERY = 10.0
"""Seconds between two copies of what Redis keeps, one of which a later restart may find instead of the newest."""


class NotInstalled(Exception):
    """A program that the soak needs is not on this machine; the text names it."""


class RedisServer:
    """The Redis that `make run` starts: append-only file, a socket that only we may use."""

    def __init__(self, folder: Path) -> None:
        self.plan = redis_server.plan(folder)
        self.url = self.plan.url
        self._copies = folder / "redis copies"
        self._server: subprocess.Popen[bytes] | None = None
        self._copied = 0.0

    def start(self) -> None:
        """Start it, unless it runs; returns once it answers."""
        if self._server is not None:
            return
        self.plan.socket.unlink(missing_ok=True)
        self._server = subprocess.Popen(self.plan.command, env=redis_server.environment(), start_new_session=True)
        if not redis_server.answers(self.url, within=PATIENCE):
            raise RuntimeError("Redis did not start.")

    def kill(self) -> None:
        """SIGKILL; nothing is written any more."""
        if self._server:
            self._server.kill()
            self._server.wait()
            self._server = None

    def go_back(self) -> None:
        """Killed, it finds on its next start what it kept some time ago; nothing at all if no copy was made yet."""
        self.kill()
        older = sorted(self._copies.glob("*"))[:1]
        shutil.rmtree(self.plan.folder)
        if older:
            shutil.copytree(older[0], self.plan.folder)
        else:
            self.plan.folder.mkdir(mode=0o700)

    def copy(self) -> None:
        """Keep a copy of its files from time to time, the last three of them."""
        if self._server is None or time.monotonic() - self._copied < COPY_EVERY:
            return
        self._copied = time.monotonic()
        with suppress(OSError, shutil.Error):
            shutil.copytree(self.plan.folder, self._copies / f"{time.time_ns()}")
        for old in sorted(self._copies.glob("*"))[:-3]:
            shutil.rmtree(old)

    def send(self, number: int) -> None:
        """A signal, such as SIGSTOP."""
        if self._server:
            self._server.send_signal(number)

    def say(self, *command: str) -> object:
        """What it answers to a command; None when it does not."""
        with suppress(redis.RedisError, OSError), redis.Redis.from_url(self.url, socket_timeout=2) as client:
            return client.execute_command(*command)
        return None

    def end(self) -> None:
        self.send(signal.SIGCONT)
        self.kill()
        redis_server.clear_away(self.plan)


class Database(Protocol):
    """The database of a soak. What it cannot suffer it lets pass."""

    url: str

    def make(self) -> None: ...
    def start(self) -> None: ...
    def stop(self, number: int) -> None: ...
    def cut(self) -> None: ...
    def lock(self, seconds: float) -> None: ...
    def end(self) -> None: ...


class Sqlite:
    """A file; the only thing that can happen to it is that somebody holds its write lock."""

    url = ""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "portal.sqlite3"

    def make(self) -> None: ...

    def start(self) -> None: ...

    def stop(self, number: int) -> None: ...

    def cut(self) -> None: ...

    def lock(self, seconds: float) -> None:
        """Another program holds the write lock."""

        def hold() -> None:
            connection = sqlite3.connect(self._file, timeout=PATIENCE, isolation_level=None)
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            connection.execute("ROLLBACK")
            connection.close()

        _aside(hold)

    def end(self) -> None: ...


class Postgres:
    """A PostgreSQL of our own in `folder`, on a port of 127.0.0.1. Raises NotInstalled."""

    def __init__(self, folder: Path) -> None:
        self._programs = _programs()
        self._folder, (self._port,) = folder / "postgres", free_ports(1)
        self._any_url = f"postgres://portal@127.0.0.1:{self._port}/postgres"
        self.url = f"postgres://portal@127.0.0.1:{self._port}/portal"
        # PostgreSQL refuses to run as root: then the user that its package made runs it.
        self._as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.getuid() == 0 else []
        self._server: subprocess.Popen[bytes] | None = None
        self._log = (folder / "postgres.log").open("ab")

    def make(self) -> None:
        """Make it, and start it."""
        self._folder.mkdir()
        if self._as:
            self._folder.parent.chmod(0o711)
            shutil.chown(self._folder, "postgres")
        options = ["-U", "portal", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        command = [*self._as, str(self._programs / "initdb"), "-D", str(self._folder), *options]
        subprocess.run(command, check=True, cwd="/", stdout=self._log, stderr=self._log)
        self.start()
        with psycopg.connect(self._any_url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE portal")

    def start(self) -> None:
        """Start it, unless it runs; returns once it answers."""
        if self._server is not None:
            return
        options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        command = [str(self._programs / "postgres"), "-D", str(self._folder), "-p", str(self._port), *options]
        self._server = subprocess.Popen(
            [*self._as, *command], cwd="/", stdout=self._log, stderr=self._log, start_new_session=True
        )
        if not wait_until(self._answers, PATIENCE):
            raise RuntimeError("PostgreSQL did not start; postgres.log may say why.")

    def _answers(self) -> bool:
        with suppress(psycopg.OperationalError):
            psycopg.connect(self._any_url, connect_timeout=2).close()
            return True
        return False

    def stop(self, number: int) -> None:
        """SIGINT: all connections are cut, then it ends in order. SIGQUIT: it ends like after a power cut."""
        if self._server:
            self._server.send_signal(number)
            self._server.wait(PATIENCE)
            self._server = None

    def cut(self) -> None:
        """All connections but ours are cut."""
        with suppress(psycopg.Error), psycopg.connect(self.url, connect_timeout=5) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = 'portal' AND pid <> pg_backend_pid()"
            )

    def lock(self, seconds: float) -> None:
        """Another program holds the end of the audit log, without which nothing is written."""

        def hold() -> None:
            with suppress(psycopg.Error), psycopg.connect(self.url, connect_timeout=5) as connection:
                connection.execute("SELECT 1 FROM portal_audithead FOR UPDATE")
                time.sleep(seconds)

        _aside(hold)

    def end(self) -> None:
        self.stop(signal.SIGINT)
        self._log.close()


def _programs() -> Path:
    """The folder of `initdb` and `postgres`, the newest there is."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4]))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        raise NotInstalled("PostgreSQL is not installed (Debian, Ubuntu: sudo apt-get install postgresql).")
    return (found[-1] if found else Path(on_path or "").resolve()).parent


def _aside(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True).start()
