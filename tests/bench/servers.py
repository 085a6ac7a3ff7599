"""A PostgreSQL of the bench's own, in a folder that is gone afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

MakeDatabase = Callable[[str], str]
"""Makes an empty database with this name; gives its address for DATABASE_URL."""


@contextmanager
def postgresql() -> Iterator[MakeDatabase | None]:
    """The server of DATABASE_URL, else one started from the programs of this machine; None where there is neither."""
    given = os.environ.get("DATABASE_URL", "")
    programs = _programs()
    if given.startswith("postgres"):
        with _databases(given) as make:
            yield make
    elif programs:
        with _cluster(programs) as address, _databases(address) as make:
            yield make
    else:
        yield None


def version(address: str) -> str:
    """What kind of server answers at an address."""
    with psycopg.connect(address) as connection:
        return f"PostgreSQL {connection.info.server_version // 10000}"


def _programs() -> Path | None:
    """Where initdb and postgres lie: Debian keeps them off the PATH."""
    newest_last = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = shutil.which("initdb") or (newest_last[-1] if newest_last else None)
    return Path(found).resolve().parent if found else None


@contextmanager
def _cluster(programs: Path) -> Iterator[str]:
    """A server on a Unix socket, with the settings that PostgreSQL comes with."""
    folder = Path(tempfile.mkdtemp(prefix="bench-pg-"))
    # PostgreSQL refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    try:
        create = [programs / "initdb", "-D", folder / "data", "-U", "bench", "--auth=trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(create, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)
        command = [programs / "postgres", "-D", folder / "data", "-k", folder, "-c", "listen_addresses="]
        with (folder / "log").open("w") as log, subprocess.Popen(command, user=user, cwd=folder, stderr=log) as server:
            try:
                address = f"postgres://bench@{quote(str(folder), safe='')}/postgres"
                while not _answers(address):
                    if server.poll() is not None:
                        raise RuntimeError((folder / "log").read_text())
                    time.sleep(0.1)
                yield address
            finally:
                server.terminate()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _answers(address: str) -> bool:
    try:
        psycopg.connect(address).close()
    except psycopg.OperationalError:
        return False
    return True


@contextmanager
def _databases(address: str) -> Iterator[MakeDatabase]:
    made: list[str] = []
    parts = urlsplit(address)

    def run(statement: str, name: str) -> None:
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(sql.Identifier(name)))

    def make(name: str) -> str:
        name = f"portal_bench_{os.getpid()}_{name}"
        run("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", name)
        made.append(name)
        return urlunsplit(parts._replace(path=f"/{name}"))

    try:
        yield make
    finally:
        for name in made:
            run("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
