"""The door to HTTP vendors: each way an exchange can end, counted at a real socket."""

from __future__ import annotations

import asyncio
import gzip
import resource
import socket
import time
import zlib
from pathlib import Path

import pytest

from connectors.base import Blocked, NeverSent, NoAnswer, Request, Response
from connectors.http import BODY_LIMIT, HttpDoor
from tests.wire.certificates import self_signed, server_context, trusting
from tests.wire.server import Answer, Seen, WireServer, answer_bytes, http_answer, raw_server, reset, wire_server

SECRET = "k3y-of-the-vendor"
GZIP = "Content-Encoding: gzip\r\n"


def ask(
    address: str, method: str = "POST", deadline: float = 5, body: bytes = b'{"a":1}', **options: object
) -> Response:
    """One request through a door of its own."""

    async def run() -> Response:
        async with HttpDoor(**{"allow_private": True, **options}) as door:
            headers = {"User-Agent": "OfflinePortal/1.0", "Authorization": f"Bearer {SECRET}"}
            return await door.send(Request(method, address, headers, body), deadline)

    return asyncio.run(run())


def ask_often(server: WireServer, times: int, pause: float = 0, method: str = "POST") -> list[object]:
    """Several requests through one door, one after the other: Responses and errors."""

    async def run() -> list[object]:
        ends: list[object] = []
        async with HttpDoor(allow_private=True) as door:
            for _ in range(times):
                try:
                    ends.append(await door.send(Request(method, f"{server.url}/e"), 3))
                except Exception as error:
                    ends.append(error)
                await asyncio.sleep(pause)
        return ends

    return asyncio.run(run())


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


# What leaves


def test_the_request_leaves_byte_for_byte_and_nothing_is_added() -> None:
    with wire_server(answer_bytes(http_answer())) as server:
        target = "/e?_k=a%2Fb&_p=%C3%A9%40x.de&_n=50%25+off&Plan%20A=b~c'%27"
        ask(server.url + target, body=b'{"a": 1}')
    [seen] = server.seen
    assert seen.line == f"POST {target} HTTP/1.1"
    assert seen.headers == {
        "Host": f"127.0.0.1:{server.port}",
        "User-Agent": "OfflinePortal/1.0",
        "Authorization": f"Bearer {SECRET}",
        "Content-Length": "8",
    }
    assert seen.body == b'{"a": 1}'


def test_a_get_without_a_body_has_no_length() -> None:
    with wire_server(answer_bytes(http_answer())) as server:
        ask(f"{server.url}/e", "GET", body=b"")
    assert "Content-Length" not in server.seen[0].headers


def test_no_proxy_no_netrc_and_no_cookie_comes_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login olivia password olivia\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    text = http_answer(headers="Set-Cookie: a=b; Path=/\r\n")
    with wire_server(answer_bytes(text, stay=True)) as server:
        assert [end.status for end in ask_often(server, 2)] == [200, 200]
    assert all("Cookie" not in seen.headers and "Authorization" not in seen.headers for seen in server.seen)


# Surely nothing left


def test_refused() -> None:
    with pytest.raises(NeverSent, match="refused the connection"):
        ask(f"http://127.0.0.1:{closed_port()}/e?key={SECRET}")


def test_name_not_found() -> None:
    with pytest.raises(NeverSent, match=r"The name no-such-vendor\.invalid could not be found"):
        ask(f"http://no-such-vendor.invalid/e?key={SECRET}")


def test_a_server_that_never_accepts_is_never_sent() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        held = [socket.socket() for _ in range(3)]
        for one in held:
            one.setblocking(False)
            one.connect_ex(deaf.getsockname())
        with pytest.raises(NeverSent, match=r"could not be reached within 0\.45 seconds"):
            ask(f"http://127.0.0.1:{deaf.getsockname()[1]}/", deadline=0.5)
        for one in held:
            one.close()


def test_a_tls_greeting_that_never_comes_is_never_sent() -> None:
    with wire_server(answer_bytes(b"")) as server, pytest.raises(NeverSent, match="could not be reached"):
        ask(server.url.replace("http:", "https:"), deadline=0.5)
    assert server.seen == []


def test_a_server_without_tls_is_never_sent() -> None:
    def speak(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with raw_server(speak) as port, pytest.raises(NeverSent, match="No secure connection"):
        ask(f"https://127.0.0.1:{port}/e?key={SECRET}")


def test_waiting_for_a_free_connection_is_never_sent() -> None:
    async def run(server: WireServer) -> list[object]:
        async with HttpDoor(connections=1, allow_private=True) as door:
            request = Request("POST", f"{server.url}/e", {}, b"x")
            long = asyncio.create_task(door.send(request, 5))
            await asyncio.sleep(0.1)
            short = asyncio.create_task(door.send(request, 0.3))
            return await asyncio.gather(long, short, return_exceptions=True)

    def slow(connection: socket.socket, _: Seen) -> None:
        time.sleep(0.7)
        connection.sendall(http_answer())

    with wire_server(slow) as server:
        long, short = asyncio.run(run(server))
    assert isinstance(long, Response)
    assert type(short) is NeverSent
    assert len(server.seen) == 1


# A person must mend the destination


def test_a_self_signed_certificate_is_blocked_before_the_request(tmp_path: Path) -> None:
    path = self_signed(tmp_path)
    with wire_server(answer_bytes(http_answer()), server_context(path)) as server:
        with pytest.raises(Blocked, match=r"cannot be trusted: self.signed certificate"):
            ask(f"{server.url}/e?key={SECRET}")
        assert server.seen == []
        assert ask(f"{server.url}/e", verify=trusting(path)).status == 200


@pytest.mark.parametrize(
    ("certificate", "why"),
    [({"days": -1}, "expired"), ({"address": "127.0.0.2"}, "not valid for '127.0.0.1'")],
    ids=["expired", "for another name"],
)
def test_a_wrong_certificate_is_blocked(tmp_path: Path, certificate: dict[str, object], why: str) -> None:
    path = self_signed(tmp_path, **certificate)
    with wire_server(answer_bytes(http_answer()), server_context(path)) as server:
        with pytest.raises(Blocked, match=why):
            ask(f"{server.url}/e", verify=trusting(path))
        assert server.seen == []


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "10.1.2.3", "169.254.169.254", "2130706433",
     "127.1", "0x7f.0.0.1", "0177.0.0.1", "0.0.0.0"],
)  # fmt: skip
def test_private_addresses_are_blocked(host: str) -> None:
    with wire_server(answer_bytes(http_answer())) as server:
        with pytest.raises(Blocked):
            ask(f"https://{host}:{server.port}/e", allow_private=False)
        assert server.connections == 0


def test_a_name_that_leads_to_a_private_address_is_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    with wire_server(answer_bytes(http_answer())) as server:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        with pytest.raises(Blocked, match=r"rebound\.example\.com:.* is a private or reserved address"):
            ask(f"https://rebound.example.com:{server.port}/e", allow_private=False)
        assert server.connections == 0


@pytest.mark.parametrize(
    "address",
    ["example.com", "ftp://example.com/", "http://", "http://exa mple.com/", "http://a/b c",
     "http://a/\r\nX: y", "http://olivia:pass@example.com/", "http://example.com:99999/"],
)  # fmt: skip
def test_an_address_that_cannot_be_used_is_blocked(address: str) -> None:
    with pytest.raises(Blocked, match="The destination's address"):
        ask(address)


@pytest.mark.parametrize(("name", "value"), [("X-Key", "abc\n"), ("X-Key", "a\r\nHost: b"), ("X Key", "abc")])
def test_a_broken_header_is_blocked_without_quoting_it(name: str, value: str) -> None:
    async def run() -> None:
        async with HttpDoor(allow_private=True) as door:
            await door.send(Request("POST", "http://127.0.0.1:1/", {name: value}), 5)

    with pytest.raises(Blocked) as caught:
        asyncio.run(run())
    assert "abc" not in str(caught.value)


# It may have arrived


def drip(connection: socket.socket, text: bytes, seconds: float) -> None:
    for byte in text:
        connection.sendall(bytes([byte]))
        time.sleep(seconds)


def slow_headers(connection: socket.socket, _: Seen) -> None:
    drip(connection, b"HTTP/1.1 200 OK\r\n" + b"X-Slow: 1\r\n" * 50, 0.05)


def slow_body(connection: socket.socket, _: Seen) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    drip(connection, b"x" * 1000, 0.05)


def endless_headers(connection: socket.socket, _: Seen) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(10_000_000):
        connection.sendall(b"X-%d: %s\r\n" % (number, b"y" * 1000))


def endless_header_line(connection: socket.socket, _: Seen) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        connection.sendall(b"y" * 65536)


def endless_early_hints(connection: socket.socket, _: Seen) -> None:
    while True:
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)


def reset_before_answer(connection: socket.socket, _: Seen) -> None:
    reset(connection)


def reset_in_body(connection: socket.socket, _: Seen) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc")
    time.sleep(0.05)
    reset(connection)


def deaf(connection: socket.socket, _: Seen) -> None:
    time.sleep(2)


NO_ANSWER: dict[str, tuple[Answer, str]] = {
    "closed before the answer": (answer_bytes(b""), "closed the connection before it answered"),
    "reset before the answer": (reset_before_answer, "closed the connection before it answered"),
    "cut in the status line": (answer_bytes(b"HTTP/1.1 2"), ""),
    "cut in the headers": (answer_bytes(b"HTTP/1.1 200 OK\r\nContent-Len"), ""),
    "cut in the body": (
        answer_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"), "broke off in the middle"),
    "cut in a chunk": (
        answer_bytes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{}"), "broke off"),
    "without a last chunk": (
        answer_bytes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"), "broke off"),
    "reset in the body": (reset_in_body, "broke off in the middle"),
    "gzip that is none": (answer_bytes(http_answer(b"plain text", headers=GZIP)), ""),
    "silence": (deaf, "did not answer in full within 1.5 seconds"),
    "slow headers": (slow_headers, "did not answer in full within 1.5 seconds"),
    "one byte after the other": (slow_body, "did not answer in full within 1.5 seconds"),
    "endless headers": (endless_headers, "headers without end"),
    "an endless header": (endless_header_line, "headers without end"),
    "endless early hints": (endless_early_hints, ""),
    "garbage": (answer_bytes(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "not proper HTTP"),
    "binary": (answer_bytes(bytes(range(256)) * 20), "not proper HTTP"),
    "204 with a body": (answer_bytes(http_answer(b"hello", "204 No Content")), "not proper HTTP"),
    "contradicting lengths": (
        answer_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\n{}"),
        "not proper HTTP",
    ),
    "100 and nothing more": (answer_bytes(b"HTTP/1.1 100 Continue\r\n\r\n"), "closed the connection"),
    "switching protocols": (
        answer_bytes(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"), ""),
}  # fmt: skip


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("case", NO_ANSWER)
def test_no_answer_and_exactly_one_request(case: str, method: str) -> None:
    answer, sentence = NO_ANSWER[case]
    started = time.monotonic()
    with wire_server(answer) as server, pytest.raises(NoAnswer) as caught:
        ask(f"{server.url}/e?_k={SECRET}", method, deadline=1.5)
    assert sentence in str(caught.value)
    assert SECRET not in str(caught.value) and "_k" not in str(caught.value) and "/e" not in str(caught.value)
    assert str(caught.value).endswith(".")
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert (len(server.seen), server.connections) == (1, 1)
    assert time.monotonic() - started < 10


def test_reset_while_the_body_is_still_leaving() -> None:
    arrived: list[int] = []

    def cut(connection: socket.socket) -> None:
        arrived.append(len(connection.recv(1000)))
        reset(connection)

    with raw_server(cut) as port, pytest.raises(NoAnswer):
        ask(f"http://127.0.0.1:{port}/e", "PUT", body=b"x" * 20_000_000)
    assert len(arrived) == 1


def test_an_error_nobody_foresaw_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with wire_server(answer_bytes(http_answer())) as server:
        monkeypatch.setattr("connectors.http._texts", lambda headers: {}[SECRET])
        with pytest.raises(NoAnswer, match=r"unforeseen way \(KeyError\)"):
            ask(f"{server.url}/e")


# Answers


ANSWERS: dict[str, tuple[bytes, int, bytes]] = {
    "plain": (http_answer(b'{"ok":true}'), 200, b'{"ok":true}'),
    "redirect": (http_answer(b"", "302 Found", "Location: http://169.254.169.254/\r\n"), 302, b""),
    "redirect that keeps the method": (http_answer(b"", "307 Temporary", "Location: /e\r\n"), 307, b""),
    "HTTP/1.0 without a length": (b"HTTP/1.0 200 OK\r\nX-A: b\r\n\r\nGIF89a", 200, b"GIF89a"),
    "HTTP/1.1 without a length": (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", 200, b"{}"),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    "304": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, b""),
    "chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 200, b"{}"),
    "100 first": (b"HTTP/1.1 100 Continue\r\n\r\n" + http_answer(), 200, b"{}"),
    "early hints first": (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 3 + http_answer(), 200, b"{}"),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}"),
    "unknown status": (http_answer(b"{}", "799 Odd"), 799, b"{}"),
    "server error": (http_answer(b"<h1>Oops</h1>", "503 Busy", "Retry-After: 7\r\n"), 503, b"<h1>Oops</h1>"),
    "gzip": (http_answer(gzip.compress(b"hello"), headers=GZIP), 200, b"hello"),
    "deflate": (http_answer(zlib.compress(b"hello"), headers="Content-Encoding: deflate\r\n"), 200, b"hello"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_answers_come_through_whole(case: str) -> None:
    text, status, body = ANSWERS[case]
    with wire_server(answer_bytes(text)) as server:
        answer = ask(f"{server.url}/e", "GET" if "redirect" in case else "POST")
    assert (answer.status, answer.body, answer.truncated) == (status, body, False)
    assert (len(server.seen), server.connections) == (1, 1)


def test_headers_are_clean_text() -> None:
    headers = b"Retry-After: 3\r\nX-A: 1\r\nX-A: 2\r\nX-Odd: caf\xe9\xff\r\n"
    text = b"HTTP/1.1 429 Slow\r\n" + headers + b"Content-Length: 0\r\n\r\n"
    with wire_server(answer_bytes(text)) as server:
        answer = ask(server.url)
    assert answer.header("retry-after") == "3"
    assert answer.headers["X-A"] == "1, 2"
    assert answer.headers["X-Odd"].encode("utf-8").startswith(b"caf")


def endless_body(connection: socket.socket, _: Seen) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    for _ in range(1000):
        connection.sendall(b"x" * 1_000_000)


def test_a_gigabyte_is_cut_and_the_connection_closed() -> None:
    with wire_server(endless_body) as server:
        started = time.monotonic()
        answer = ask(f"{server.url}/e")
    assert (len(answer.body), answer.truncated) == (BODY_LIMIT, True)
    assert time.monotonic() - started < 4
    assert len(server.seen) == 1


def test_a_gzip_bomb_is_cut_before_it_unfolds() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(1_000_000)) for _ in range(200)) + packer.flush()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with wire_server(answer_bytes(http_answer(bomb, headers=GZIP))) as server:
        answer = ask(f"{server.url}/e")
    assert (answer.body, answer.truncated) == (bytes(BODY_LIMIT), True)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.parametrize(("extra", "truncated"), [(0, False), (1, True)])
def test_the_limit_itself_is_not_too_much(extra: int, truncated: bool) -> None:
    with wire_server(answer_bytes(http_answer(b"x" * (BODY_LIMIT + extra)))) as server:
        answer = ask(f"{server.url}/e")
    assert (len(answer.body), answer.truncated) == (BODY_LIMIT, truncated)


# Connections used again


def test_one_connection_carries_many_requests() -> None:
    with wire_server(answer_bytes(http_answer(), stay=True)) as server:
        assert [end.status for end in ask_often(server, 5)] == [200] * 5
    assert (len(server.seen), server.connections) == (5, 1)


def test_a_connection_that_the_vendor_closed_while_idle_is_not_used_again() -> None:
    with wire_server(answer_bytes(http_answer())) as server:
        assert [end.status for end in ask_often(server, 4, pause=0.05)] == [200] * 4
    assert (len(server.seen), server.connections) == (4, 4)


def test_an_end_that_the_event_loop_has_not_read_yet_is_seen_at_the_socket() -> None:
    """The vendor closes while this process is busy: the next request must not go into the closed one."""

    async def run(server: WireServer) -> list[int]:
        async with HttpDoor(allow_private=True) as door:
            request = Request("POST", f"{server.url}/e")
            first = await door.send(request, 3)
            time.sleep(0.2)
            return [first.status, (await door.send(request, 3)).status]

    def close_soon(connection: socket.socket, _: Seen) -> None:
        connection.sendall(http_answer())
        time.sleep(0.1)

    with wire_server(close_soon) as server:
        assert asyncio.run(run(server)) == [200, 200]
    assert (len(server.seen), server.connections) == (2, 2)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_closed_just_as_the_request_leaves_is_no_answer_and_not_repeated(method: str) -> None:
    """aiohttp would send GET, PUT and DELETE a second time here."""

    def first_only(connection: socket.socket, seen: Seen) -> bool:
        if len([one for one in server.seen if one.connection == seen.connection]) > 1:
            reset(connection)
            return False
        connection.sendall(http_answer())
        return True

    with wire_server(first_only) as server:
        first, second, third = ask_often(server, 3, method=method)
    assert first.status == 200
    assert type(second) is NoAnswer
    assert third.status == 200
    assert (len(server.seen), server.connections) == (3, 2)


@pytest.mark.parametrize("later", [0, 0.03], ids=["at once", "while idle"])
def test_a_second_answer_nobody_asked_for_is_not_taken_for_the_next(later: float) -> None:
    def twice(connection: socket.socket, _: Seen) -> bool:
        stray = http_answer(b"stray")
        text = http_answer(str(len(server.seen)).encode())
        if later:
            connection.sendall(text)
            time.sleep(later)
            connection.sendall(stray)
        else:
            connection.sendall(text + stray)
        return True

    with wire_server(twice) as server:
        ends = ask_often(server, 3, pause=2 * later)
    assert [end.body for end in ends] == [b"1", b"2", b"3"]


def test_connections_idle_for_long_are_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.http.IDLE_SECONDS", 0.05)
    with wire_server(answer_bytes(http_answer(), stay=True)) as server:
        ask_often(server, 3, pause=0.1)
    assert server.connections == 3


def test_a_cancelled_request_leaves_the_door_usable() -> None:
    def slow_once(connection: socket.socket, seen: Seen) -> bool:
        if len(server.seen) == 1:
            time.sleep(0.4)
        connection.sendall(http_answer(str(len(server.seen)).encode()))
        return True

    async def run(server: WireServer) -> Response:
        async with HttpDoor(connections=1, allow_private=True) as door:
            request = Request("POST", f"{server.url}/e", {}, b"x")
            task = asyncio.create_task(door.send(request, 5))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await door.send(request, 5)

    with wire_server(slow_once) as server:
        assert asyncio.run(run(server)).body == b"2"
    assert server.connections == 2
