"""Tracify takes a whole batch or none of it, and keeps the first of each order."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

KEYS = {
    "email": "2969234aad5a8534f92204c1a970c82acca61613177ef7b899036f9a263cb09f",
    "ip": "2d0b84ff7b04b74906148264f4c6cba08b99a4c9a856ad92fb9ba0dde4932580",
    "user_agent": "fe3fa8b7cb726fc1507885122d8bc5dcb7bfbf0f17f08d8f4dd588bc810c929b",
}
PATH = "/tracify/api/v1/events"


def event(**changes: Any) -> dict[str, Any]:
    """A good purchase; keywords (data__ for its data) change it or, if None, remove."""
    good: dict[str, Any] = {
        "url": "https://www.yourwebsite.com/offline",
        "customer_site_id": "00000000-0000-0000-0000-000000000000",
        "identity_data": {KEYS["email"]: 1, KEYS["ip"]: 3, KEYS["user_agent"]: 4},
        "datetime": "2024-06-21 12:36:40",
        "type": "purchase",
        "data": {
            "origin": "https://www.yourwebsite.com", "order_id": "123456789", "currency": "EUR", "amount": "100.00",
            "ITEM1": "Name of Product 1", "AMT1": "25", "QTY1": "2", "ITEM2": "Name of Product 2", "AMT2": "50.5",
        },
    }  # fmt: skip
    for name, value in changes.items():
        place, name = (good["data"], name.removeprefix("data__")) if name.startswith("data__") else (good, name)
        if value is None:
            del place[name]
        else:
            place[name] = value
    return good


def page(**changes: Any) -> dict[str, Any]:
    return event(type="pageview", data={"origin": "https://www.yourwebsite.com", "utm_source": "fb"}) | changes


@pytest.fixture
def post(client: httpx.Client) -> Callable[..., httpx.Response]:
    def post(*events: Any, token: str = "key") -> httpx.Response:
        return client.post(PATH, json={"events": list(events)}, headers={"tracify-token": token})

    return post


def test_a_good_batch(emulator, post):
    answer = post(event(), page(), event(data__order_id="2"))
    assert (answer.status_code, answer.json()) == (200, {"status": True})
    first, *rest = emulator.ledger("tracify", "key")
    assert (first["verdict"], first["key"]) == ("effective", {"type": "purchase", "id": "123456789"})
    assert first["content"]["event"] == event()
    assert [entry["verdict"] for entry in rest] == ["effective"] * 2


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"url": None}, "url"),
        ({"url": "www.yourwebsite.com"}, "url"),
        ({"customer_site_id": "shop"}, "customer_site_id"),
        ({"identity_data": None}, "identity_data"),
        ({"identity_data": {}}, "identity_data"),
        ({"identity_data": {KEYS["ip"]: 3}}, "identity_data lacks a user agent (4)"),
        ({"identity_data": {KEYS["user_agent"]: 4}}, "identity_data lacks an IP address (3)"),
        ({"identity_data": {KEYS["ip"].upper(): 3, KEYS["user_agent"]: 4}}, "identity_data has a key"),
        ({"identity_data": {"bob@bob.com": 1, KEYS["ip"]: 3, KEYS["user_agent"]: 4}}, "identity_data has a key"),
        ({"identity_data": {KEYS["ip"]: "3", KEYS["user_agent"]: 4}}, "identity_data has a value"),
        ({"identity_data": {KEYS["ip"]: True, KEYS["user_agent"]: 4}}, "identity_data has a value"),
        ({"identity_data": {KEYS["ip"]: 5, KEYS["user_agent"]: 4}}, "identity_data has a value"),
        ({"datetime": None}, "datetime"),
        ({"datetime": "2024-06-21T12:36:40Z"}, "datetime"),
        ({"datetime": "2024-06-21 12:36"}, "datetime"),
        ({"datetime": "2024-02-30 12:36:40"}, "datetime"),
        ({"datetime": 1718973400}, "datetime"),
        ({"type": None}, "type"),
        ({"type": "Purchase"}, "type"),
        ({"type": ["purchase"]}, "type"),
        ({"data": None}, "data"),
        ({"data": []}, "data"),
        ({"data__origin": None}, "data.origin"),
        ({"data__order_id": None}, "data.order_id"),
        ({"data__order_id": ""}, "data.order_id"),
        ({"data__order_id": 5}, "data.order_id is no text"),
        ({"type": "conversion"}, "data.conversion_id"),
        ({"data__currency": "eur"}, "data.currency"),
        ({"data__amount": None}, "data.amount"),
        ({"data__amount": None, "data__value": "1.00"}, "data.amount"),
        ({"data__amount": "100"}, "data.amount"),
        ({"data__amount": "100.000"}, "data.amount"),
        ({"data__amount": 100.0}, "data.amount is no text"),
        ({"data__AMT1": "25 EUR"}, "data.AMT1"),
        ({"data__ITEM1": None, "data__AMT1": None, "data__QTY1": None}, "data: the items are not numbered"),
        ({"data__QTY3": "1"}, "data: an amount or a quantity has no item"),
    ],
)
def test_the_first_fault_refuses_the_whole_batch(emulator, post, changes, error):
    answer = post(event(data__order_id="good"), event(**changes))
    assert answer.status_code == 200
    assert answer.json()["status"] is False
    assert answer.json()["error"].startswith(f"events[1]: {error}")
    [entry] = emulator.ledger("tracify")
    assert entry["verdict"] == "rejected" and answer.json()["error"].endswith(entry["reason"])


@pytest.mark.parametrize("odd", [None, 7, "text", [], {}])
def test_what_is_no_event_refuses_the_batch(emulator, post, odd):
    assert post(event(), odd).json()["status"] is False
    assert emulator.counts("tracify").items() >= {"effective": 0, "rejected": 1}.items()


@pytest.mark.parametrize(
    "good",
    [
        page(),
        page(type="productview"),
        page(type="addtocart", data={"origin": "https://www.yourwebsite.com"}),
        event(type="conversion", data__conversion_id="1"),
        event(type="conversion", data__conversion_id="1", data__amount=None, data__value="1,00"),
        event(data__amount="0.05"),
    ],
)
def test_what_is_within_the_rules_is_stored(post, good):
    assert post(good).json() == {"status": True}


def test_the_first_of_an_order_counts_and_keeps_its_amount(emulator, post):
    assert post(event(), event(data__amount="5.00"), page(), page()).json() == {"status": True}
    post(event(data__amount="6.00"))
    post(event(customer_site_id="11111111-0000-0000-0000-000000000000"))
    post(event(type="conversion", data__conversion_id="123456789"))
    entries = emulator.ledger("tracify")
    assert [(entry["verdict"], entry["repeat_of"]) for entry in entries] == [
        ("effective", None), ("duplicate", 1), ("effective", None), ("effective", None), ("duplicate", 1),
        ("effective", None), ("effective", None),
    ]  # fmt: skip
    assert entries[0]["content"]["event"]["data"]["amount"] == "100.00"


def test_notes_on_what_counts_all_the_same(emulator, post):
    emulator.set("tracify", missing_identity=True)
    post(event(identity_data={KEYS["email"]: 1}, datetime="2999-01-01 00:00:00", data__amount="1,00"))
    [entry] = emulator.ledger("tracify")
    assert entry["verdict"] == "effective" and len(entry["notes"]) == 4


def test_without_a_known_key_nothing_goes(emulator, client, post):
    assert client.post(PATH, json={"events": [event()]}).status_code == 401
    emulator.set("tracify", known_tokens="key, other")
    answer = post(event(), token="nobody")
    assert (answer.status_code, answer.json()) == (401, {"status": False, "error": "Unauthorized"})
    assert post(event(), token="other").json() == {"status": True}


@pytest.mark.parametrize(
    ("method", "path", "content_type", "status"),
    [
        ("POST", "/tracify/api/v1/events/", "application/json", 404),
        ("POST", "/tracify/upload", "application/json", 404),
        ("GET", PATH, "application/json", 405),
        ("POST", PATH, "text/plain", 415),
        ("POST", PATH, "application/json; charset=utf-8", 200),
    ],
)
def test_the_door(client, method, path, content_type, status):
    headers = {"tracify-token": "key", "Content-Type": content_type}
    answer = client.request(method, path, content=json.dumps({"events": [event()]}), headers=headers)
    assert answer.status_code == status


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"events": []}', b'{"events": {}}', b'{"events": [{},]}', b'{"events": [NaN]}',
     b'{"events": ["\xff"]}', b'{"events": [' + b"[" * 100_000],
)  # fmt: skip
def test_the_body_is_strict_json_with_events(emulator, client, body):
    headers = {"tracify-token": "key", "Content-Type": "application/json"}
    answer = client.post(PATH, content=body, headers=headers)
    assert answer.status_code == 422 and answer.json()["status"] is False and answer.json()["error"]
    assert emulator.counts("tracify", "key").items() >= {"refused": 1, "received": 0}.items()


def test_ids_that_are_refused(emulator, post):
    emulator.set("tracify", refuse_ids="bad, worse")
    answer = post(event(data__order_id="a"), event(data__order_id="worse"))
    assert answer.json() == {"status": False, "error": "events[1]: data.order_id is not accepted"}
    assert post(event(data__order_id="a"), page()).json() == {"status": True}
    emulator.change("tracify", keep_good=True)
    assert post(event(data__order_id="b"), event(data__order_id="bad")).json()["status"] is False
    assert emulator.counts("tracify").items() >= {"effective": 3, "rejected": 2}.items()


def test_a_refusal_in_a_200(emulator, post):
    emulator.set("tracify", refusal_in_200="invalid token")
    answer = post(event())
    assert (answer.status_code, answer.json()) == (200, {"status": False, "error": "invalid token"})
    assert emulator.ledger("tracify") == []


@pytest.mark.parametrize("status", [401, 429, 500])
def test_errors_on_request(emulator, post, status):
    emulator.set("tracify", status=status, message="not now")
    answer = post(event())
    assert (answer.status_code, answer.json()) == (status, {"status": False, "error": "not now"})
    assert emulator.ledger("tracify") == []


def test_an_answer_that_is_no_json(emulator, post):
    emulator.set("tracify", garbage="html")
    with pytest.raises(ValueError):
        post(event()).json()
