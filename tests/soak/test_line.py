"""The line to the web server: repeated with its key until somebody answers, and loud about what must not be said."""

from __future__ import annotations

import socket
import threading

import pytest

from tests.soak import line
from tests.soak.line import Line, Tally
from tests.wire.server import Seen, http_answer, wire_server

RUNS = b'{"error": {"code": "still_running", "message": "", "fields": {}}}'


def test_a_call_is_repeated_with_its_key_until_it_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "AGAIN", 0)
    away, still, made = "503 Service Unavailable", "409 Conflict", "201 Created"
    said = iter([b"", http_answer(status=away), http_answer(RUNS, still), http_answer(b'{"id": "7"}', made)])

    def answer(connection: socket.socket, _seen: Seen) -> bool:
        connection.sendall(next(said))
        return False

    tally = Tally()
    with wire_server(answer) as web:
        reply = Line(web.port, tally, threading.Event()).call("/sends", {"upload": "1"})
    assert (reply.status, reply.body, tally.repeated, tally.complaints) == (201, {"id": "7"}, 3, [])
    assert len({seen.headers["Idempotency-Key"] for seen in web.seen}) == 1
    assert len({seen.body for seen in web.seen}) == 1
    assert tally.answers == dict.fromkeys(
        ("POST /sends no answer", "POST /sends 503", "POST /sends 409", "POST /sends 201"), 1
    )


def test_our_own_failure_is_a_complaint_and_an_absent_store_is_none() -> None:
    tally = Tally()
    tally.note("GET /", 503, "the database is away")
    tally.note("GET /", 0, "")
    assert not tally.complaints
    tally.note("GET /sends/", 500, "<h1>Something\nwent wrong</h1>")
    assert tally.complaints == ["GET /sends/ was answered 500: <h1>Something went wrong</h1>"]
