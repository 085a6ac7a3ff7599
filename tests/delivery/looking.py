"""What the tests of reading back share: destinations that read back soon, and shifts until it is so."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from offline_portal.audit import chain
from offline_portal.delivery.readback import reading
from offline_portal.delivery.readback.reading import Desk
from offline_portal.models import Attempt, Delivery, Destination, Outcome, Readback, Reader, Send
from tests.conftest import Road
from tests.delivery.test_kameleoon_road import HEADER, visitors, where
from tests.delivery.test_road import counts
from tests.wire.server import Seen, wire_server

SOON = {"readback_after": 0, "readback_every": 0.01, "readback_tries": 3}
S = Readback.State


def verified(road: Road, name: str = "", **values: Any) -> Destination:
    """A destination that reads back at once, and again each 0.6 s."""
    return where(road, name, verify=True, **SOON | values)


def sold(*minutes: int, visitor: str = "v") -> str:
    """Rows of one visitor that only their times tell apart, which Kameleoon never gets."""
    return HEADER + "".join(f"{visitor},36151,5.00,,2026-11-18 09:{minute:02}:00,\n" for minute in minutes)


def visits_end(road: Road) -> None:
    """At the vendor half an hour goes by."""
    road.emulator.change("kameleoon", clock_ahead=31)


def look_until(road: Road, send: Send, done: Callable[[Send], object], within: float = 90) -> Send:
    """Shifts, until it is so."""
    until = time.monotonic() + within
    while True:
        send = road.shift(send, 2)
        if done(send):
            return send
        assert time.monotonic() < until, (tallies(send), list(Outcome.objects.values_list("code", "message")))


def settled(road: Road, send: Send) -> Send:
    """Shifts, until nothing of it is looked for any more."""
    return look_until(road, send, lambda send: not send.readback_looking)


def tallies(send: Send) -> dict[str, int]:
    """The counters, which must be what the rows say."""
    names = ("looking", "confirmed", "not_found", "not_available")
    found = {name: value for name in names if (value := getattr(send, f"readback_{name}"))}
    states = list(Readback.objects.filter(send=send).exclude(state=S.STOPPED).values_list("state", flat=True))
    assert found == {state: states.count(state) for state in set(states)}
    told = [status for status in Delivery.objects.filter(send=send).values_list("status", flat=True) if status]
    assert counts(send) == {status: told.count(status) for status in set(told)}
    assert chain.verify().ok
    return found


def looks() -> int:
    return Attempt.objects.filter(readback=True).count()


def vendor(answer: Callable[[Seen], bytes]) -> Any:
    """A vendor that says what it is told to."""

    def speak(connection: socket.socket, seen: Seen) -> bool:
        connection.sendall(answer(seen))
        return False

    return wire_server(speak)


def unknown_row(road: Road, place: Destination, text: str, stored: bool = True) -> Send:
    """A Send whose answer got lost, and that is not repeated."""
    road.emulator.change("kameleoon", cut={"value": "after_storing" if stored else "before_storing", "times": 1})
    return road.deliver(road.check(road.upload(text), place), 1)


def hold_desk(road: Road, **values: Any) -> tuple[Send, Desk]:
    """A Send whose looks are due, and a reader who has claimed its destination."""
    send = road.deliver(road.check(road.upload(visitors(3)), verified(road, readback_after=9, **values)), 1)
    visits_end(road)
    Readback.objects.update(due_at=timezone.now())
    [desk] = reading.claim_due(set())
    return send, desk


def lapse() -> None:
    Reader.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
