"""Qubit judges every event by itself and answers by position."""

import json

import pytest

VERTICALS = [
    ("ecBasketTransactionSummary", "basket"),
    ("egBetslipTransactionSummary", "betslip"),
    ("pbBasketTransactionSummary", "basket"),
    ("loBasketTransactionSummary", "basket"),
    ("trPackageTransactionSummary", "package"),
    ("fiBasketTransactionSummary", "basket"),
]


def test_the_example_of_the_document(emulator, post, event):
    answer = post(event(meta__source=None), event(context__id=None))

    assert answer.status_code == 200
    success, refusal = answer.json()["results"]
    assert success == {
        "eventId": success["eventId"],
        "eventType": "ecBasketTransactionSummary",
        "status": "success",
        "warnings": ["Missing meta.source"],
    }
    assert refusal == {"status": "failed", "error": "Missing context.id"}
    stored, refused = emulator.ledger("qubit", "acme")
    assert stored["receipt"] == success["eventId"]
    assert stored["key"] == {"transaction_id": "unique-id", "type": "ecBasketTransactionSummary"}
    assert stored["content"]["event"]["basket"]["total"]["value"] == 9.99
    assert (refused["verdict"], refused["reason"], refused["position"]) == (
        "rejected",
        "Missing context.id",
        1,
    )
    assert stored["request"] == refused["request"] == 1


@pytest.mark.parametrize(("kind", "amount_field"), VERTICALS)
@pytest.mark.parametrize("namespace", ["", "someco.", "a.b-c."])
def test_every_vertical_has_its_amount_field(post, event, kind, amount_field, namespace):
    right = event(basket=None, meta__type=namespace + kind)
    right[amount_field] = {"total": {"value": 80.5, "currency": "GBP"}}
    wrong = event(basket=None, meta__type=namespace + kind, other__total={"value": 80.5, "currency": "GBP"})

    good, bad = post(right, wrong).json()["results"]

    assert (good["status"], good["eventType"]) == ("success", namespace + kind)
    assert bad["error"] == f"Missing {amount_field}.total.value"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"context": None}, "Missing context.id"),
        ({"context": "x"}, "Invalid context"),
        ({"context__id": ""}, "Missing context.id"),
        ({"context__id": 5}, "Invalid context.id"),
        ({"context__id": "x" * 257}, "Invalid context.id"),
        ({"context__id": None, "meta__type": None}, "Missing context.id"),
        ({"meta__type": None, "meta__ts": None}, "Missing meta.type"),
        ({"meta__type": "ecPackageTransactionSummary"}, "Invalid meta.type"),
        ({"meta__type": "some co.ecView"}, "Invalid meta.type"),
        ({"meta__ts": None, "basket": None}, "Missing meta.ts"),
        ({"meta__ts": 1479377213}, "Invalid meta.ts"),
        ({"meta__ts": 1479377213928000}, "Invalid meta.ts"),
        ({"meta__ts": 1479377213928.0}, "Invalid meta.ts"),
        ({"meta__ts": "1479377213928"}, "Invalid meta.ts"),
        ({"meta__ts": True}, "Invalid meta.ts"),
        ({"basket__total": None}, "Missing basket.total.value"),
        ({"basket__total": 9.99}, "Invalid basket.total"),
        ({"basket__total__value": None}, "Missing basket.total.value"),
        ({"basket__total__value": "9.99"}, "Invalid basket.total.value"),
        ({"basket__total__value": True}, "Invalid basket.total.value"),
        ({"basket__total__value": 9.999}, "Invalid basket.total.value"),
        ({"basket__total__currency": None, "transaction": None}, "Missing basket.total.currency"),
        ({"basket__total__currency": "usd"}, "Invalid basket.total.currency"),
        ({"basket__total__currency": "EURO"}, "Invalid basket.total.currency"),
        ({"transaction": None}, "Missing transaction.id"),
        ({"transaction__id": 17}, "Invalid transaction.id"),
        ({"transaction__id": "x" * 257}, "Invalid transaction.id"),
        ({"meta__url": 1}, "Invalid meta.url"),
        ({"meta__source": ["a"]}, "Invalid meta.source"),
        ({"extra__note": "x" * 257}, "Invalid extra.note"),
        ({"meta__type": "ecView", "transaction": "x"}, "Invalid transaction"),
    ],
)
def test_the_first_fault_of_an_event_is_named(emulator, post, event, changes, error):
    assert post(event(**changes)).json()["results"] == [{"status": "failed", "error": error}]
    [entry] = emulator.ledger("qubit")
    assert (entry["verdict"], entry["reason"]) == ("rejected", error)


@pytest.mark.parametrize(
    "changes",
    [
        {"basket__total__value": 5},
        {"basket__total__value": 10**400},
        {"basket__total__value": 0.1},
        {"basket__total__value": -12.30},
        {"context__id": "x" * 256},
        {"meta__url": "http://example.com/page"},
        {"meta__type": "ecView", "basket": None, "transaction": None},
        {"extra": [1, None, {"a": False}]},
    ],
)
def test_what_is_within_the_rules_is_stored(post, event, changes):
    [result] = post(event(**changes)).json()["results"]
    assert (result["status"], result["warnings"]) == ("success", [])


@pytest.mark.parametrize(
    "odd", [None, 7, "text", [], {"meta": []}, {"context": {"id": "a"}, "meta": {"type": ["ecView"]}}]
)
def test_what_is_no_event_is_refused_alone(post, event, odd):
    assert [result["status"] for result in post(odd, event()).json()["results"]] == ["failed", "success"]


def test_the_path_is_exact(client, event):
    body = {"events": [event()]}
    for path in ("/events", "/events/", "/events/acme/", "/events/a/b", "/event/acme", "/Events/acme"):
        answer = client.post(f"/qubit{path}", json=body)
        assert (answer.status_code, answer.json()) == (404, {"status": 404, "message": "Not Found"}), path


def test_only_post(client):
    answer = client.get("/qubit/events/acme")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert answer.json() == {"status": 405, "message": "Method Not Allowed"}


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
def test_the_content_type_is_json(client, event, content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    body = json.dumps({"events": [event()]}).encode()
    assert client.post("/qubit/events/acme", content=body, headers=headers).status_code == 415


def test_a_charset_may_stand_beside_the_content_type(client, event):
    headers = {"Content-Type": "application/json; charset=utf-8"}
    body = json.dumps({"events": [event()]}).encode()
    assert client.post("/qubit/events/acme", content=body, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"events": {}}',
        b'{"events": []}',
        b'{"event": [{}]}',
        b"{'events': [{}]}",
        b'{"events": [{},]}',
        b'{"events": [NaN]}',
        b'{"events": [{"meta": {"ts": Infinity}}]}',
        b'\xef\xbb\xbf{"events": [{}]}',
        b'{"events": ["\xff"]}',
        b'{"events": [' + b"[" * 100_000,
    ],
)
def test_the_body_is_strict_json_with_events(emulator, client, body):
    answer = client.post("/qubit/events/acme", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()) == (400, {"status": 400, "message": "Bad Request"})
    assert answer.headers["Emulator-Reason"]
    assert emulator.counts("qubit", "acme").items() >= {"requests": 1, "refused": 1, "received": 0}.items()


def test_a_repeated_transaction_is_stored_again_and_listed(emulator, post, event):
    post(event(), event(transaction__id="other"))
    post(event())

    entries = emulator.ledger("qubit")
    assert [(entry["verdict"], entry["repeat_of"]) for entry in entries] == [
        ("effective", None), ("effective", None), ("effective", 1),
    ]  # fmt: skip
    assert emulator.counts("qubit").items() >= {"effective": 3, "duplicates": 0, "repeated": 1}.items()
    assert len({entry["receipt"] for entry in entries}) == 3


def test_mixed_results(emulator, post, event):
    emulator.set("qubit", fail_every=2, refusal_word="error")
    results = post(*(event(transaction__id=str(n)) for n in range(5))).json()["results"]
    assert [result["status"] for result in results] == ["success", "error", "success", "error", "success"]
    assert emulator.counts("qubit").items() >= {"effective": 3, "rejected": 2}.items()


@pytest.mark.parametrize(
    ("how", "order"),
    [("shuffled", ["b", "c", "a"]), ("short", ["a", "b"]), ("long", ["a", "b", "c", "c"]), ("empty", [])],
)
def test_results_that_do_not_fit(emulator, post, event, how, order):
    emulator.set("qubit", results=how)
    results = post(*(event(transaction__id=name) for name in "abc")).json()["results"]

    name_of = {entry["receipt"]: entry["key"]["transaction_id"] for entry in emulator.ledger("qubit")}
    assert [name_of[result["eventId"]] for result in results] == order
    assert sorted(name_of.values()) == ["a", "b", "c"]


def test_a_refusal_in_a_200(emulator, post, event):
    emulator.set("qubit", refusal_in_200=502)
    answer = post(event())
    assert (answer.status_code, answer.json()) == (200, {"status": 502, "message": "Bad Gateway"})
    assert emulator.ledger("qubit") == []


def test_an_unknown_tracking_id(emulator, post, event):
    emulator.set("qubit", known_ids="acme, other")
    assert post(event(), account="nobody").status_code == 404
    assert post(event(), account="other").status_code == 200
    assert emulator.counts("qubit", "nobody")["refused"] == 1
