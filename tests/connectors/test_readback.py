"""What connectors promise whose vendor can be asked what it has stored; the cases are in the JSON files beside."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import connectors.base
from connectors import all_connectors
from connectors.base import Connector, ConnectorError, Payload, Response, Stored
from connectors.readback import KEYS, Timing
from offline_portal.delivery.readback.sightings import Wanted, pair
from tests.connectors.test_contract import CASES, cases, leaks, secrets_of, settings_of

READABLE = [connector for connector in all_connectors().values() if connector.can_be_read_back]
each = pytest.mark.parametrize("connector", READABLE, ids=lambda connector: connector.slug)
T0 = datetime(2026, 11, 18, 9, tzinfo=UTC)


@each
def test_what_the_portal_asks_the_settings_for_is_declared(connector: Connector) -> None:
    assert set(KEYS) <= {setting.key for setting in connector.settings}
    # An admin who switches it on or off means what is under way, too.
    assert set(KEYS) <= set(connector.connection_settings)
    assert connector.best_evidence == "confirmed"


@each
def test_every_readable_connector_has_cases(connector: Connector) -> None:
    assert CASES[connector.slug]["readback"] and CASES[connector.slug]["read_back"]


@cases("readback")
def test_the_look_is_exactly_this(connector: Connector, case: dict[str, Any]) -> None:
    payload, settings = Payload(case["values"], "0" * 16), settings_of(connector, case)
    request = connector.readback(payload, settings, secrets_of(connector))
    assert (request.method, request.url, request.body) == (case["request"]["method"], case["request"]["url"], b"")
    if "headers" in case["request"]:
        assert dict(request.headers) == case["request"]["headers"]
    marked = {key: f"s3cret/{number}=" for number, key in enumerate(secrets_of(connector))}
    assert leaks(connector.readback(payload, settings, marked)) == []


def answer_of(case: dict[str, Any]) -> Response:
    body = json.dumps(case["json"]) if "json" in case else case["body"]
    return Response(case["status"], {}, body.encode())


@cases("read_back")
def test_the_answer_shows_exactly_this(connector: Connector, case: dict[str, Any]) -> None:
    if "raises" in case:
        with pytest.raises(getattr(connectors.base, case["raises"])):
            connector.read_back(answer_of(case))
        return
    shown = connector.read_back(answer_of(case))
    assert len(shown) == case["shown"] == len({one.name for one in shown})
    assert connector.read_back(answer_of(case)) == shown
    if "found" in case:
        wanted = Wanted(1, connector.likeness(case["sent"]), datetime.fromisoformat(case["sent_at"]))
        assert bool(pair([wanted], shown, ())) == case["found"]
    if "told" in case:
        assert connector.told_by_readback(answer_of(case)) == case["told"]


@each
@given(status=st.integers(100, 599), body=st.binary(max_size=100) | st.just(b"[" * 99_999) | st.just(b"9" * 9_999))
def test_any_answer_shows_something_or_is_one_of_our_errors(connector: Connector, status: int, body: bytes) -> None:
    try:
        shown = connector.read_back(Response(status, {}, body))
    except ConnectorError:
        return
    assert 200 <= status < 300 and all(one.at.tzinfo for one in shown)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
events = st.fixed_dictionaries(
    {
        "time": st.integers(0, 2**50) | json_values,
        "data": json_values | st.fixed_dictionaries(
            {"goalId": st.integers() | json_values},
            optional={"revenue": st.floats() | json_values, "negative": json_values, "metadata": json_values},
        ),
    }
)  # fmt: skip


@each
@given(visits=st.lists(st.fixed_dictionaries({"conversionEvents": st.lists(events) | json_values})))
def test_no_event_upsets_a_reader(connector: Connector, visits: list[Any]) -> None:
    response = Response(200, {}, json.dumps({"previousVisits": visits}).encode())
    assert len({one.name for one in connector.read_back(response)}) == len(connector.read_back(response))
    assert isinstance(connector.told_by_readback(response), list)


@each
@given(number=st.integers(1, 9))
def test_the_second_look_names_what_the_first_one_named(connector: Connector, number: int) -> None:
    event = {"time": 1740447713028, "data": {"goalId": 5, "revenue": 1}}
    visit = {"timeStarted": 1, "visitorCode": "v", "conversionEvents": [event] * number}
    first = connector.read_back(Response(200, {}, json.dumps({"currentVisit": visit}).encode()))
    later = {"previousVisits": [{"timeStarted": 9, "conversionEvents": [event | {"time": 7}]}, visit]}
    second = connector.read_back(Response(200, {}, json.dumps(later).encode()))
    assert {one.name for one in first} < {one.name for one in second}


# Which conversion is whose


def stored(minutes: float, name: str = "", likeness: object = "a") -> Stored:
    return Stored(likeness, T0 + timedelta(minutes=minutes), name or f"{likeness}{minutes}")


def wanted(row: int, minutes: float, likeness: object = "a") -> Wanted:
    return Wanted(row, likeness, T0 + timedelta(minutes=minutes))


def names(found: dict[int, Stored]) -> dict[int, str]:
    return {row: one.name for row, one in found.items()}


def test_each_conversion_is_for_one_row() -> None:
    rows = [wanted(1, 0), wanted(2, 0)]
    assert names(pair(rows, [stored(1, "x")], ())) == {2: "x"}
    assert set(names(pair(rows, [stored(1, "x"), stored(1, "y")], ())).values()) == {"x", "y"}
    assert pair(rows, [stored(1, "x")], {"x"}) == {}
    assert pair(rows, [stored(1, "x", "other")], ()) == {}


def test_a_row_sent_later_does_not_lose_its_only_one_to_an_earlier_row() -> None:
    rows = [wanted(1, 0), wanted(2, 60)]
    assert names(pair(rows, [stored(1, "early"), stored(61, "late")], ())) == {1: "early", 2: "late"}
    assert names(pair(rows, [stored(61, "p"), stored(62, "q")], ())) == {2: "p", 1: "q"}
    assert names(pair(rows, [stored(1, "early")], ())) == {1: "early"}


@given(
    since=st.lists(st.integers(0, 30), max_size=6), at=st.lists(st.integers(0, 30), max_size=6), seed=st.randoms()
)
def test_as_many_rows_as_possible_get_one(since: list[int], at: list[int], seed: Any) -> None:
    rows = [wanted(number, minutes) for number, minutes in enumerate(since)]
    shown = [stored(minutes, str(number)) for number, minutes in enumerate(at)]
    found = pair(rows, shown, ())
    seed.shuffle(rows)
    seed.shuffle(shown)
    assert len(pair(rows, shown, ())) == len(found)
    assert len(set(names(found).values())) == len(found)
    # By counting (Hall): of the rows since a moment and later, no more can get one than there are since then.
    left = [sum(s >= m for s in since) - sum(a >= m - 5 for a in at) for m in range(31)]
    assert len(found) == len(since) - max(0, *left)


def test_settings_that_are_not_set_are_the_defaults() -> None:
    assert Timing.of({}) == Timing(False, timedelta(minutes=30), timedelta(minutes=30), 6)
    given = {"verify": True, "readback_after": 0, "readback_every": 0.05, "readback_tries": 2}
    assert Timing.of(given) == Timing(True, timedelta(0), timedelta(seconds=3), 2)
