"""Who looks: one worker at a time, at a fifth of the pace, and nobody where a person stopped it."""

from __future__ import annotations

import threading
import time

import pytest
from django.conf import LazySettings
from django.utils import timezone

from connectors.base import Response
from offline_portal import claims, destinations
from offline_portal.delivery import abandoned, cancelling, claiming, control, sweep
from offline_portal.delivery.readback import findings, look, reading
from offline_portal.models import Answer, Attempt, Batch, Destination, Readback, Reader, Send, Wakeup
from tests.conftest import Road
from tests.delivery.looking import (
    hold_desk,
    lapse,
    look_until,
    looks,
    settled,
    tallies,
    unknown_row,
    vendor,
    verified,
    visits_end,
)
from tests.delivery.test_kameleoon_road import visitors
from tests.delivery.test_road import KISS
from tests.wire.server import Seen, http_answer


@pytest.fixture
def once(settings: LazySettings) -> None:
    """A request is tried once."""
    settings.PORTAL_RETRY_LIMIT = 1


# Stopping, going on, and more than one worker


def test_a_paused_destination_is_not_looked_at_and_goes_on_when_it_is_opened(road: Road) -> None:
    adam, place = road.people["adam"], verified(road, readback_after=9)
    send = road.deliver(road.check(road.upload(visitors(2)), place))
    Readback.objects.update(due_at=timezone.now())
    destinations.change(place, adam, paused=True)
    visits_end(road)
    send = road.shift(send, 2)
    assert (tallies(send), looks()) == ({"looking": 2}, 0)
    assert sweep.one_pass()["shifts"] == 0
    destinations.change(place, adam, paused=False)
    assert tallies(settled(road, send)) == {"confirmed": 2}


def test_pausing_in_the_middle_ends_the_looking_there(road: Road) -> None:
    send = road.deliver(road.check(road.upload(visitors(2)), verified(road, readback_after=9)))
    Readback.objects.update(due_at=timezone.now())
    [desk] = reading.claim_due(set())
    Destination.objects.update(paused=True)
    assert reading.begin(desk, 5, lambda request: request) == []
    assert send.pk and looks() == 0


def test_one_whose_looks_cannot_be_closed_does_not_keep_the_sweeper_from_the_others(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [verified(road, name, readback_after=9) for name in ("bad", "good")]
    for place in places:
        road.deliver(road.check(road.upload(visitors(2)), place))
    Readback.objects.update(due_at=timezone.now())
    for desk in reading.claim_due(set()):
        assert reading.begin(desk, 9, lambda request: request)
    lapse()
    close = findings.close_abandoned

    def stumble(desk: reading.Desk) -> int:
        if desk.destination == places[0].pk:
            raise ValueError("a mistake of ours")
        return close(desk)

    monkeypatch.setattr(findings, "close_abandoned", stumble)
    assert sweep.one_pass()["abandoned"] == 2
    assert set(Attempt.objects.filter(readback=True, answer=None).values_list("batch__destination", flat=True)) == {
        places[0].pk
    }


def test_an_archived_destination_is_not_looked_at(road: Road) -> None:
    place = verified(road, readback_after=0.01)
    send = road.deliver(road.check(road.upload(visitors(2)), place), 0.3)
    destinations.archive(place, road.people["adam"])
    assert tallies(road.shift(send, 2)) == {"looking": 2}
    assert (looks(), reading.next_due()) == (0, None)


def test_verify_switched_off_holds_accepted_rows_but_not_unknown_ones(road: Road, once: None) -> None:
    place = verified(road, readback_after=0.02)
    send = road.deliver(road.check(road.upload(visitors(2)), place), 0.3)
    lost = unknown_row(road, place, visitors(5, first=4))
    destinations.change(place, road.people["adam"], settings={"verify": False})
    visits_end(road)
    lost = settled(road, lost)
    assert (tallies(lost), tallies(send)) == ({"confirmed": 1}, {"looking": 2})
    destinations.change(place, road.people["adam"], settings={"verify": True})
    assert tallies(settled(road, send)) == {"confirmed": 2}


def test_what_a_cancelled_send_had_sent_is_looked_for_all_the_same(road: Road) -> None:
    place = verified(road, rate=2, readback_after=9, identifier="mappingIdentifier")
    send = road.queue(road.check(road.upload(visitors(60)), place))
    send = look_until(road, send, lambda send: send.accepted)
    send = control.cancel(send, road.olivia)
    cancelling.run(send.pk)
    send.refresh_from_db()
    assert send.accepted and send.cancelled and tallies(send) == {"looking": send.accepted}
    visits_end(road)
    Readback.objects.update(due_at=timezone.now())
    assert tallies(settled(road, send)) == {"confirmed": send.accepted}


def test_one_worker_at_a_time_looks_at_a_destination(road: Road) -> None:
    send, desk = hold_desk(road)
    assert reading.claim_due(set()) == []
    assert tallies(road.shift(send, 1.5)) == {"looking": 3} and looks() == 0
    reading.give_back(desk)
    assert tallies(settled(road, send)) == {"confirmed": 3}


def test_a_reader_that_lost_its_claim_writes_nothing(road: Road) -> None:
    send, desk = hold_desk(road)
    begun = reading.begin(desk, 9, lambda request: request)
    assert len(begun) == looks() == 3
    for one in begun:
        one.response, one.ended_at = Response(200, {}, b'{"previousVisits": []}'), timezone.now()
        one.said = look.of_answer(desk.connector, one.response, ())
    lapse()
    assert tallies(settled(road, send)) == {"confirmed": 3}
    with pytest.raises(claims.ClaimLost):
        findings.settle(desk, begun)
    with pytest.raises(claims.ClaimLost):
        reading.begin(desk, 9, lambda request: request)
    assert tallies(send) == {"confirmed": 3}
    assert Answer.objects.count() == Attempt.objects.count()


def test_looks_of_a_dead_reader_get_an_answer_and_are_repeated(road: Road, settings: LazySettings) -> None:
    settings.PORTAL_RETRY_BASE = 0.05
    send, desk = hold_desk(road)
    reading.begin(desk, 9, lambda request: request)
    assert sweep.one_pass()["abandoned"] == 0
    lapse()
    Wakeup.objects.all().delete()
    found = [sweep.one_pass() for _sweeper in range(2)]
    assert [one["abandoned"] for one in found] == [3, 0]
    assert Answer.objects.filter(attempt__readback=True, error__startswith="The worker stopped").count() == 3
    assert set(Readback.objects.values_list("attempt", "tries", "failures")) == {(None, 0, 1)}
    assert tallies(settled(road, send)) == {"confirmed": 3}


def test_the_sweeper_wakes_a_worker_for_looks_that_are_due(road: Road) -> None:
    send = road.deliver(road.check(road.upload(visitors(1)), verified(road, readback_after=9)), 1)
    Wakeup.objects.all().delete()
    assert sweep.one_pass()["shifts"] == 0
    Readback.objects.update(due_at=timezone.now())
    assert (send.status, sweep.one_pass()["shifts"]) == ("finished", 1)
    assert sweep.one_pass()["shifts"] == 0, "it is woken already"


def test_a_look_under_way_is_no_business_of_the_batch(road: Road, once: None) -> None:
    send, desk = hold_desk(road)
    [first, *_others] = reading.begin(desk, 9, lambda request: request)
    # The Batch of these rows comes back with others of them.
    Batch.objects.filter(pk=first.batch).update(done=False)
    Send.objects.filter(pk=send.pk).update(status="sending")
    [held] = claiming.claim_due(set())
    assert abandoned.close(held) == 0
    assert Answer.objects.filter(attempt__readback=True).count() == 0

# The pace


def test_looks_take_a_fifth_of_the_pace_at_most_and_hold_up_no_send(road: Road) -> None:
    answered: dict[str, list[float]] = {"GET": [], "POST": []}
    finished, through = threading.Event(), list[int]()

    def answer(seen: Seen) -> bytes:
        method = seen.line.split()[0]
        answered[method].append(time.monotonic())
        if method == "GET":
            finished.wait(25)  # The first looks hang until the other send is through.
        return http_answer(b'{"previousVisits": []}' if method == "GET" else b"")

    with vendor(answer) as server:
        place = verified(
            road, base_url=server.url, rate=50, readback_after=9, readback_tries=1, identifier="mappingIdentifier"
        )
        send = look_until(
            road, road.queue(road.check(road.upload(visitors(40)), place)), lambda send: send.accepted == 40
        )
        Readback.objects.update(due_at=timezone.now())
        other = road.queue(road.check(road.upload(visitors(140, first=50), "b.csv"), place))

        def watch() -> None:
            while len(answered["POST"]) < 130 and not finished.wait(0.05):
                pass
            through.append(len(answered["POST"]))
            finished.set()

        threading.Thread(target=watch, daemon=True).start()
        other = look_until(road, other, lambda send: send.accepted == 90)
        send = settled(road, send)
    assert through == [130], "all rows went while the first looks hung"
    assert (tallies(send), tallies(other)) == ({"not_found": 40}, {"looking": 90})
    moments = sorted(answered["GET"])
    for start in moments:
        within = [moment for moment in moments if start <= moment < start + 2]
        assert len(within) <= 2 * 10 + 4, "10 a second, but for what was given out ahead"
    both = sorted(moments + answered["POST"])
    for start in both:
        assert len([moment for moment in both if start <= moment < start + 2]) <= 2 * 50 + 15


def test_a_look_that_hangs_at_the_end_of_a_shift_holds_up_no_send(road: Road) -> None:
    through, sent = threading.Event(), list[int]()

    def answer(seen: Seen) -> bytes:
        if seen.line.startswith("GET"):
            through.wait(25)
        return http_answer(b'{"previousVisits": []}')

    def watch() -> None:
        while road.emulator.counts("kissmetrics")["requests"] < 20 and not through.wait(0.1):
            pass
        sent.append(road.emulator.counts("kissmetrics")["requests"])
        through.set()

    with vendor(answer) as server:
        slow = verified(road, base_url=server.url, readback_after=9)
        road.deliver(road.check(road.upload(visitors(1)), slow), 1)
        other = road.queue(road.check(road.upload(KISS), road.destination("kissmetrics", values={"rate": 5})))
        Readback.objects.update(due_at=timezone.now())
        threading.Thread(target=watch, daemon=True).start()
        other = road.shift(other, 1)
    assert sent == [20], "five a second, for longer than the second that the shift lasted"
    assert looks() == 1 and other.accepted >= 20


def test_at_a_slow_pace_looks_still_come(road: Road) -> None:
    send = road.deliver(road.check(road.upload(visitors(3)), verified(road, rate=4, readback_after=0.01)), 1)
    visits_end(road)
    assert tallies(settled(road, send)) == {"confirmed": 3}
    begun = Attempt.objects.filter(readback=True).order_by("pk").values_list("started_at", flat=True)
    assert (begun[2] - begun[0]).total_seconds() >= 1.5, "at most 0.8 a second"


def test_without_redis_nobody_looks_and_nothing_is_lost(road: Road, settings: LazySettings) -> None:
    send, desk = hold_desk(road)
    reading.give_back(desk)
    working, settings.REDIS_URL = settings.REDIS_URL, "unix:///nowhere/redis.sock"
    assert tallies(road.shift(send, 1)) == {"looking": 3} and looks() == 0
    settings.REDIS_URL = working
    Reader.objects.update(waits_until=None)
    assert tallies(settled(road, send)) == {"confirmed": 3}
