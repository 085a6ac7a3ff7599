"""Kameleoon answers 204 before it looks; what it makes of events shows in the ledger and by GET /visit/visitor."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from connectors.emulator.testing import Emulator

SITE = "f17c21u1ag"
AGENT = {"User-Agent": "CustomUserAgent/1.0"}
GOOD = {"nonce": "a2bb4d22083348ef", "eventType": "CONVERSION", "goalId": 36151, "revenue": 23.50}
Send = Callable[..., httpx.Response]


@pytest.fixture
def send(client: httpx.Client) -> Send:
    """Post events (as JSON, or a body as it is) for visitor 245fc; keywords are parameters, None leaves one out."""

    def send(body: Any, headers: dict[str, str] | None = None, **query: Any) -> httpx.Response:
        asked = {"siteCode": SITE, "visitorCode": "245fc", "json": "true"} | query
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        params = {name: value for name, value in asked.items() if value is not None}
        return client.post("/kameleoon/visit/events", params=params, content=content, headers=headers or AGENT)

    return send


@pytest.fixture
def look(client: httpx.Client) -> Send:
    """Ask for visitor 245fc; keywords are parameters, None leaves one out."""

    def look(headers: dict[str, str] | None = None, **query: Any) -> httpx.Response:
        asked = {"siteCode": SITE, "visitorCode": "245fc", "maxNumberPreviousVisits": 5, "conversion": "true"}
        params = {name: value for name, value in (asked | query).items() if value is not None}
        return client.get("/kameleoon/visit/visitor", params=params, headers=headers or AGENT)

    return look


def reasons(emulator: Emulator) -> list[str]:
    return [entry["reason"] for entry in emulator.ledger("kameleoon", SITE)]


def test_the_example_of_the_document(emulator: Emulator, send: Send, look: Send):
    answer = send([GOOD])
    assert (answer.status_code, answer.content) == (204, b"")
    [entry] = emulator.effective("kameleoon", SITE)
    assert entry["key"] == {"visitor": ["visitor", "245fc"], "goal_id": 36151, "nonce": "a2bb4d22083348ef"}
    # As long as the visit lasts, only Feature Experimentation shows it.
    assert look(currentVisit="true").json() == {"previousVisits": []}
    emulator.set("kameleoon", clock_ahead=30)
    [visit] = look(currentVisit="true").json()["previousVisits"]
    time = entry["content"]["time"]
    assert visit == {
        "siteCode": SITE, "visitorCode": "245fc", "timeStarted": time, "timeLastEvent": time,
        "conversionEvents": [
            {"itp": False, "time": time,
             "data": {"goalId": 36151, "revenue": 23.50, "negative": False, "metadata": {}}},
        ],
    }  # fmt: skip


def test_the_current_visit_shows_only_with_feature_experimentation(emulator: Emulator, send: Send, look: Send):
    send([GOOD])
    emulator.set("kameleoon", feature_experimentation=True)
    assert look().json() == {"previousVisits": []}
    found = look(currentVisit="true").json()
    assert found["currentVisit"]["conversionEvents"][0]["data"]["goalId"] == 36151
    assert found["previousVisits"] == []
    assert "conversionEvents" not in look(currentVisit="true", conversion=None).json()["currentVisit"]


def test_a_pause_of_thirty_minutes_ends_a_visit(emulator: Emulator, send: Send, look: Send):
    for number, ahead in enumerate((0, 29, 60, 200)):
        emulator.set("kameleoon", clock_ahead=ahead)
        send([GOOD | {"nonce": f"{number:016x}", "goalId": number}])
    emulator.set("kameleoon", clock_ahead=231)
    visits = look().json()["previousVisits"]
    goals = [[found["data"]["goalId"] for found in visit["conversionEvents"]] for visit in visits]
    assert goals == [[3], [2], [0, 1]]
    assert len(look(maxNumberPreviousVisits=1).json()["previousVisits"]) == 1


def test_an_unknown_visitor_has_no_visits(look: Send):
    assert look(visitorCode="nobody").json() == {"previousVisits": []}


@pytest.mark.parametrize(
    "query",
    [
        {"siteCode": None},
        {"visitorCode": None},
        {"maxNumberPreviousVisits": None},
        {"maxNumberPreviousVisits": "many"},
    ],
)
def test_what_must_be_asked_for(look: Send, query: dict[str, Any]):
    assert look(**query).status_code == 400


def test_an_id_of_our_own(send: Send, look: Send, emulator: Emulator):
    send([GOOD], visitorCode=None, mappingIdentifier="bob@bob.com")
    emulator.set("kameleoon", clock_ahead=31)
    assert look().json() == {"previousVisits": []}
    assert len(look(visitorCode=None, mappingValue="bob@bob.com").json()["previousVisits"]) == 1


def test_a_visitor_in_the_url_overrides_those_in_the_events(emulator: Emulator, send: Send):
    two = [GOOD | {"nonce": f"{n:016X}", "visitorCode": f"v{n}"} for n in range(2)]
    send(two)
    assert [entry["key"]["visitor"][1] for entry in emulator.effective("kameleoon")] == ["245fc", "245fc"]
    emulator.clear()
    send(two, visitorCode=None)
    assert [entry["key"]["visitor"][1] for entry in emulator.effective("kameleoon")] == ["v0", "v1"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"nonce": "a2bb4d22083348e"}, "nonce is not 16 hexadecimal characters"),
        ({"nonce": "g2bb4d22083348ef"}, "nonce is not 16 hexadecimal characters"),
        ({"nonce": 1234567890123456}, "nonce is not 16 hexadecimal characters"),
        ({"eventType": "PAGE"}, "eventType is not CONVERSION; others are not kept here"),
        ({"goalId": "36151"}, "goalId is not a whole number"),
        ({"goalId": None, "goalID": 36151}, "goalId is not a whole number"),
        ({"goalId": True}, "goalId is not a whole number"),
        ({"revenue": -1}, "revenue is not a positive number"),
        ({"revenue": "23.50"}, "revenue is not a positive number"),
        ({"negative": "true"}, "negative is neither true nor false"),
        ({"metadata": {"1": "text"}}, "metadata is not an object of lists of texts, by index"),
        ({"metadata": {"store": ["text"]}}, "metadata is not an object of lists of texts, by index"),
    ],
)
def test_what_is_lost_in_silence(emulator: Emulator, send: Send, changes: dict[str, Any], reason: str):
    assert send([GOOD | changes, GOOD | {"nonce": "0" * 16}]).status_code == 204
    assert reasons(emulator) == [reason, ""]


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": "A2BB4D22083348EF"},
        {"eventType": "conversion"},
        {"revenue": None},
        {"negative": True, "metadata": {"1": ["a", "b"], "22": []}},
        {"unknown": 1},
    ],
)
def test_what_is_taken_all_the_same(emulator: Emulator, send: Send, changes: dict[str, Any]):
    send([{name: value for name, value in (GOOD | changes).items() if value is not None}])
    assert reasons(emulator) == [""]


def test_a_visitor_is_needed_and_has_a_longest_form(emulator: Emulator, send: Send):
    lost = "the visitor is missing or has more than 255 characters"
    for number, code in enumerate((None, "x" * 256, "x" * 255)):
        send([GOOD | {"nonce": f"{number:016x}"}], visitorCode=code)
    assert reasons(emulator) == [lost, lost, ""]
    assert emulator.effective("kameleoon")[0]["notes"] == ["the visitor has more than 100 characters"]


def test_a_repeated_nonce_counts_once(emulator: Emulator, send: Send):
    send([GOOD])
    send([GOOD | {"nonce": GOOD["nonce"].upper(), "revenue": 99}])  # type: ignore[attr-defined]
    counts = emulator.counts("kameleoon", SITE)
    assert (counts["effective"], counts["duplicates"]) == (1, 1)
    assert emulator.ledger("kameleoon")[1]["repeat_of"] == emulator.ledger("kameleoon")[0]["seq"]


def test_unknown_goals_are_lost_where_the_known_ones_are_set(emulator: Emulator, send: Send):
    emulator.set("kameleoon", known_goals="36151, 7")
    send([GOOD, GOOD | {"nonce": "0" * 16, "goalId": 361517}])
    assert reasons(emulator) == ["", "there is no goal 361517"]


def test_json_without_json_true_is_lost_unless_lenient(emulator: Emulator, send: Send):
    assert send([GOOD], json=None).status_code == 204
    assert send([GOOD], json="false").status_code == 204
    assert emulator.counts("kameleoon")["effective"] == 0
    emulator.set("kameleoon", lenient_json=True)
    send([GOOD], json=None)
    assert emulator.counts("kameleoon")["effective"] == 1


def test_lines_as_the_vendors_clients_send_them(emulator: Emulator, send: Send):
    line = "eventType=conversion&goalId=36151&revenue={}&negative=false&visitorCode=a%20b&nonce={}"
    body = "\n".join([line.format("1.5", "0" * 16), line.format("NaN", "1" * 16), ""]).encode()
    assert send(body, visitorCode=None, json=None).status_code == 204
    assert reasons(emulator) == ["", "revenue cannot be read"]
    entry = emulator.effective("kameleoon")[0]
    assert (entry["key"]["visitor"], entry["content"]["data"]["revenue"]) == (["visitor", "a b"], 1.5)


@pytest.mark.parametrize("body", [b"[{", b"{}", b"null", b"[NaN]", b"[" * 100_000, b"\xff\xfe", b"[1]", b"[[]]"])
def test_nonsense_is_answered_like_everything_else(emulator: Emulator, send: Send, body: bytes):
    assert send(body).status_code == 204
    assert emulator.counts("kameleoon")["effective"] == 0
    assert emulator.counts("kameleoon")["dropped"] == 1


def test_an_empty_list_stores_nothing(emulator: Emulator, send: Send):
    assert send([], visitorCode=None).status_code == 204
    assert emulator.counts("kameleoon")["received"] == 0


@pytest.mark.parametrize("agent", ["", "python-requests/2.32", "Googlebot/2.1", "curl/8.5", "My Spider", "crawler"])
def test_robots_are_forbidden(send: Send, look: Send, emulator: Emulator, agent: str):
    assert send([GOOD], {"User-Agent": agent}).status_code == 403
    assert look({"User-Agent": agent}).status_code == 403
    assert emulator.counts("kameleoon")["received"] == 0


@pytest.mark.parametrize(
    ("query", "status"), [({"siteCode": None}, 400), ({"siteCode": ""}, 400), ({"json": "yes"}, 400)]
)
def test_an_unsound_url_is_refused(send: Send, query: dict[str, Any], status: int):
    assert send([GOOD], **query).status_code == status


def test_three_megabytes_at_most(send: Send):
    assert send(b"[" + b" " * 2_999_998 + b"]").status_code == 204
    assert send(b"[" + b" " * 2_999_999 + b"]").status_code == 413


@pytest.mark.parametrize("status", [401, 403, 413, 429, 500])
def test_refusals_by_switch_store_nothing(emulator: Emulator, send: Send, status: int):
    emulator.set("kameleoon", status=status)
    assert send([GOOD]).status_code == status
    assert emulator.counts("kameleoon")["received"] == 0


def test_other_methods_and_paths(client: httpx.Client):
    assert client.get("/kameleoon/visit/events", headers=AGENT).status_code == 405
    assert client.post("/kameleoon/visit/visitor", headers=AGENT).status_code == 405
    assert client.post("/kameleoon/visit", headers=AGENT).status_code == 404


# Access tokens


def token(client: httpx.Client, name: str = "me", secret: str = "s:1", grant: str = "client_credentials") -> Any:
    return client.post("/kameleoon/oauth/token", auth=(name, secret), data={"grant_type": grant}, headers=AGENT)


def bearing(text: str) -> dict[str, str]:
    return AGENT | {"Authorization": f"Bearer {text}"}


def test_a_token_is_asked_for_where_one_is_required(emulator: Emulator, client: httpx.Client, send: Send, look: Send):
    emulator.set("kameleoon", token_required=True)
    assert send([GOOD]).status_code == look().status_code == 401
    given = token(client).json()
    assert given["expires_in"] == 3600
    good = bearing(given["access_token"])
    assert (send([GOOD], good).status_code, look(good).status_code) == (204, 200)


def test_a_wrong_token_is_refused_even_where_none_is_required(client: httpx.Client, send: Send):
    assert send([GOOD], bearing("made-up")).status_code == 401
    assert send([GOOD], AGENT | {"Authorization": f"Basic {token(client).json()['access_token']}"}).status_code == 401


def test_tokens_expire_and_can_be_revoked(emulator: Emulator, client: httpx.Client, send: Send):
    emulator.set("kameleoon", token_seconds=0)
    assert send([GOOD], bearing(token(client).json()["access_token"])).status_code == 401
    emulator.clear()
    given = bearing(token(client).json()["access_token"])
    emulator.set("kameleoon", SITE, revoke_token=True, times=1)
    assert [send([GOOD], given).status_code for _ in range(2)] == [401, 401]


def test_only_known_clients_get_a_token(emulator: Emulator, client: httpx.Client):
    emulator.set("kameleoon", known_clients="you:x, me:s:1")
    assert token(client).status_code == 200
    assert token(client, secret="other").json() == {"error": "invalid_client"}
    assert token(client, grant="password").json() == {"error": "unsupported_grant_type"}
    assert client.post("/kameleoon/oauth/token", data={"grant_type": "client_credentials"}).status_code == 401


def test_reading_visitors_can_be_forbidden_alone(emulator: Emulator, send: Send, look: Send):
    emulator.set("kameleoon", visitor_forbidden=True)
    assert (send([GOOD]).status_code, look().status_code) == (204, 403)


def test_what_was_not_stored_is_not_read_back(emulator: Emulator, send: Send, look: Send):
    emulator.set("kameleoon", lose=True, times=1)
    send([GOOD])
    emulator.set("kameleoon", clock_ahead=31)
    assert look().json() == {"previousVisits": []}
    send([GOOD])
    emulator.set("kameleoon", clock_ahead=62)
    assert len(look().json()["previousVisits"]) == 1
    emulator.clear(switches=False)
    assert look().json() == {"previousVisits": []}
