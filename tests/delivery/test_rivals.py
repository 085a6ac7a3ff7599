"""Rows that an unknown one could be taken for, where looks and people are at it at the same time."""

from __future__ import annotations

import json
import time

import pytest
from django.conf import LazySettings
from django.utils import timezone

from connectors.base import Response
from offline_portal.delivery import control
from offline_portal.delivery.readback import findings, look, reading
from offline_portal.delivery.readback.look import Look
from offline_portal.delivery.readback.reading import Desk
from offline_portal.models import Delivery, Destination, Readback
from tests.conftest import Road
from tests.delivery.looking import SOON, S, sold, tallies, unknown_row, verified
from tests.delivery.test_kameleoon_road import where
from tests.delivery.test_road import counts


@pytest.fixture(autouse=True)
def once(settings: LazySettings) -> None:
    """A request is tried once, and nobody waits afterwards."""
    settings.PORTAL_RETRY_LIMIT, settings.PORTAL_RETRY_BASE = 1, 0


def begun() -> tuple[Desk, list[Look]]:
    """All looks on the wire, at the only destination."""
    [desk] = reading.claim_due(set())
    return desk, reading.begin(desk, 9, lambda request: request)


def shown(desk: Desk, looks: list[Look], conversions: int) -> None:
    """The vendor answers them: it shows so many that are just like the rows."""
    event = {"time": int(time.time() * 1000), "data": {"goalId": 36151, "revenue": 5}}
    answer = json.dumps({"previousVisits": [{"conversionEvents": [event] * conversions}]}).encode()
    for one in looks:
        one.response, one.ended_at = Response(200, {}, answer), timezone.now()
        one.said = look.of_answer(desk.connector, one.response, ())
    findings.settle(desk, looks)


@pytest.mark.parametrize(("conversions", "status"), [(1, "unknown"), (2, "accepted")])
def test_a_row_does_not_get_what_may_be_that_of_one_that_is_sent_again(
    road: Road, conversions: int, status: str
) -> None:
    unknown_row(road, where(road, **SOON | {"readback_after": 9}), sold(0, 1))
    Readback.objects.update(due_at=timezone.now())
    desk, looks = begun()
    resent, other = Delivery.objects.order_by("pk")
    control.resolve(resent, "resend", "once more", road.olivia)
    shown(desk, looks, conversions)
    other.refresh_from_db()
    assert other.status == status
    tallies(other.send)


def test_a_row_that_was_found_in_the_same_round_takes_nothing_from_another_one(road: Road) -> None:
    place = verified(road, readback_after=9, readback_tries=1)
    alone = unknown_row(road, place, sold(0))
    Destination.objects.update(failures=0)  # One that failed is probed by one row alone.
    both = unknown_row(road, place, sold(1, 2))
    control.resolve(Delivery.objects.filter(send=both).latest("pk"), "resend", "once more", road.olivia)
    both = road.shift(both, 1)
    assert counts(both) == {"accepted": 1, "unknown": 1}
    Readback.objects.filter(state=S.LOOKING).update(due_at=timezone.now())
    Readback.objects.filter(send=alone).update(due_at=timezone.now())
    desk, looks = begun()
    assert [one.send for one in looks] == [both.pk, alone.pk]
    shown(desk, looks, 3)
    for send, rows in ((both, 2), (alone, 1)):
        send.refresh_from_db()
        assert (counts(send), tallies(send)) == ({"accepted": rows}, {"confirmed": rows})
