"""The portal as it runs in production: DEBUG=0, PostgreSQL, Redis with a password, each program for itself."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
import pytest
import redis
from cryptography.fernet import Fernet

from connectors.emulator.testing import Emulator
from offline_portal.embedded import redis_server
from tests.embedded.conftest import free_ports

ROOT = Path(__file__).parents[2]
HOST = "portal.example.com"
DATABASE = f"production_{os.getpid()}"
SEVERAL = """
import io, json, os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "offline_portal.settings"
import django
from django.core.management import call_command
django.setup()
said = []
for line in json.loads(sys.argv[1]):
    out = io.StringIO()
    try:
        call_command(*line, stdout=out, stderr=out)
    except SystemExit as end:
        out.write(f"ended with {end.code}")
    said.append(out.getvalue())
print(json.dumps(said))
"""


def postgres_programs() -> Path | None:
    """The folder of `initdb`, `pg_dump`, …; the newest there is."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4].split(".")[0]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).resolve().parent if on_path else None


def wait_until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What `condition()` gave, once that was true; fails after `seconds`."""
    last = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < last, "that took too long"
        time.sleep(0.1)
    return found


def free_port() -> int:
    return free_ports(1)[0]


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A database of our own: on the server of DATABASE_URL, else on one that is started in `folder`."""
    given = os.environ.get("DATABASE_URL", "")
    if given.startswith("postgres"):
        with started_database(given, DATABASE) as address:
            yield address
        return
    programs = postgres_programs()
    if programs is None:
        pytest.skip("no PostgreSQL on this machine")
    # PostgreSQL refuses to run as root: then the user that its package made runs it.
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.getuid() == 0 else []
    store, port = folder / "postgres", free_port()
    store.mkdir()
    if as_user:
        folder.chmod(0o711)
        shutil.chown(store, "postgres")
    made = ["-D", str(store), "-U", "portal", "-A", "trust", "-N", "--locale=C.UTF-8"]
    subprocess.run([*as_user, str(programs / "initdb"), *made], check=True, capture_output=True, cwd="/")
    options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"]
    command = [*as_user, str(programs / "postgres"), "-D", str(store), "-p", str(port), *options]
    with subprocess.Popen(command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            server_url = f"postgres://portal@127.0.0.1:{port}/postgres"
            wait_until(lambda: answers(server_url))
            with started_database(server_url, DATABASE) as address:
                yield address
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(20)


def answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


@contextmanager
def started_database(server: str, name: str) -> Iterator[str]:
    """An empty database on a server, dropped in the end."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def redis_with_password(folder: Path) -> Iterator[str]:
    """Redis as the compose file starts it; with REDIS_URL another database of that one."""
    given = os.environ.get("REDIS_URL", "")
    if given:
        address = urlunsplit(urlsplit(given)._replace(path="/9"))
        redis.Redis.from_url(address).flushdb()
        yield address
        return
    found = redis_server.find_program()
    if found is None:
        pytest.skip("no Redis on this machine")
    port, password = free_port(), secrets.token_hex(12)
    command = [
        str(found[0]), "--port", str(port), "--bind", "127.0.0.1", "--requirepass", password, "--appendonly", "yes",
        "--maxmemory-policy", "noeviction", "--dir", str(folder), "--loglevel", "warning",
    ]  # fmt: skip
    with subprocess.Popen(command, env={**os.environ, "LC_ALL": "C"}, stdout=subprocess.DEVNULL) as server:
        try:
            address = f"redis://:{password}@127.0.0.1:{port}/0"
            assert redis_server.answers(address, within=10)
            yield address
        finally:
            server.terminate()


class Production:
    """The programs of one portal, in a copy of the project's tree."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.port = folder, free_port()
        self.old_key, self.new_key = Fernet.generate_key().decode(), Fernet.generate_key().decode()
        self.environment = {
            "PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", "DEBUG": "0", "HOST": "127.0.0.1",
            "PORT": str(self.port), "WEB_CONCURRENCY": "1", "ALLOWED_HOSTS": HOST, "CSRF_TRUSTED_ORIGINS": f"https://{HOST}",
            "PORTAL_DATA": str(folder / "files"), "SECRET_KEY": secrets.token_urlsafe(48),
            "PORTAL_INDEX_KEY": secrets.token_urlsafe(48), "PORTAL_SWEEP_EVERY": "1", **environment,
            "PORTAL_ENCRYPTION_KEYS": self.old_key,
        }  # fmt: skip
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def copy_tree(self) -> None:
        """As a deployment has it: without tests, docs and what was left lying."""
        for name in ("connectors", "offline_portal", "templates", "static", "deploy"):
            shutil.copytree(ROOT / name, self.folder / name)
        shutil.copy2(ROOT / "manage.py", self.folder)

    def command(self, *arguments: str, status: int = 0, **environment: str) -> str:
        """What a management command prints as a program of its own; it must end with `status`."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=self.folder, env=self.environment | environment, text=True,
            capture_output=True, timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + (done.stderr if status else "")

    def commands(self, *lines: list[str], **environment: str) -> list[str]:
        """What several management commands print, run one after the other by one program: starting one costs most."""
        done = subprocess.run(
            [sys.executable, "-c", SEVERAL, json.dumps(lines)], cwd=self.folder, env=self.environment | environment,
            text=True, capture_output=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def start(self, name: str, *command: str, **environment: str) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        self.running[name] = subprocess.Popen(
            [sys.executable, *command], cwd=self.folder, env=self.environment | environment, stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip

    def start_all(self) -> None:
        """Web, a worker that reads, two that send, the sweeper. The keys are in the midst of being changed."""
        both, web = f"{self.new_key},{self.old_key}", f"{self.old_key},{self.new_key}"
        gunicorn = ("-m", "gunicorn", "-c", "python:offline_portal.gunicorn", "offline_portal.wsgi")
        self.start("web", *gunicorn, PORTAL_ENCRYPTION_KEYS=web, PORTAL_ALLOW_PRIVATE_DESTINATIONS="1")
        for name, queue in (("intake", "intake"), ("delivery-1", "delivery"), ("delivery-2", "delivery")):
            self.start(
                name, "manage.py", "worker", queue, PORTAL_ENCRYPTION_KEYS=both, PORTAL_ALLOW_PRIVATE_DESTINATIONS="1"
            )
        self.start("sweeper", "manage.py", "sweeper", PORTAL_ENCRYPTION_KEYS=both)

    def end(self) -> dict[str, int]:
        """Exit code by name, after SIGTERM; a program that does not end is killed and fails the test."""
        for program in self.running.values():
            program.terminate()
        codes = {}
        for name, program in self.running.items():
            try:
                codes[name] = program.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(program.pid, signal.SIGKILL)
                codes[name] = program.wait()
        self.running.clear()
        return codes

    def browser(self) -> Browser:
        return Browser(self.port)

    def api(self, token: str) -> Api:
        return Api(self.port, token.strip())

    def logs(self) -> str:
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))


class Browser:
    """What a browser is behind the proxy. Cookies are kept as the proxy's https would keep them."""

    def __init__(self, port: int) -> None:
        headers = {"Host": HOST, "X-Forwarded-Proto": "https", "Origin": f"https://{HOST}"}
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30, trust_env=False)
        self.cookies: dict[str, str] = {}
        self.attributes: dict[str, set[str]] = {}

    def get(self, address: str) -> httpx.Response:
        return self._keep(self._http.get(address, headers=self._sent()))

    def post(self, address: str, **fields: str) -> httpx.Response:
        """With the token of the form on that page."""
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.get(address).text)
        assert token, address
        form = {"csrfmiddlewaretoken": token[1], **fields}
        return self._keep(self._http.post(address, data=form, headers=self._sent()))

    def _sent(self) -> dict[str, str]:
        return {"Cookie": "; ".join(f"{name}={text}" for name, text in self.cookies.items())} if self.cookies else {}

    def _keep(self, answer: httpx.Response) -> httpx.Response:
        self._http.cookies.clear()
        for line in answer.headers.get_list("set-cookie"):
            pair, *attributes = line.split("; ")
            name, _, text = pair.partition("=")
            self.cookies[name] = text
            self.attributes[name] = {attribute.lower() for attribute in attributes}
        return answer


class Api:
    """A script with a token."""

    def __init__(self, port: int, token: str) -> None:
        headers = {"Host": HOST, "X-Forwarded-Proto": "https", "Authorization": f"Bearer {token}"}
        base = f"http://127.0.0.1:{port}/api/v1"
        self._http = httpx.Client(base_url=base, headers=headers, timeout=30, trust_env=False)

    def __call__(self, method: str, address: str, content: Any = None, **more: Any) -> Any:
        answer = self._http.request(method, address, json=content, **more)
        assert answer.status_code < 300, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def production(emulator_process: Emulator) -> Iterator[Production]:
    """Migrated, its files collected, every program up."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="portal-production-")))
        stores = {
            "DATABASE_URL": stack.enter_context(postgres(folder)),
            "REDIS_URL": stack.enter_context(redis_with_password(folder)),
        }
        tree = folder / "tree"
        tree.mkdir()
        portal = Production(tree, stores)
        portal.copy_tree()
        portal.commands(["collectstatic", "--noinput"], ["migrate", "--noinput"])
        stack.callback(portal.end)
        portal.start_all()
        yield portal
