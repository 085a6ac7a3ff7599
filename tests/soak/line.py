"""The line to the web server: calls that are repeated with their key until they are answered, and pages looked at."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx

AGAIN = 0.3
"""Seconds until a call that was not answered is made once more."""
LONGEST = 60.0
NO_ANSWER = 0


class Reply(NamedTuple):
    """What came back; `status` 0: nothing did."""

    status: int
    body: Any

    @property
    def code(self) -> str:
        """The API's own word for what went wrong, if something did."""
        error = self.body.get("error") if isinstance(self.body, dict) else None
        return str(error["code"]) if error else ""

    @property
    def is_none(self) -> bool:
        """Whether the same call must be made again: nobody answered, or could, or the first one still runs."""
        return self.status == NO_ANSWER or self.status >= 500 or self.code == "still_running"


class GivenUp(Exception):
    """Everything ends, and the call was not answered."""


class Tally:
    """What the web server answered, over all lines, and every answer that it should not have given."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.answers: Counter[str] = Counter()
        """By call or page and status: `POST /uploads 201`."""
        self.repeated = 0
        """Calls that had to be made once more."""
        self.complaints: list[str] = []

    def note(self, what: str, status: int, text: str) -> None:
        """One answer. Anything from 500 on but 503 is a complaint: our own failure, and not that a store is away."""
        with self._lock:
            self.answers[f"{what} {status or 'no answer'}"] += 1
            if status >= 500 and status != 503:
                self.complaints.append(f"{what} was answered {status}: {' '.join(text.split())[:200]}")

    def note_repeated(self) -> None:
        with self._lock:
            self.repeated += 1

    def complain(self, text: str) -> None:
        with self._lock:
            self.complaints.append(text)


class Line:
    """One person's line to the web server, for one thread."""

    def __init__(self, port: int, tally: Tally, leaving: threading.Event, **headers: str) -> None:
        self.calling = False
        """Whether a call that changes something is under way."""
        self._tally, self._leaving = tally, leaving
        given = {"X-Forwarded-Proto": "https", **headers}
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=given, timeout=LONGEST)

    def page(self, path: str, name: str) -> None:
        """Look at a page, or an answer of the API, once."""
        self._once("GET", path, name)

    def ask(self, path: str, name: str = "") -> Any:
        """What the API answers to a question, asked until it does. Raises GivenUp."""
        return self._until_answered(lambda: self._once("GET", f"/api/v1{path}", f"GET {name or path}")).body

    def call(self, path: str, body: Any = None, name: str = "", file: Path | None = None) -> Reply:
        """A POST that changes something, made with one key until it is answered: what it asks is done once.

        Raises GivenUp.
        """
        given: dict[str, Any] = {"headers": {"Idempotency-Key": uuid.uuid4().hex}}
        if file is not None:
            given["files"] = {"file": (file.name, file.read_bytes())}
        elif body is not None:
            given["json"] = body
        return self._until_answered(lambda: self._once("POST", f"/api/v1{path}", f"POST {name or path}", **given))

    def _until_answered(self, once: Callable[[], Reply]) -> Reply:
        while (reply := once()).is_none:
            if self._leaving.is_set():
                raise GivenUp
            self._tally.note_repeated()
            time.sleep(AGAIN)
        return reply

    def _once(self, method: str, path: str, name: str, **given: Any) -> Reply:
        self.calling = method == "POST"
        try:
            answer = self._client.request(method, path, **given)
            status, text = answer.status_code, answer.text
        except httpx.HTTPError:
            status, text = NO_ANSWER, ""
        finally:
            self.calling = False
        self._tally.note(name, status, text)
        try:
            return Reply(status, json.loads(text))
        except ValueError:
            return Reply(status, None)

    def close(self) -> None:
        self._client.close()
