"""When a switch meets a request, and how switches are set."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.emulator.faults import COMMON
from connectors.emulator.switches import BadSwitch, Board
from connectors.emulator.vendors import discover


def statuses(visit, number: int) -> list[int]:
    return [visit().status_code for _ in range(number)]


def test_times_means_the_next_ones(emulator, visit):
    emulator.set("kissmetrics", status=503, times=2)
    assert statuses(visit, 4) == [503, 503, 200, 200]


def test_every_means_each_nth(emulator, visit):
    emulator.set("kissmetrics", status=503, every=3)
    assert statuses(visit, 7) == [200, 200, 503, 200, 200, 503, 200]


def test_every_and_times_together(emulator, visit):
    emulator.set("kissmetrics", status=503, every=2, times=1)
    assert statuses(visit, 5) == [200, 503, 200, 200, 200]


def test_share_is_the_same_for_the_same_seed(emulator, visit):
    runs = []
    for seed in (7, 7, 8):
        emulator.set("kissmetrics", status=503, share=0.5, seed=seed)
        runs.append(statuses(visit, 30))
    assert runs[0] == runs[1] != runs[2]
    assert 5 < runs[0].count(503) < 25


def test_for_seconds_ends_by_itself(emulator, visit):
    emulator.set("kissmetrics", status=503, for_seconds=0.3)
    assert visit().status_code == 503
    time.sleep(0.35)
    assert visit().status_code == 200


def test_a_limit_of_its_own(emulator, visit):
    emulator.set("kissmetrics", status={"value": 503, "times": 1}, delay_ms=1)
    assert statuses(visit, 2) == [503, 200]
    assert emulator.counts("kissmetrics")["faulted"] == 2


def test_limits_of_a_set_fall_on_the_same_requests(emulator, visit):
    emulator.set("kissmetrics", status=503, retry_after="5", share=0.5, seed=3)
    answers = [visit() for _ in range(20)]
    assert {(answer.status_code, answer.headers.get("Retry-After")) for answer in answers} == {
        (503, "5"), (200, None),
    }  # fmt: skip


def test_a_switch_of_one_account_wins(emulator, visit):
    emulator.set("kissmetrics", status=503)
    emulator.set("kissmetrics", account="bar", status=500)
    assert (visit(k="foo").status_code, visit(k="bar").status_code) == (503, 500)


def test_put_replaces_and_patch_adds(emulator, client, visit):
    emulator.set("kissmetrics", status=503)
    emulator.set("kissmetrics", duplicate_rule="old")
    assert visit().status_code == 200
    emulator.change("kissmetrics", status=500)
    assert visit().status_code == 500
    assert set(client.get("/switches.json").json()["kissmetrics"]["all"]) == {"duplicate_rule", "status"}
    emulator.change("kissmetrics", status=None)
    assert visit().status_code == 200
    client.delete("/switches/kissmetrics")
    assert client.get("/switches/kissmetrics").json()["all"] == {}


def test_every_switch_is_declared_for_programs(client):
    declared = client.get("/switches.json").json()["qubit"]["declared"]
    names = [switch["name"] for switch in declared]
    assert {"delay_ms", "status", "cut", "garbage", "results", "known_ids"} <= set(names)
    assert len(names) == len(set(names))
    assert all(switch["description"] for switch in declared)
    for switch in declared:
        assert set(switch["with"]) <= set(names)


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        ({"nonsense": 1}, "no switch"),
        ({"status": "x"}, "whole number"),
        ({"status": 99}, "from 200 to 599"),
        ({"status": 503.5}, "whole number"),
        ({"status": True}, "whole number"),
        ({"delay_ms": -1}, "from 0"),
        ({"cut": "sideways"}, "not one of"),
        ({"store": "maybe"}, "neither"),
        ({"redirect": "http://a/\r\nX: 1"}, "control characters"),
        ({"status": 500, "times": 0}, "from 1"),
        ({"status": 500, "every": "often"}, "no number"),
        ({"status": 500, "share": 1.5}, "between 0 and 1"),
        ({"status": {"value": 500, "sometimes": 1}}, "no limit"),
        ({"status": {"times": 1}}, "whole number"),
    ],
)
def test_a_wrong_switch_changes_nothing_and_says_why(emulator, client, wanted, word):
    emulator.set("qubit", status=503)
    answer = client.put("/switches/qubit", json={"delay_ms": 5, **wanted})
    assert answer.status_code == 422
    assert word in answer.json()["error"]["message"]
    assert set(client.get("/switches/qubit").json()["all"]) == {"status"}


def test_a_vendor_or_body_that_is_none(client):
    assert client.put("/switches/nobody", json={}).status_code == 404
    assert client.put("/switches/qubit", content=b"x").status_code == 400
    assert client.put("/switches/qubit", json=[]).status_code == 400


@given(
    name=st.sampled_from([switch.name for switch in COMMON]),
    value=st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers())),
)
def test_any_value_is_taken_or_refused_in_words(name, value):
    board = Board(COMMON)
    try:
        board.put({name: value})
    except BadSwitch as refusal:
        assert name in str(refusal)
        assert not board
    else:
        assert isinstance(board.meeting("any"), dict)


def test_names_of_vendors_switches_do_not_hide_common_ones():
    common = {switch.name for switch in COMMON}
    for vendor in discover().values():
        assert not common & {switch.name for switch in vendor.switches}
