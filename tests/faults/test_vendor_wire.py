"""V1 to V8 and V19: what can go wrong on the wire, end to end, and how many requests reached the other side."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings

from offline_portal.models import Answer, Attempt, Delivery, Destination, Send, SentKey
from tests.conftest import Road
from tests.delivery.test_road import counts
from tests.faults.vendors import (
    KAMELEOON,
    KISSMETRICS,
    QUBIT,
    ROWS,
    TRACIFY,
    VENDORS,
    WITH_KEY,
    Vendor,
    audit,
    errors,
    name,
    once_at_the_vendor,
    statuses,
    sums_hold,
)
from tests.wire.certificates import self_signed, server_context
from tests.wire.server import Seen, WireServer, answer_bytes, http_answer, raw_server, reset, wire_server

each = pytest.mark.parametrize("vendor", VENDORS, ids=name)
GOOD = {
    "kissmetrics": http_answer(b"GIF89a"),
    "tracify": http_answer(b'{"status":true}'),
    "kameleoon": http_answer(b"", "204 No Content"),
}
QUBIT_GOOD = b'{"results":[%s]}' % b",".join([b'{"status":"success","eventId":"e"}'] * ROWS)


@pytest.fixture(autouse=True)
def soon(settings: LazySettings) -> None:
    """Pauses as short as a test wants them."""
    settings.PORTAL_RETRY_BASE, settings.PORTAL_RETRY_CEILING = 0.05, 0.2


def deliver(road: Road, vendor: Vendor, where: Destination, seconds: float = 20) -> Send:
    return sums_hold(road.deliver(road.check(road.upload(vendor.sheet()), where), seconds))


LOST: dict[str, dict[str, Any]] = {
    "V1 stored, closed without an answer": {"cut": "after_storing"},
    "V1 stored, reset without an answer": {"cut": "after_storing", "reset": True},
    "not stored, closed without an answer": {"cut": "before_storing"},
    "V2 stored, answered after our deadline": {"delay_ms": 2_500},
    "V3 500": {"status": 500},
    "V3 502": {"status": 502},
    "V3 503 without a time": {"status": 503},
    "V3 504": {"status": 504},
    "V5 cut in the request": {"cut": "in_request"},
    "V5 reset in the request": {"cut": "in_request", "reset": True},
    "V6 cut in the answer": {"cut": "in_answer"},
    "V6 reset in the answer": {"cut": "in_answer", "reset": True},
    "V7 headers that never end, one by one": {"slow": "headers", "slow_ms": 100},
    "V8 stored, then 500": {"status": 500, "store": True},
}


# Kameleoon answers 204: there is no body that could be cut.
WITH_A_BODY = [(vendor, fault) for vendor in WITH_KEY for fault in LOST if (vendor, fault[:2]) != (KAMELEOON, "V6")]


@pytest.mark.parametrize(("vendor", "fault"), WITH_A_BODY, ids=[f"{one.slug} {fault}" for one, fault in WITH_A_BODY])
def test_with_a_key_it_is_repeated_and_counts_once(
    road: Road, vendor: Vendor, fault: str, settings: LazySettings
) -> None:
    settings.PORTAL_REQUEST_DEADLINE = 2
    road.emulator.set(vendor.slug, **LOST[fault], times=1)
    send = deliver(road, vendor, vendor.where(road, rate=50))
    assert (send.status, counts(send)) == ("finished", {"accepted": ROWS})
    once_at_the_vendor(road, vendor)
    met = road.emulator.counts(vendor.slug)
    # One more, or two: after a lost answer the vendor is probed with a single row.
    assert met["requests"] == Attempt.objects.count() <= vendor.requests() + 2
    assert (met["faulted"], met["effective"]) == (1, ROWS)
    lost = [one for one in zip(statuses(send), errors(send), strict=True) if one[1] or one[0] >= 500]
    assert len(lost) == 1
    assert set(Delivery.objects.values_list("evidence", "code", "message")) == {(vendor.evidence, "", "")}
    assert set(Delivery.objects.values_list("attempt_count", flat=True)) <= {1, 2}
    assert not audit("destination.paused")


@pytest.mark.parametrize("fault", LOST)
def test_without_a_key_it_is_unknown_and_never_repeated(road: Road, fault: str, settings: LazySettings) -> None:
    settings.PORTAL_REQUEST_DEADLINE = 2
    road.emulator.set("qubit", **LOST[fault], times=1)
    where = QUBIT.where(road)
    send = deliver(road, QUBIT, where)
    assert (send.status, counts(send)) == ("finished", {"unknown": ROWS})
    met = road.emulator.counts("qubit")
    assert met["requests"] == Attempt.objects.count() == 1
    assert met["effective"] <= ROWS
    assert SentKey.objects.count() == ROWS, "no other file sends them either"
    again = road.check(road.upload(QUBIT.sheet(), "again.csv"), where)
    assert (again.ready, again.duplicate) == (0, ROWS)
    road.shift(send, 1)
    assert road.emulator.counts("qubit")["requests"] == 1
    messages = set(Delivery.objects.filter(send=send).values_list("message", flat=True))
    assert len(messages) == 1 and messages.pop()


@pytest.mark.parametrize("status", [502, 503, 504])
def test_without_a_key_a_503_that_asks_to_wait_is_sent_again(road: Road, status: int) -> None:
    road.emulator.set("qubit", status=status, retry_after="1", times=1)
    send = deliver(road, QUBIT, QUBIT.where(road))
    assert counts(send) == ({"accepted": ROWS} if status == 503 else {"unknown": ROWS})


# V4: surely nothing left


def closed_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"


def speaks_no_tls(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@contextmanager
def nobody(kind: str) -> Iterator[str]:
    """An address at which no request can arrive."""
    if kind == "refused":
        yield closed_port()
    elif kind == "no such name":
        yield "http://no-such-vendor.invalid"
    elif kind == "no TLS there":
        with raw_server(speaks_no_tls) as port:
            yield f"https://127.0.0.1:{port}"
    else:
        with wire_server(answer_bytes(b"")) as server:
            yield server.url.replace("http:", "https:")


@pytest.mark.parametrize("kind", ["refused", "no such name", "no TLS there", "no greeting"])
@each
def test_what_never_left_is_tried_again_and_arrives_once_the_vendor_is_there(
    road: Road, vendor: Vendor, kind: str, settings: LazySettings
) -> None:
    settings.PORTAL_REQUEST_DEADLINE = 0.5
    where = vendor.where(road)
    there = where.current.values["base_url"]  # type: ignore[union-attr]
    with nobody(kind) as address:
        where.current.values["base_url"] = address  # type: ignore[union-attr]
        where.current.save()  # type: ignore[union-attr]
        send = deliver(road, vendor, where, 1.5)
    assert send.status == "sending" and counts(send) == {"queued": ROWS}
    assert set(statuses(send)) == {None} and len(statuses(send)) >= 2, "tried more than once"
    assert set(Delivery.objects.exclude(code="").values_list("code", flat=True)) == {"never_sent"}
    where.current.values["base_url"] = there  # type: ignore[union-attr]
    where.current.save()  # type: ignore[union-attr]
    send = sums_hold(road.shift(send, 20))
    assert counts(send) == {"accepted": ROWS}
    once_at_the_vendor(road, vendor)
    # The first one is a probe of a single row.
    assert road.emulator.counts(vendor.slug)["requests"] <= vendor.requests() + 1


@each
def test_a_certificate_that_cannot_be_trusted_pauses_the_destination_at_once(
    road: Road, vendor: Vendor, tmp_path: Path
) -> None:
    with wire_server(answer_bytes(http_answer()), server_context(self_signed(tmp_path))) as server:
        where = vendor.where(road, base_url=server.url)
        send = deliver(road, vendor, where)
        assert server.seen == []
    where.refresh_from_db()
    assert (send.status, counts(send)) == ("paused", {"queued": ROWS})
    assert where.paused and "certificate" in where.reason
    assert len(audit("destination.paused")) == 1
    assert Attempt.objects.count() <= vendor.requests()


# V5, V6 with a key, at the very byte


def cut_in_the_body(connection: socket.socket) -> None:
    """Reads the head and a little more, then resets, with the rest still on its way."""
    text = b""
    while b"\r\n\r\n" not in text:
        text += connection.recv(200)
    reset(connection)


@pytest.mark.parametrize("vendor", [TRACIFY, QUBIT], ids=name)
def test_a_reset_in_the_middle_of_a_long_body(road: Road, vendor: Vendor) -> None:
    arrived: list[int] = []

    def cut(connection: socket.socket) -> None:
        arrived.append(1)
        cut_in_the_body(connection)

    with raw_server(cut) as port:
        send = deliver(road, vendor, vendor.where(road, base_url=f"http://127.0.0.1:{port}"), 1)
    assert len(arrived) == Attempt.objects.count()
    if vendor.key:
        assert counts(send) == {"queued": ROWS} and len(arrived) >= 2
        assert set(Delivery.objects.values_list("code", flat=True)) == {"no_answer"}
    else:
        assert counts(send) == {"unknown": ROWS} and len(arrived) == 1


# V7


def drip(connection: socket.socket, _: Seen) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789":
        connection.sendall(bytes([byte]))
        time.sleep(1)


@each
def test_one_byte_a_second_does_not_hold_a_shift(road: Road, vendor: Vendor, settings: LazySettings) -> None:
    """The answer would take 50 seconds; our deadline is in all, not from byte to byte."""
    settings.PORTAL_REQUEST_DEADLINE = 2
    settings.PORTAL_RETRY_BASE = settings.PORTAL_RETRY_CEILING = 300
    with wire_server(drip) as server:
        begun = time.monotonic()
        send = deliver(road, vendor, vendor.where(road, base_url=server.url), 1)
        assert time.monotonic() - begun < 15
        assert len(server.seen) == vendor.requests()
    assert counts(send) == ({"queued": ROWS} if vendor.key else {"unknown": ROWS})
    assert all("did not answer in full within 2 seconds" in error for error in errors(send))
    for answer in Answer.objects.select_related("attempt"):
        assert 1.5 < (answer.ended_at - answer.attempt.started_at).total_seconds() < 10


# V19


def good(vendor: Vendor) -> bytes:
    return GOOD.get(vendor.slug) or http_answer(QUBIT_GOOD)


@pytest.mark.parametrize("vendor", [KISSMETRICS, QUBIT], ids=name)
@pytest.mark.parametrize("close", [reset, lambda connection: connection.close()], ids=["reset", "closed"])
def test_an_idle_connection_that_closes_as_the_next_request_leaves(
    road: Road, vendor: Vendor, close: Callable[[socket.socket], None]
) -> None:
    """The first request of each connection is answered, promising to stay; the second is read and cut."""

    def once_a_connection(connection: socket.socket, seen: Seen) -> bool:
        if len([one for one in server.seen if one.connection == seen.connection]) > 1:
            close(connection)
            return False
        connection.sendall(good(vendor))
        return True

    with wire_server(once_a_connection) as server:
        where = vendor.where(road, base_url=server.url, rate=10)
        first = road.queue(road.check(road.upload(vendor.sheet()), where))
        second = road.queue(road.check(road.upload(vendor.sheet(first=100), "second.csv"), where))
        second = sums_hold(road.shift(second, 20))
        first = sums_hold(first)
        assert len(server.seen) == Attempt.objects.count(), "each attempt is one request on the wire"
        assert_all_told(vendor, server, first, second)


def assert_all_told(vendor: Vendor, server: WireServer, *sends: Send) -> None:
    cut = len(server.seen) - server.connections
    lost = sum(1 for send in sends for error in errors(send) if "closed the connection before it answered" in error)
    assert lost == cut >= 1
    if vendor.key:
        assert [counts(send) for send in sends] == [{"accepted": ROWS}] * 2
    else:
        assert sorted(str(counts(send)) for send in sends) == [str({"accepted": ROWS}), str({"unknown": ROWS})]


@each
def test_an_idle_connection_that_was_closed_before_is_not_used(road: Road, vendor: Vendor) -> None:
    with wire_server(answer_bytes(good(vendor))) as server:
        where = vendor.where(road, base_url=server.url, rate=10)
        send = deliver(road, vendor, where)
        assert len(server.seen) == server.connections == vendor.requests()
    assert counts(send) == {"accepted": ROWS}
    assert set(errors(send)) == {""}
