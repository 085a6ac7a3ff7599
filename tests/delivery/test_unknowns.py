"""Unknown rows at a vendor that can be asked: found, they were accepted; not found, nobody knows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.utils import timezone

from offline_portal.delivery import control
from offline_portal.delivery.readback import reading
from offline_portal.models import Batch, Delivery, Destination, Readback
from tests.conftest import Road
from tests.delivery.looking import SOON, S, look_until, settled, sold, tallies, unknown_row, verified, visits_end
from tests.delivery.test_kameleoon_road import visitors, where
from tests.delivery.test_road import counts


@pytest.fixture
def once(settings: LazySettings) -> None:
    """A request is tried once."""
    settings.PORTAL_RETRY_LIMIT = 1


def test_an_unknown_row_that_the_vendor_shows_was_accepted(road: Road, once: None) -> None:
    send = unknown_row(road, where(road, **SOON | {"readback_after": 0.05}), visitors(3))
    assert (send.status, counts(send)) == ("finished", {"unknown": 3})
    assert tallies(send) == {"looking": 3}, "also where accepted rows are not read back"
    visits_end(road)
    send = settled(road, send)
    assert (send.status, counts(send), tallies(send)) == ("finished", {"accepted": 3}, {"confirmed": 3})
    assert set(Delivery.objects.values_list("evidence", "code", "message", "resolved")) == {("confirmed", "", "", "")}
    assert set(Delivery.objects.values_list("attempt_count", flat=True)) == {1}
    assert road.emulator.counts("kameleoon")["effective"] == 3


def test_an_unknown_row_that_the_vendor_never_shows_stays_unknown_and_says_so(road: Road, once: None) -> None:
    send = unknown_row(road, where(road, **SOON), visitors(2), stored=False)
    send = settled(road, send)
    assert (send.status, counts(send), tallies(send)) == ("finished", {"unknown": 2}, {"not_found": 2})
    row = Delivery.objects.earliest("pk")
    assert (row.code, row.evidence) == ("not_found", "")
    assert "In 3 looks the vendor did not show it; it may be there all the same." in row.message
    control.resolve(row, "accepted", "seen in their report", road.olivia)


def test_unknown_rows_come_first(road: Road, once: None) -> None:
    place = verified(road, readback_after=9)
    send = road.deliver(road.check(road.upload(visitors(5)), place), 1)
    lost = unknown_row(road, place, visitors(9, first=7))
    Readback.objects.filter(send=send).update(due_at=timezone.now() - timedelta(hours=1))
    Readback.objects.filter(send=lost).update(due_at=timezone.now())
    Destination.objects.update(waits_until=None)
    [desk] = reading.claim_due(set())
    assert [one.send for one in reading.begin(desk, 3, lambda request: request)] == [lost.pk, lost.pk, send.pk]


def test_an_unknown_row_is_not_confirmed_by_another_one_that_is_just_like_it(road: Road, once: None) -> None:
    place = where(road, **SOON | {"readback_tries": 2})
    twin = road.deliver(road.check(road.upload(sold(0)), place), 1)
    assert (twin.accepted, Readback.objects.count()) == (1, 0)
    send = unknown_row(road, place, sold(1), stored=False)
    visits_end(road)
    send = settled(road, send)
    assert (counts(send), tallies(send)) == ({"unknown": 1}, {"not_found": 1})


def test_of_an_unknown_row_and_its_accepted_twin_that_are_both_stored_both_are_there(road: Road, once: None) -> None:
    place = where(road, **SOON | {"readback_tries": 2, "readback_after": 0.05})
    road.deliver(road.check(road.upload(sold(0)), place), 1)
    send = unknown_row(road, place, sold(1))
    visits_end(road)
    assert tallies(settled(road, send)) == {"confirmed": 1}


def test_a_row_that_is_unknown_because_its_send_was_cancelled_is_looked_for_too(road: Road) -> None:
    road.emulator.change("kameleoon", cut={"value": "after_storing", "times": 1})
    send = road.deliver(road.check(road.upload(visitors(3)), where(road, **SOON | {"readback_after": 0.03})), 0.3)
    assert counts(send) == {"queued": 3}, "it would have been repeated"
    send = control.cancel(send, road.olivia)
    assert (counts(send), tallies(send)) == ({"unknown": 3}, {"looking": 3})
    visits_end(road)
    assert tallies(settled(road, send)) == {"confirmed": 3}
    send.refresh_from_db()
    assert (send.status, counts(send)) == ("cancelled", {"accepted": 3})


def test_a_row_that_is_repeated_no_more_is_looked_for_too(road: Road) -> None:
    road.emulator.change("kameleoon", cut={"value": "after_storing", "times": 1})
    send = road.deliver(road.check(road.upload(visitors(2)), where(road, **SOON | {"readback_after": 0.03})), 0.3)
    Destination.objects.update(waits_until=None)
    Batch.objects.update(due_at=timezone.now())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("offline_portal.delivery.doubt.REPEATED_FOR", timedelta(0))
        send = look_until(road, send, lambda send: send.unknown == 2)
    assert tallies(send) == {"looking": 2}
    visits_end(road)
    assert tallies(settled(road, send)) == {"confirmed": 2}


def test_a_person_need_not_wait_for_the_look(road: Road, once: None) -> None:
    place = where(road, **SOON | {"readback_after": 9})
    send = unknown_row(road, place, visitors(3))
    resent, stated, left = Delivery.objects.order_by("pk")
    control.resolve(resent, "resend", "once more", road.olivia)
    control.resolve(stated, "accepted", "seen there", road.olivia)
    control.resolve(left, "abandoned", "never mind", road.olivia)
    send.refresh_from_db()
    assert tallies(send) == {"looking": 1}
    assert dict(Readback.objects.values_list("delivery", "state")) == {
        resent.pk: "stopped", stated.pk: "looking", left.pk: "stopped"
    }  # fmt: skip
    send = road.shift(send, 1)
    visits_end(road)
    Readback.objects.filter(state=S.LOOKING).update(due_at=timezone.now())
    send = settled(road, send)
    assert (counts(send), tallies(send)) == ({"accepted": 2, "unknown": 1}, {"confirmed": 1})
    found = Delivery.objects.values_list("evidence", flat=True).order_by("pk")
    assert list(found) == ["delivered", "confirmed", ""], "what is shown is worth more than a person's word"


def test_a_row_that_was_resent_and_is_unknown_again_is_looked_for_again(road: Road, once: None) -> None:
    place = where(road, **SOON | {"readback_tries": 1, "readback_after": 0.03})
    send = settled(road, unknown_row(road, place, visitors(1), stored=False))
    assert tallies(send) == {"not_found": 1}
    road.emulator.change("kameleoon", cut={"value": "after_storing", "times": 1})
    control.resolve(Delivery.objects.get(), "resend", "once more", road.olivia)
    send = road.shift(send, 1)
    assert (counts(send), tallies(send)) == ({"unknown": 1}, {"looking": 1})
    visits_end(road)
    assert tallies(settled(road, send)) == {"confirmed": 1}
