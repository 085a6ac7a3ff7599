"""Every fault switch that all vendors share, seen from the other end of a real socket."""

import email.utils
import json
import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest

LOST = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


def raw_exchange(url: str, events: list, seconds: float = 5, most: int = 10**7) -> bytes:
    """Post events over a bare socket; read until the other side ends, the time is over or it is too much."""
    body = json.dumps({"events": events}).encode()
    head = "POST /qubit/events/acme HTTP/1.1\r\nHost: x\r\nContent-Type: application/json"
    address = urlsplit(url)
    received = b""
    with socket.create_connection((address.hostname, address.port), timeout=seconds) as connection:
        connection.sendall(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        until = time.monotonic() + seconds
        while len(received) < most and time.monotonic() < until:
            connection.settimeout(max(until - time.monotonic(), 0.01))
            try:
                piece = connection.recv(65536)
            except TimeoutError:
                break
            if not piece:
                break
            received += piece
    return received


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 500, 502, 503, 504])
def test_an_error_status_stores_nothing(emulator, post, event, status):
    emulator.set("qubit", status=status)
    answer = post(event())
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert emulator.ledger("qubit") == []
    assert emulator.counts("qubit").items() >= {"requests": 1, "faulted": 1, "refused": 1}.items()


def test_an_error_status_can_store_all_the_same(emulator, post, event):
    emulator.set("qubit", status=500, store=True, message="<b>broken</b>\u0007")
    answer = post(event())
    assert (answer.status_code, answer.json()["message"]) == (500, "<b>broken</b>\u0007")
    [entry] = emulator.ledger("qubit")
    assert entry["verdict"] == "effective"
    assert entry["answered"].startswith("500 (status=500 store=True")


@pytest.mark.parametrize("status", [201, 202, 204, 207])
def test_another_success_status_keeps_the_ordinary_answer(emulator, post, event, status):
    emulator.set("qubit", status=status)
    answer = post(event())
    assert answer.status_code == status
    if status != 204:
        assert answer.json()["results"][0]["status"] == "success"
    assert emulator.counts("qubit")["effective"] == 1


def test_kissmetrics_refuses_without_a_body(emulator, visit):
    emulator.set("kissmetrics", status=503)
    answer = visit()
    assert (answer.status_code, answer.content) == (503, b"")
    assert emulator.counts("kissmetrics")["received"] == 0


def test_retry_after_in_seconds_as_a_date_and_as_nonsense(emulator, post, event):
    emulator.set("qubit", retry_after="7")
    answer = post(event())
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")

    emulator.set("qubit", status=503, retry_after="date:60")
    answer = post(event())
    ahead = email.utils.parsedate_to_datetime(answer.headers["Retry-After"]).timestamp() - time.time()
    assert answer.status_code == 503
    assert 57 < ahead < 62

    emulator.set("qubit", status=429, retry_after="when it suits")
    assert post(event()).headers["Retry-After"] == "when it suits"

    emulator.set("qubit", status=429)
    assert "Retry-After" not in post(event()).headers
    assert emulator.ledger("qubit") == []


def test_a_rate_limit_refuses_what_is_over_it(emulator, visit):
    emulator.set("kissmetrics", rate_limit=3)
    answers = [visit() for _ in range(10)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert 1 <= len(refused) <= 7
    assert {answer.headers["Retry-After"] for answer in refused} == {"1"}
    counts = emulator.counts("kissmetrics")
    assert counts["received"] == 10 - len(refused)
    assert counts["faulted"] == len(refused)


def test_size_limits(emulator, post, visit, event):
    emulator.set("qubit", max_bytes=400)
    emulator.set("kissmetrics", max_bytes=100)
    assert post(event()).status_code == 200
    assert post(event(), event()).status_code == 413
    assert visit(property="x" * 100).status_code == 414
    assert (emulator.counts("qubit")["received"], emulator.counts("kissmetrics")["received"]) == (1, 0)


def test_a_redirect(emulator, post, event):
    emulator.set("qubit", redirect="http://169.254.169.254/latest/meta-data")
    answer = post(event())
    assert (answer.status_code, answer.headers["Location"]) == (
        302,
        "http://169.254.169.254/latest/meta-data",
    )
    emulator.set("qubit", redirect="https://example.com/", status=308)
    assert post(event()).status_code == 308
    assert emulator.ledger("qubit") == []


def test_a_loss_in_silence(emulator, visit):
    emulator.set("kissmetrics", lose=True)
    assert visit().status_code == 200
    assert emulator.counts("kissmetrics").items() >= {"requests": 1, "received": 0}.items()


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    ("where", "stored"), [("in_request", 0), ("before_storing", 0), ("after_storing", 1), ("in_answer", 1)]
)
def test_cuts(emulator, post, event, where, stored, reset):
    emulator.set("qubit", cut=where, reset=reset)
    with pytest.raises(LOST):
        post(event())
    assert emulator.counts("qubit").items() >= {"requests": 1, "effective": stored, "faulted": 1}.items()


def test_a_cut_after_a_silent_store_is_told_in_the_ledger(emulator, post, event):
    emulator.set("qubit", cut="after_storing")
    with pytest.raises(LOST):
        post(event())
    assert emulator.ledger("qubit")[0]["answered"] == "200 (cut=after_storing)"


def test_a_cut_in_the_answer_leaves_half_of_it(emulator, event):
    emulator.set("qubit", cut="in_answer")
    head, _, body = raw_exchange(emulator.url, [event()]).partition(b"\r\n\r\n")
    promised = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert len(body) == promised // 2


def test_a_connection_closed_after_a_whole_answer(emulator, event):
    emulator.set("qubit", cut="after_answer")
    head, _, body = raw_exchange(emulator.url, [event()]).partition(b"\r\n\r\n")
    assert json.loads(body)["results"][0]["status"] == "success"
    assert b"close" not in head.lower()


def test_a_delay_comes_after_storing(emulator, client, event):
    emulator.set("qubit", delay_ms=400)
    with pytest.raises(httpx.ReadTimeout):
        client.post("/qubit/events/acme", json={"events": [event()]}, timeout=0.1)
    assert emulator.counts("qubit")["effective"] == 1

    started = time.monotonic()
    assert client.post("/qubit/events/acme", json={"events": [event()]}).status_code == 200
    assert time.monotonic() - started >= 0.4


def test_a_body_one_byte_at_a_time(emulator, post, event):
    emulator.set("qubit", slow="body", slow_ms=1)
    started = time.monotonic()
    answer = post({})
    assert answer.json()["results"][0]["status"] == "failed"
    assert time.monotonic() - started > 0.05


def test_headers_that_never_end_slowly_and_fast(emulator, event):
    emulator.set("qubit", slow="headers", slow_ms=5)
    received = raw_exchange(emulator.url, [event()], seconds=0.3)
    assert received.startswith(b"HTTP/1.1 200 OK\r\nX-Slow-0: 1\r\n")
    assert b"\r\n\r\n" not in received

    emulator.set("qubit", garbage="endless_headers")
    received = raw_exchange(emulator.url, [event()], most=2_000_000)
    assert len(received) >= 2_000_000
    assert b"\r\n\r\n" not in received
    assert emulator.counts("qubit")["effective"] == 2


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [("html", "text/html; charset=utf-8"), ("empty", "application/json"), ("text", "text/plain"),
     ("wrong_json", "application/json"), ("truncated_json", "application/json")],
)  # fmt: skip
@pytest.mark.parametrize("status", [None, 502])
def test_garbage(emulator, post, event, kind, content_type, status):
    emulator.set("qubit", garbage=kind, **({"status": status} if status else {}))
    answer = post(event())
    assert (answer.status_code, answer.headers["Content-Type"]) == (status or 200, content_type)
    if kind == "wrong_json":
        assert isinstance(answer.json()["results"], dict)
    else:
        with pytest.raises(ValueError, match=r"Expecting|Unterminated|decode|Invalid"):
            answer.json()
    assert emulator.counts("qubit")["effective"] == (0 if status else 1)


def test_a_huge_answer_and_a_gzip_bomb(emulator, client, event):
    emulator.set("qubit", garbage="huge", garbage_mb=3)
    with client.stream("POST", "/qubit/events/acme", json={"events": [event()]}) as answer:
        assert sum(len(piece) for piece in answer.iter_raw()) == 3 * 1048576

    emulator.set("qubit", garbage="gzip_bomb", garbage_mb=20)
    with client.stream("POST", "/qubit/events/acme", json={"events": [event()]}) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert sum(len(piece) for piece in answer.iter_raw()) < 100_000
    with client.stream("POST", "/qubit/events/acme", json={"events": [event()]}) as answer:
        assert sum(len(piece) for piece in answer.iter_bytes()) == 20 * 1048576


def test_the_emulator_outlives_a_client_that_leaves_a_huge_answer(emulator, event):
    emulator.set("qubit", garbage="huge")
    raw_exchange(emulator.url, [event()], most=200_000)
    emulator.clear()
    assert emulator.counts("qubit")["requests"] == 0


def test_a_pair_of_vendors_fails_apart(emulator, visit, post, event):
    emulator.set("qubit", status=500)
    assert (post(event()).status_code, visit().status_code) == (500, 200)


def test_a_healthy_connection_is_kept_open(emulator, client):
    with httpx.Client(limits=httpx.Limits(max_connections=1), trust_env=False, verify=False) as one:
        opened = {
            one.get(f"{emulator.url}/kissmetrics/e?_k=a").extensions["network_stream"].get_extra_info("client_addr")
            for _ in range(5)
        }
    assert len(opened) == 1
