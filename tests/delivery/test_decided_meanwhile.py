"""What a person decides about unknown rows while a look for them is on the wire."""

from __future__ import annotations

import json
import time

import pytest
from django.conf import LazySettings
from django.utils import timezone

from connectors.base import Response
from offline_portal.audit import chain
from offline_portal.delivery import control, sweep
from offline_portal.delivery.readback import findings, look, reading
from offline_portal.delivery.readback.look import Look
from offline_portal.delivery.readback.reading import Desk
from offline_portal.models import Answer, Attempt, Delivery, Destination, Readback
from tests.conftest import Road
from tests.delivery.looking import SOON, S, lapse, sold, tallies, unknown_row
from tests.delivery.test_kameleoon_road import where


@pytest.fixture
def looked_for(road: Road, settings: LazySettings) -> tuple[Desk, Look]:
    """Two unknown rows that are alike, and the look for them on the wire."""
    settings.PORTAL_RETRY_LIMIT = 1
    unknown_row(road, where(road, **SOON | {"readback_after": 9}), sold(0, 1))
    Readback.objects.update(due_at=timezone.now())
    Destination.objects.update(waits_until=None)
    [desk] = reading.claim_due(set())
    [one] = reading.begin(desk, 9, lambda request: request)
    return desk, one


def shown(desk: Desk, one: Look, conversions: int) -> None:
    """The vendor answers the look: it shows so many that are just like the rows."""
    event = {"time": int(time.time() * 1000), "data": {"goalId": 36151, "revenue": 5}}
    visit = {"conversionEvents": [event] * conversions}
    one.response = Response(200, {}, json.dumps({"previousVisits": [visit]}).encode())
    one.ended_at, one.said = timezone.now(), look.of_answer(desk.connector, one.response, ())
    findings.settle(desk, [one])


@pytest.mark.parametrize(("conversions", "status"), [(1, "unknown"), (2, "accepted")])
def test_a_row_does_not_get_what_may_be_that_of_one_that_is_sent_again(
    road: Road, looked_for: tuple[Desk, Look], conversions: int, status: str
) -> None:
    resent, other = Delivery.objects.order_by("pk")
    control.resolve(resent, "resend", "once more", road.olivia)
    shown(*looked_for, conversions)
    other.refresh_from_db()
    assert other.status == status
    tallies(other.send)


@pytest.mark.parametrize("as_", ["resend", "abandoned"])
def test_a_look_of_a_dead_reader_gets_its_answer_though_nobody_looks_for_the_rows_any_more(
    road: Road, looked_for: tuple[Desk, Look], as_: str
) -> None:
    for row in Delivery.objects.all():
        control.resolve(row, as_, "never mind", road.olivia)
    lapse()
    assert [sweep.one_pass()["abandoned"] for _sweeper in range(2)] == [1, 0]
    assert Answer.objects.filter(error__startswith="The worker stopped").count() == 1
    assert Answer.objects.count() == Attempt.objects.count()
    assert set(Readback.objects.values_list("state", "attempt")) == {(S.STOPPED, None)}
    assert chain.verify().ok
