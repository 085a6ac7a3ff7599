"""The proxy before a server that says everything twice."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.wire.proxy import Proxy, proxy_before
from tests.wire.server import raw_server

PATIENCE = 20.0
SOON = 0.3
"""Long enough to believe that nothing comes."""


def say_twice(connection: socket.socket) -> None:
    while word := connection.recv(1_000):
        connection.sendall(word + word)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with raw_server(say_twice) as port, proxy_before(port) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with connected(proxy) as client:
        yield client


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), PATIENCE)


def asked(client: socket.socket, word: bytes = b"word") -> bytes:
    """As much of the answer as comes before the connection is cut."""
    client.sendall(word)
    got = b""
    with suppress(ConnectionResetError):
        while len(got) < 2 * len(word) and (part := client.recv(1_000)):
            got += part
    return got


def hears_nothing(client: socket.socket) -> bool:
    client.settimeout(SOON)
    try:
        return client.recv(1_000) is None
    except TimeoutError:
        return True
    finally:
        client.settimeout(PATIENCE)


def test_slow(proxy: Proxy, client: socket.socket) -> None:
    proxy.delay, begun = 0.2, time.monotonic()
    assert asked(client) == b"wordword"
    assert time.monotonic() - begun >= 0.4
    proxy.delay, proxy.bytes_a_second, begun = 0.0, 400, time.monotonic()
    assert asked(client, bytes(100)) == bytes(200)
    assert time.monotonic() - begun >= 0.4


def test_cut(proxy: Proxy, client: socket.socket) -> None:
    assert asked(client) == b"wordword"
    assert proxy.cut() == 1
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    proxy.cut_after = 5
    with connected(proxy) as other:
        assert asked(other) == b"wordw"


def test_silent(proxy: Proxy, client: socket.socket) -> None:
    assert asked(client) == b"wordword"
    assert proxy.forget() == 1
    client.sendall(b"word")
    assert hears_nothing(client)
    proxy.swallows_new = True
    with connected(proxy) as other:
        other.sendall(b"word")
        assert hears_nothing(other)
    proxy.swallows_new = False


def test_what_is_held_back_arrives(proxy: Proxy, client: socket.socket) -> None:
    assert asked(client) == b"wordword"
    proxy.hold_back()
    client.sendall(b"word")
    assert hears_nothing(client)
    proxy.let_through()
    assert client.recv(8, socket.MSG_WAITALL) == b"wordword"


def test_refused_and_taken_again(proxy: Proxy, client: socket.socket) -> None:
    assert asked(client) == b"wordword"
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        connected(proxy)
    proxy.listen()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
