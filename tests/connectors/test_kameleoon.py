"""Kameleoon's connector and its imitation, written apart from the same documents, agree; and its token request."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

import connectors
from connectors.base import NotUnderstood, Payload, Response
from connectors.emulator.vendor import Call, Conversion
from connectors.emulator.vendors import discover
from offline_portal.checking import compile_plan

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
KAMELEOON = connectors.get("kameleoon")
MAPPING = {
    "visitor_code": {"column": "who"},
    "goal_id": {"column": "goal"},
    "revenue": {"column": "amount"},
    "negative": {"column": "refund"},
    "metadata:4": {"column": "note"},
}
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
rows = st.fixed_dictionaries(
    {
        "who": texts | st.sampled_from(["245fc", "245fc&json=false", "a+b", "ü"]),
        "goal": st.integers(-5, 10**12).map(str) | texts,
        "amount": st.decimals(-1000, 10**9, places=3).map(str) | st.sampled_from(["", "007", "-0", "1e3"]) | texts,
        "refund": st.sampled_from(["yes", "nein", "", "x"]),
        "note": texts,
    }
)


def judged(payloads: list[Payload], settings: dict[str, str]) -> list[Conversion]:
    request = KAMELEOON.build(payloads, {"site_code": "f17c21u1ag"} | settings, {})
    parts = urlsplit(request.url)
    call = Call(request.method, parts.path, parts.query, request.headers, request.body, NOW.timestamp())
    vendor = discover()["kameleoon"]
    judgement = vendor.judge(call, vendor.account(call), {})
    assert judgement.answer.status == 204
    assert KAMELEOON.read(Response(204, {}, b""), payloads)
    return judgement.conversions


@given(given=st.lists(rows, min_size=1, max_size=4), identifier=st.sampled_from(["visitorCode", "mappingIdentifier"]))
def test_what_the_portal_calls_ready_the_vendor_does_not_lose(given: list[dict[str, str]], identifier: str) -> None:
    settings, numbers = {"identifier": identifier}, count()
    plan = compile_plan(KAMELEOON, MAPPING, list(given[0]), settings, "UTC", NOW)
    ready = [values for row in given if (values := plan.check(list(row.values())).values)]
    groups: dict[object, list[Payload]] = {}
    for values in ready:
        payload = Payload(values, KAMELEOON.wire_key(values, lambda digits: f"{next(numbers):0{digits}x}"))
        groups.setdefault(KAMELEOON.group(values, settings), []).append(payload)
    for payloads in groups.values():
        for payload, found in zip(payloads, judged(payloads, settings), strict=True):
            assert found.verdict == "effective", found.reason
            assert found.key["visitor"][1] == payload.values["visitor_code"]
            assert found.key["nonce"] == payload.wire_key
            assert found.content["data"]["revenue"] == float(payload.values.get("revenue", 0))
            assert found.content["data"]["negative"] is payload.values.get("negative", False)


def test_the_token_request_and_what_of_it_is_secret() -> None:
    settings = {"token_url": "https://api.example/oauth/token"}
    request = KAMELEOON.auth(settings, {"client_id": "me", "client_secret": "s:ü"})
    assert request is not None
    assert (request.method, request.url) == ("POST", "https://api.example/oauth/token")
    assert request.body == b"grant_type=client_credentials"
    assert request.headers["Authorization"] == "Basic bWU6czrDvA=="
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert {"me", "s:ü", "bWU6czrDvA=="} == set(request.secret_texts)


def test_without_credentials_there_is_no_token_and_one_alone_is_told_by_the_vendor() -> None:
    assert KAMELEOON.auth({}, {}) is None
    request = KAMELEOON.auth({}, {"client_secret": "s"})
    assert request is not None and request.url == "https://api.kameleoon.com/oauth/token"


@pytest.mark.parametrize(
    ("body", "token"),
    [
        (b'{"access_token": "abc", "token_type": "bearer", "expires_in": 7199, "scope": "x"}', ("abc", 7199.0)),
        (b'{"access_token": "abc"}', ("abc", 300.0)),
        (b'{"access_token": "abc", "expires_in": "soon"}', ("abc", 300.0)),
        (b'{"access_token": "abc", "expires_in": true}', ("abc", 300.0)),
    ],
)
def test_a_token_is_read(body: bytes, token: tuple[str, float]) -> None:
    assert KAMELEOON.read_token(Response(200, {}, body)) == token


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"access_token": 5}', b"[" * 99_999])
def test_what_is_no_token_is_not_taken_for_one(body: bytes) -> None:
    with pytest.raises(NotUnderstood):
        KAMELEOON.read_token(Response(200, {}, body))
