"""The portal's programs beside a test: real processes, on the test's own database and Redis, to be killed at will."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils.crypto import get_random_string

from offline_portal.access import tokens
from tests.embedded.conftest import ROOT, alive, descendants, free_ports

PATIENCE = 120.0
"""Seconds within which the portal must have mended itself, and for which a test waits on a busy machine."""
QUICK = {"PORTAL_LEASE": "3", "PORTAL_SWEEP_EVERY": "0.5", "PORTAL_RETRY_BASE": "0.2"}
"""Short terms, so that a test need not wait for the long ones."""


def until(
    condition: Callable[[], Any], what: str, seconds: float = PATIENCE, said: Callable[[], str] = str
) -> Any:
    """What `condition()` gave once that was true; fails after `seconds`, telling `what` did not come about."""
    last = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < last, f"not within {seconds:.0f} s: {what}\n{said()}"
        time.sleep(0.1)
    return found


def database_url() -> str:
    """The address of the database that the test uses, as another program takes it."""
    told = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{told['NAME']}"
    word = f":{told['PASSWORD']}" if told["PASSWORD"] else ""
    return f"postgres://{told['USER']}{word}@{told['HOST']}:{told['PORT']}/{told['NAME']}"


class Program:
    """One of them, and all that it starts."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], log: Path) -> None:
        self.name, self.popen, self.log = name, popen, log

    @property
    def pid(self) -> int:
        return self.popen.pid

    def horse(self) -> int | None:
        """The work-horse of a worker, while it has one."""
        return next(iter(descendants(self.pid)), None)

    def family(self) -> list[int]:
        """It, and everything below it."""
        return [self.pid, *descendants(self.pid)]

    def signal(self, number: int, *pids: int) -> None:
        """Send a signal to these processes, else to the whole family."""
        for pid in pids or self.family():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """End it and all that it started, at once."""
        family = self.family()
        # Stopped first, so that nobody starts another one while the others are being killed.
        self.signal(signal.SIGSTOP, *family)
        self.signal(signal.SIGKILL, *family, *descendants(self.pid))
        self.popen.wait()
        until(lambda: not any(map(alive, family)), f"{self.name} is gone")

    def ended(self, seconds: float = PATIENCE) -> int:
        """Its exit code, once it has ended."""
        until(lambda: self.popen.poll() is not None, f"{self.name} ends", seconds, self.said)
        return self.popen.returncode

    def said(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(errors="replace")


class Programs:
    """Starts them, and ends whatever is left."""

    def __init__(self, folder: Path, redis_url: str, settings_module: str = "offline_portal.settings") -> None:
        self.folder, self.running = folder, []
        self.environment = {
            **os.environ, **QUICK, "DATABASE_URL": database_url(), "REDIS_URL": redis_url, "PYTHONUNBUFFERED": "1",
            "PORTAL_DATA": str(settings.PORTAL_DATA), "DJANGO_SETTINGS_MODULE": settings_module, "DEBUG": "0",
            "SECRET_KEY": settings.SECRET_KEY, "PORTAL_INDEX_KEY": settings.PORTAL_INDEX_KEY,
            "PORTAL_ENCRYPTION_KEYS": ",".join(settings.PORTAL_ENCRYPTION_KEYS),
        }  # fmt: skip

    def start(self, name: str, *command: str, **environment: str) -> Program:
        """A Python program in a session of its own; what it says goes to a file."""
        log = self.folder / f"{name}-{len(self.running)}.log"
        with log.open("wb") as file:
            popen = subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, env=self.environment | environment, stdin=subprocess.DEVNULL,
                stdout=file, stderr=file, start_new_session=True,
            )  # fmt: skip
        self.running.append(Program(name, popen, log))
        return self.running[-1]

    def worker(self, queue: str = "delivery", **environment: str) -> Program:
        """A worker; it need not be listening yet."""
        return self.start(queue, "manage.py", "worker", queue, **environment)

    def sweeper(self, **environment: str) -> Program:
        return self.start("sweeper", "manage.py", "sweeper", **environment)

    def web(self, application: str = "offline_portal.wsgi", **environment: str) -> Web:
        """A web server that answers."""
        (port,) = free_ports(1)
        gunicorn = ("-m", "gunicorn", "-c", "python:offline_portal.gunicorn", application)
        program = self.start("web", *gunicorn, PORT=str(port), **environment)
        web = Web(program, port)
        until(lambda: web.get("/account/login/")[0] == 200, "the web server answers", said=program.said)
        return web

    def command(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A management command."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, text=True, capture_output=True, timeout=PATIENCE,
            env=self.environment | environment, stdin=subprocess.DEVNULL,
        )

    def end(self) -> None:
        """Kill what is left, and let nothing outlive the test."""
        for program in self.running:
            if program.popen.poll() is None:
                program.kill()

    def said(self) -> str:
        """Everything that all of them printed."""
        return "".join(f"--- {program.name}\n{program.said()}" for program in self.running)


class Web:
    """A web server of ours, called over its socket."""

    def __init__(self, program: Program, port: int) -> None:
        self.program, self.port, self.token = program, port, ""
        self.csrf = get_random_string(32)
        self.cookies = f"csrftoken={self.csrf}"

    def sign_in(self, user: User) -> Web:
        """From now on all calls are this person's: the API's by a token, the screens' by a session."""
        browser = Client()
        browser.force_login(user)
        self.token = tokens.make(user)
        self.cookies = f"sessionid={browser.cookies['sessionid'].value}; {self.cookies}"
        return self

    def stranger(self) -> Web:
        """The same server for somebody who is not signed in."""
        return Web(self.program, self.port)

    def api(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """Status and answer of an API call."""
        given = None if method == "GET" else json.dumps(body).encode() if body is not None else b""
        status, text = self.call(method, f"/api/v1{path}", given, **headers)
        return status, json.loads(text) if text else None

    def post(self, path: str, **fields: str) -> tuple[int, str]:
        """A form of a screen, sent."""
        form = urllib.parse.urlencode({"csrfmiddlewaretoken": self.csrf, **fields}).encode()
        return self.call("POST", path, form, Content_Type="application/x-www-form-urlencoded")

    def upload(self, path: str, content: bytes, name: str = "sales.csv") -> tuple[int, str]:
        """A file, to a screen or to the API."""
        end = "----portal"
        parts = f'--{end}\r\nContent-Disposition: form-data; name="csrfmiddlewaretoken"\r\n\r\n{self.csrf}\r\n'
        if path.startswith("/api/"):
            parts = ""
        parts += f'--{end}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        body = parts.encode() + content + f"\r\n--{end}--\r\n".encode()
        return self.call("POST", path, body, Content_Type=f"multipart/form-data; boundary={end}")

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        return self.call("GET", path, None, **headers)

    def call(self, method: str, path: str, body: bytes | None, **headers: str) -> tuple[int, str]:
        """Status and body; 0 where nothing answered."""
        given = {"X-Forwarded-Proto": "https"} | {name.replace("_", "-"): text for name, text in headers.items()}
        if path.startswith("/api/"):
            given["Authorization"] = f"Bearer {self.token}"
        else:
            given |= {"Cookie": self.cookies, "Origin": f"https://127.0.0.1:{self.port}"}
        if body is not None:
            given.setdefault("Content-Type", "application/json")
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, given, method=method)
        try:
            with urllib.request.build_opener(_Stays).open(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""


class _Stays(urllib.request.HTTPRedirectHandler):
    """Redirects are looked at, not followed."""

    def redirect_request(self, *arguments: Any) -> None:
        return None
