"""What a person decides about unknown rows while a look for them is on the wire."""

from __future__ import annotations

import pytest
from django.conf import LazySettings
from django.utils import timezone

from offline_portal.audit import chain
from offline_portal.delivery import control, sweep
from offline_portal.delivery.readback import reading
from offline_portal.models import Answer, Attempt, Delivery, Destination, Readback
from tests.conftest import Road
from tests.delivery.looking import SOON, S, lapse, sold, unknown_row
from tests.delivery.test_kameleoon_road import where


@pytest.mark.parametrize("as_", ["resend", "abandoned"])
def test_a_look_of_a_dead_reader_gets_its_answer_though_nobody_looks_for_the_rows_any_more(
    road: Road, settings: LazySettings, as_: str
) -> None:
    settings.PORTAL_RETRY_LIMIT = 1
    unknown_row(road, where(road, **SOON | {"readback_after": 9}), sold(0, 1))
    Readback.objects.update(due_at=timezone.now())
    Destination.objects.update(waits_until=None)
    [desk] = reading.claim_due(set())
    assert len(reading.begin(desk, 9, lambda request: request)) == 1
    for row in Delivery.objects.all():
        control.resolve(row, as_, "never mind", road.olivia)
    lapse()
    assert [sweep.one_pass()["abandoned"] for _sweeper in range(2)] == [1, 0]
    assert Answer.objects.filter(error__startswith="The worker stopped").count() == 1
    assert Answer.objects.count() == Attempt.objects.count()
    assert set(Readback.objects.values_list("state", "attempt")) == {(S.STOPPED, None)}
    assert chain.verify().ok
