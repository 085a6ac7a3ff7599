"""Whatever goes wrong, the answer has one shape and betrays nothing."""

from __future__ import annotations

import logging

import pytest
from django.conf import LazySettings
from django.db import OperationalError

from offline_portal.api import sends
from offline_portal.models import AuditEntry
from tests.api.conftest import Caller, error_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/nothing", "/", "/sends/1/nothing", "/../x", "/%00"])
def test_an_unknown_address_is_404_without_asking_who_calls(callers: dict[str, Caller], path: str) -> None:
    assert callers["stranger"].error("GET", path)[:2] == (404, "not_found")
    assert callers["adam"].error("POST", path)[:2] == (404, "not_found")


@pytest.mark.parametrize("id", ["0", "999999999", "abc", "-1", "1.5", "٣", "9" * 30, "%00", "%F0%28"])
@pytest.mark.parametrize("path", ["/destinations/{}", "/sends/{}", "/sends/{}/rows", "/deliveries/{}"])
def test_an_id_that_is_none_is_404(adam: Caller, path: str, id: str) -> None:
    assert adam.error("GET", path.format(id))[:2] == (404, "not_found")


def test_a_wrong_method_is_405_and_names_the_right_ones(adam: Caller) -> None:
    response = adam("PUT", "/destinations")
    assert error_of(response)[:2] == (405, "method_not_allowed")
    assert response["Allow"] == "GET, POST"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "bad_json"), (b"\xff\xfe{}", "bad_json"), (b'{"rate": NaN}', "bad_json"),
        (b'{"n": 1' + b"0" * 5000 + b"}", "bad_json"), (b"[" * 100_000, "bad_json"),
        (b'{"name": "a\\u0000b"}', "bad_text"), (b'{"a\\ud800": 1}', "bad_text"),
        (b'{"s": [{"t": "\\udfff"}]}', "bad_text"),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_400(adam: Caller, body: bytes, code: str) -> None:
    assert adam.error("POST", "/destinations", body)[:2] == (400, code)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/sends?limit=many", "bad_request"), ("/sends?cursor=abc", "bad_cursor"),
        ("/audit?from=yesterday", "bad_request"),
        ("/audit?cursor=%ff", "bad_cursor"), ("/audit?actor=a%00b", "bad_text"), ("/deliveries?search=%00", "bad_text"),
        ("/deliveries?search=x&cursor=zz", "bad_cursor"), ("/deliveries?reveal=perhaps", "bad_request"),
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_understood_is_400(adam: Caller, path: str, code: str) -> None:
    assert adam.error("GET", path)[:2] == (400, code)


@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"', b"null", b""])
def test_a_body_of_another_kind_is_422(adam: Caller, body: bytes) -> None:
    assert adam.error("POST", "/destinations", body)[:2] == (422, "invalid")


def test_all_wrong_fields_are_named_at_once(adam: Caller) -> None:
    status, code, fields = adam.error("POST", "/destinations", {"live": "yes", "colour": "red"})
    assert (status, code) == (422, "invalid")
    assert set(fields) == {"name", "connector", "live", "colour"}


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=-5"])
def test_a_limit_out_of_range_is_422(adam: Caller, query: str) -> None:
    assert adam.error("GET", f"/sends?{query}")[:2] == (422, "invalid")


def test_a_body_that_is_too_large_is_413(adam: Caller, settings: LazySettings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    assert adam.error("POST", "/destinations", {"name": "x" * 2000})[:2] == (413, "too_large")


def test_our_own_failure_gives_an_id_and_no_traceback(
    adam: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(*_: object) -> None:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(sends, "send_shape", break_down)
    monkeypatch.setattr(sends, "find", lambda _: None)
    with caplog.at_level(logging.ERROR):
        response = adam("GET", "/sends/1")
    assert error_of(response)[:2] == (500, "internal")
    text = response.content.decode()
    assert "secret inside" not in text and "Traceback" not in text
    number = text.partition("id ")[2].split()[0]
    assert any(number in entry.getMessage() and entry.exc_info for entry in caplog.records)


def test_a_database_that_does_not_answer_is_503(adam: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(_: str) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(sends, "find", locked)
    response = adam("GET", "/sends/1")
    assert error_of(response)[:2] == (503, "unavailable")
    assert response["Retry-After"] == "5"


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic b3A6eA==", "Bearer op_wrong", "Bearer op_ü", "op_x"]
)
def test_without_a_valid_token_it_is_401(people: object, header: str) -> None:
    stranger = Caller(None)
    stranger.headers = {"Authorization": header} if header else {}
    response = stranger("GET", "/sends")
    assert error_of(response)[:2] == (401, "unauthorized")
    assert response["WWW-Authenticate"] == "Bearer"


def test_a_session_is_no_token(people: dict[str, object]) -> None:
    stranger = Caller(None)
    stranger.client.force_login(people["adam"])  # type: ignore[arg-type]
    assert stranger.error("GET", "/sends")[0] == 401


def test_every_answer_carries_the_headers(adam: Caller) -> None:
    for path in ("/destinations", "/nothing", "/sends/abc"):
        response = adam("GET", path)
        assert response["Cache-Control"] == "no-store"
        assert response["X-Content-Type-Options"] == "nosniff"
        assert "script-src 'self'" in response["Content-Security-Policy"]


def test_being_kept_out_is_logged_without_the_query(callers: dict[str, Caller]) -> None:
    assert callers["olivia"].error("GET", "/audit?actor=bob%40bob.com")[:2] == (403, "forbidden")
    entry = AuditEntry.objects.latest("seq")
    assert (entry.actor, entry.action) == ("olivia", "access.refused")
    assert "GET /api/v1/audit" in entry.detail and "bob" not in entry.detail
