"""Where nobody may look, and looks that bring nothing: no row is worse off."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

import connectors
from connectors.base import Response
from offline_portal import destinations
from offline_portal.delivery.readback import look
from offline_portal.models import Answer, AuditEntry, Delivery, Outcome, Readback, Reader
from tests.conftest import Road
from tests.delivery.looking import SOON, look_until, looks, settled, tallies, vendor, verified
from tests.delivery.test_kameleoon_road import CLIENT, SITE, visitors, where
from tests.delivery.test_road import counts
from tests.wire.server import http_answer


@pytest.fixture
def once(settings: LazySettings) -> None:
    """A request is tried once."""
    settings.PORTAL_RETRY_LIMIT = 1


# Where nobody may look


def test_403_means_not_available_and_is_said_once(road: Road, once: None) -> None:
    road.emulator.set("kameleoon", visitor_forbidden=True)
    place = verified(road, readback_after=0.01)
    send = settled(road, road.deliver(road.check(road.upload(visitors(9)), place), 1))
    assert (send.status, counts(send), tallies(send)) == ("finished", {"accepted": 9}, {"not_available": 9})
    assert set(Delivery.objects.values_list("evidence", flat=True)) == {"delivered"}
    asked = looks()
    road.shift(send, 2)
    assert looks() == asked, "not again for this send"
    reader = Reader.objects.get(destination=place)
    assert "does not let this account look up visitors (403)" in reader.refused and reader.refused_at
    place.refresh_from_db()
    assert not place.paused

    road.emulator.change("kameleoon", cut={"value": "after_storing", "times": 1})
    other = road.deliver(road.check(road.upload(visitors(12, first=10), "other.csv"), place), 2)
    other = settled(road, other)
    assert (counts(other), tallies(other)) == ({"unknown": 2}, {"not_available": 2}), "never failed"
    assert asked < looks() <= asked + 2
    [entry] = AuditEntry.objects.filter(action="readback.refused")
    assert entry.object == f"destination:{place.pk}"

    road.emulator.set("kameleoon", feature_experimentation=True)
    place = destinations.change(place, road.people["adam"], settings={"feature_experimentation": True})
    third = settled(road, road.deliver(road.check(road.upload(visitors(15, first=14), "third.csv"), place), 1))
    assert tallies(third) == {"confirmed": 1}
    assert Reader.objects.get(destination=place).refused == ""


def test_the_rest_of_a_refused_send_is_closed_in_portions(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offline_portal.delivery.readback.refusal.CHUNK", 4)
    road.emulator.set("kameleoon", visitor_forbidden=True)
    send = settled(road, road.deliver(road.check(road.upload(visitors(15)), verified(road, rate=5)), 1))
    assert tallies(send) == {"not_available": 15}
    assert looks() == 1
    assert set(Readback.objects.values_list("due_at", "attempt")) == {(None, None)}

# Looks that bring nothing


def test_looks_without_an_answer_come_to_an_end_and_nobody_is_failed(road: Road, settings: LazySettings) -> None:
    settings.PORTAL_RETRY_BASE, settings.PORTAL_RETRY_LIMIT = 0.01, 2
    trouble = http_answer(b"trouble", "500 No")
    with vendor(lambda seen: trouble if seen.line.startswith("GET") else http_answer()) as server:
        send = road.deliver(road.check(road.upload(visitors(1)), verified(road, base_url=server.url)), 1)
        send = settled(road, send)
    assert (counts(send), tallies(send)) == ({"accepted": 1}, {"not_available": 1})
    assert looks() == 6, "two for each of three"
    assert Readback.objects.get().tries == 0
    codes = Outcome.objects.filter(attempt__readback=True).values_list("code", flat=True)
    assert set(codes) == {"http_500"}
    assert "Given up after 6 looks without a usable answer." in Outcome.objects.latest("pk").message


def test_an_outage_costs_no_look_and_mends_by_itself(road: Road, settings: LazySettings) -> None:
    settings.PORTAL_RETRY_BASE = 0.01
    send = road.deliver(road.check(road.upload(visitors(3)), verified(road, readback_tries=1, readback_after=0.03)), 1)
    road.emulator.set("kameleoon", clock_ahead=31, cut={"value": "before_storing", "times": 4})
    send = settled(road, send)
    assert tallies(send) == {"confirmed": 3}
    assert Answer.objects.filter(attempt__readback=True).exclude(error="").count() == 4
    assert set(Readback.objects.values_list("tries", flat=True)) == {1}
    assert Reader.objects.get().failures == 0


@pytest.mark.parametrize(
    "fault", [{"garbage": "html"}, {"garbage": "empty"}, {"garbage": "truncated_json"}, {"status": 404}]
)
def test_an_answer_that_says_nothing_shows_no_row(road: Road, settings: LazySettings, fault: dict[str, Any]) -> None:
    settings.PORTAL_RETRY_BASE = 0.01
    send = road.deliver(road.check(road.upload(visitors(1)), verified(road, readback_after=0.03)), 1)
    road.emulator.set("kameleoon", clock_ahead=31, **fault, times=2)
    assert tallies(settled(road, send)) in ({"confirmed": 1}, {"not_found": 1})
    assert Readback.objects.get().failures == 2


def test_the_vendor_may_ask_us_to_wait_with_looking_and_sends_go_on(road: Road) -> None:
    place = verified(road, feature_experimentation=True, readback_after=9)
    road.emulator.set("kameleoon", feature_experimentation=True)
    send = road.deliver(road.check(road.upload(visitors(1)), place), 1)
    Readback.objects.update(due_at=timezone.now())
    road.emulator.change("kameleoon", status={"value": 429, "times": 1}, retry_after={"value": "3600", "times": 1})
    send = look_until(road, send, lambda _send: Reader.objects.filter(waits_until__isnull=False).exists())
    assert tallies(send) == {"looking": 1}
    assert Reader.objects.get().waits_until > timezone.now() + timedelta(minutes=50)
    place.refresh_from_db()
    assert place.waits_until is None
    other = road.deliver(road.check(road.upload(visitors(5, first=3), "other.csv"), place), 1)
    assert counts(other) == {"accepted": 2}
    Reader.objects.update(waits_until=None)
    assert tallies(settled(road, send)) == {"confirmed": 1}


def test_a_token_that_is_refused_is_renewed_for_a_look_too(road: Road) -> None:
    road.emulator.set("kameleoon", token_required=True, feature_experimentation=True)
    place = where(road, "", CLIENT, verify=True, feature_experimentation=True, **SOON | {"readback_after": 0.02})
    send = road.deliver(road.check(road.upload(visitors(1)), place), 1)
    road.emulator.change("kameleoon", SITE, token_required=True, feature_experimentation=True,
                         revoke_token={"value": True, "times": 1})  # fmt: skip
    send = settled(road, send)
    assert tallies(send) == {"confirmed": 1}
    assert Readback.objects.get().failures == 0
    answers = Answer.objects.filter(attempt__readback=True).order_by("pk")
    assert list(answers.values_list("status", flat=True)) == [401, 200]


def test_a_connector_that_stumbles_over_an_answer_costs_a_look(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(_self: object, _response: Response) -> None:
        raise KeyError("ours")

    monkeypatch.setattr("connectors.kameleoon.Kameleoon.read_back", stumble)
    said = look.of_answer(connectors.get("kameleoon"), Response(200, {}, b"{}"), ())
    assert (said.shown, said.code) == (None, "not_understood")
