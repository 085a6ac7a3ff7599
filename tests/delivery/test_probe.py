"""The connection test: a sentence for each way it can end, over real sockets."""

from __future__ import annotations

import itertools
import socket
from pathlib import Path
from typing import Any

import pytest

import connectors
from connectors.base import Field, Request, Response
from connectors.emulator.testing import Emulator
from offline_portal import secrets
from offline_portal.delivery.probe import test_connection as connection_test
from offline_portal.models import Destination, DestinationSecret, DestinationSettings
from tests.wire.certificates import self_signed, server_context
from tests.wire.server import answer_bytes, http_answer, wire_server

pytestmark = pytest.mark.django_db
_numbers = itertools.count(1)


class Plain(connectors.Connector):
    """A vendor with a probe and nothing else."""

    slug, name, docs, fields = "plain", "Plain", "https://example.com", ()
    secrets = (Field("api_key", "API key", "secret", True),)

    def probe(self, settings: Any, secrets: Any) -> Request:
        return Request("GET", f"{settings['base_url']}/probe?key={secrets['api_key']}")

    def describe_probe(self, response: Response) -> tuple[bool, str]:
        return response.status == 200, f"It says {response.body.decode()}."


class Silent(Plain):
    slug = "silent"

    def probe(self, settings: Any, secrets: Any) -> None:
        return None


@pytest.fixture(autouse=True)
def vendors(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {**connectors.all_connectors(), "plain": Plain(), "silent": Silent()}
    monkeypatch.setattr(connectors, "all_connectors", lambda: known)


def destination(base_url: str, connector: str = "plain", **secret_texts: str) -> Destination:
    made = Destination.objects.create(name=f"test {next(_numbers)}", connector=connector)
    values = {"base_url": base_url, "vertical": "ecommerce", "source": "portal@1.0"}
    made.current = DestinationSettings.objects.create(destination=made, version=1, values=values)
    made.save()
    for key, text in (secret_texts or {"api_key": "k3y-of-the-vendor"}).items():
        DestinationSecret.objects.create(
            destination=made, key=key, ciphertext=secrets.seal(made.pk, key, text), hint="set"
        )
    return made


def outcome(answer: bytes, connector: str = "plain") -> tuple[bool, str]:
    with wire_server(answer_bytes(answer)) as server:
        return connection_test(destination(server.url, connector))


def test_it_works_and_sends_one_request() -> None:
    with wire_server(answer_bytes(http_answer(b"hello"))) as server:
        assert connection_test(destination(server.url)) == (True, "It says hello.")
    assert [seen.line for seen in server.seen] == ["GET /probe?key=k3y-of-the-vendor HTTP/1.1"]


@pytest.mark.parametrize(
    ("status", "headers", "works", "words"),
    [
        ("401 Unauthorized", "", False, "does not let us in (status 401). Enter the keys anew"),
        ("403 Forbidden", "", False, "does not let us in (status 403)"),
        ("302 Found", "Location: https://login.example.com/?next=secret\r\n", False, "leads on to login.example.com ("),
        ("429 Slow", "", True, "asks us to slow down"),
        ("503 Busy", "", False, "has a fault of its own (status 503)"),
        ("404 Not Found", "", False, "It says"),
    ],
)
def test_each_status_has_its_sentence(status: str, headers: str, works: bool, words: str) -> None:
    found, sentence = outcome(http_answer(b"{}", status, headers))
    assert found is works
    assert words in sentence


def test_no_secret_comes_back() -> None:
    assert "k3y-of-the-vendor" not in outcome(http_answer(b"key k3y-of-the-vendor"))[1]


def test_nobody_there() -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{one.getsockname()[1]}"
    works, sentence = connection_test(destination(address))
    assert not works
    assert "refused the connection. Check the address" in sentence


def test_name_not_found() -> None:
    works, sentence = connection_test(destination("http://no-such-vendor.invalid"))
    assert not works
    assert "no-such-vendor.invalid could not be found. Check the address" in sentence


def test_closed_without_an_answer() -> None:
    works, sentence = outcome(b"")
    assert not works
    assert "closed the connection before it answered" in sentence


def test_a_certificate_that_cannot_be_trusted(tmp_path: Path) -> None:
    with wire_server(answer_bytes(http_answer()), server_context(self_signed(tmp_path))) as server:
        works, sentence = connection_test(destination(server.url))
    assert not works
    assert "cannot be trusted: self" in sentence
    assert server.seen == []


def test_a_private_address_outside_training(settings: Any) -> None:
    settings.PORTAL_ALLOW_PRIVATE_DESTINATIONS = False
    works, sentence = connection_test(destination("https://127.0.0.1"))
    assert not works
    assert "private or reserved address" in sentence


def test_a_missing_key_is_named_before_anything_is_sent() -> None:
    with wire_server(answer_bytes(http_answer())) as server:
        found = connection_test(destination(server.url, other="x"))
        assert found == (False, "API key is not set yet. Enter it first.")
    assert server.connections == 0


def test_a_secret_that_cannot_be_read_is_said() -> None:
    one = destination("http://127.0.0.1:1")
    one.secret_set.update(ciphertext="garbage")
    works, sentence = connection_test(one)
    assert not works
    assert sentence


@pytest.mark.parametrize(("status", "works"), [("200 OK", True), ("404 Not Found", True), ("301 Moved", False)])
def test_a_vendor_without_a_harmless_request_is_only_reached(status: str, works: bool) -> None:
    with wire_server(answer_bytes(http_answer(b"", status))) as server:
        assert connection_test(destination(server.url, "silent"))[0] is works
    assert [seen.line for seen in server.seen] == ["HEAD / HTTP/1.1"]


@pytest.mark.parametrize(
    ("vendor", "secret"), [("kissmetrics", {"api_key": "key-0001"}), ("qubit", {"tracking_id": "acme"})]
)
def test_the_stand_ins_of_the_vendors_answer_and_store_nothing(
    emulator: Emulator, vendor: str, secret: dict[str, str]
) -> None:
    works, sentence = connection_test(destination(emulator.base_url(vendor), vendor, **secret))
    assert works, sentence
    assert emulator.effective(vendor) == []
