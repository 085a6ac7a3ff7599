"""Rows that another version of the portal queued: they are sent, or it is said clearly why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

import connectors
from connectors.base import Field, Payload
from offline_portal.delivery import control, sweep
from offline_portal.models import AuditEntry, Delivery, Destination, Send
from tests.conftest import Road
from tests.delivery.test_road import KISS, QUBIT, counts

KISSMETRICS = type(connectors.get("kissmetrics"))


@pytest.fixture
def queued(road: Road) -> Send:
    return road.queue(road.check(road.upload(KISS), road.destination("kissmetrics")))


def requests(road: Road) -> int:
    return road.emulator.counts("kissmetrics")["requests"]


def test_a_field_that_this_version_does_not_know_pauses_the_send_and_says_which(
    road: Road, queued: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = road.queue(road.check(road.upload(QUBIT), road.destination("qubit")))
    without = tuple(field for field in KISSMETRICS.fields if field.key != "timestamp")
    with monkeypatch.context() as older:
        older.setattr(KISSMETRICS, "fields", without)
        queued = road.shift(queued, 3)
        assert (queued.status, counts(queued), requests(road)) == ("paused", {"queued": 120}, 0)
        assert "timestamp" in queued.reason and "check the file again" in queued.reason
        assert AuditEntry.objects.filter(action="send.paused", object=f"send:{queued.pk}").count() == 1
        other.refresh_from_db()
        assert counts(other) == {"accepted": 250}, "others go on"
        assert not Destination.objects.filter(paused=True).exists()
        control.resume(queued, road.olivia)
        assert counts(road.shift(queued, 3)) == {"queued": 120}
    control.resume(queued, road.olivia)
    assert counts(road.shift(queued)) == {"accepted": 120}
    assert requests(road) == 120


def test_a_field_that_is_new_changes_nothing_for_rows_that_wait(
    road: Road, queued: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = Field("channel", "Channel", "text", False, help="Where it was sold.")
    monkeypatch.setattr(KISSMETRICS, "fields", (*KISSMETRICS.fields, new))
    assert counts(road.shift(queued)) == {"accepted": 120}


def test_a_vendor_that_this_version_does_not_know_stops_nobody_else(
    road: Road, queued: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = road.queue(road.check(road.upload(QUBIT), road.destination("qubit")))
    known = {slug: one for slug, one in connectors.all_connectors().items() if slug != "kissmetrics"}
    with monkeypatch.context() as older:
        older.setattr(connectors, "all_connectors", lambda: known)
        assert counts(road.shift(other, 3)) == {"accepted": 250}
        queued.refresh_from_db()
        assert (queued.status, counts(queued)) == ("paused", {"queued": 120})
        assert "no connector “kissmetrics”" in queued.reason
        sweep.one_pass()
    control.resume(queued, road.olivia)
    assert counts(road.shift(queued)) == {"accepted": 120}


def test_a_row_of_which_no_request_can_be_made_pauses_its_send_and_costs_no_answer(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued = road.queue(road.check(road.upload(KISS), road.destination("kissmetrics", values={"rate": 40})))
    build = KISSMETRICS.build

    def stumble(self: Any, payloads: Sequence[Payload], *others: Any) -> Any:
        if payloads[0].values["identity"] == "person70@example.com":
            raise KeyError("a field of yesterday")
        return build(self, payloads, *others)

    road.emulator.change("kissmetrics", delay_ms=300)
    with monkeypatch.context() as faulty:
        faulty.setattr(KISSMETRICS, "build", stumble)
        queued = road.shift(queued, 5)
    found = counts(queued)
    assert queued.status == "paused" and "fault of the portal" in queued.reason and "KeyError" in queued.reason
    assert set(found) == {"accepted", "queued"} and sum(found.values()) == 120, "what was on the wire was awaited"
    assert requests(road) == found["accepted"]
    assert Destination.objects.get().failures == 0, "the vendor did nothing wrong"
    road.emulator.change("kissmetrics", delay_ms=None)
    control.resume(queued, road.olivia)
    assert counts(road.shift(queued)) == {"accepted": 120}
    assert Delivery.objects.filter(attempt_count=1).count() == requests(road) == 120


def test_a_field_that_became_required_does_not_stop_rows_that_wait(
    road: Road, queued: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    stricter = tuple(replace(field, required=True) for field in KISSMETRICS.fields)
    monkeypatch.setattr(KISSMETRICS, "fields", stricter)
    assert counts(road.shift(queued)) == {"accepted": 120}
