"""A clock that jumps by an hour: forwards it costs no more than a lease, backwards nothing stands still for an hour."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from offline_portal import claims, health
from offline_portal.access import idempotency
from offline_portal.audit import chain
from offline_portal.delivery import claiming, hold, sweep
from offline_portal.delivery.writing import Book
from offline_portal.models import Batch, Destination, Heartbeat, Send, Wakeup
from tests.conftest import Road
from tests.delivery.test_faults import begin_and_die
from tests.delivery.test_road import KISS, QUBIT, counts

HOUR = timedelta(hours=1)


class Clock:
    """The portal's clock; `ahead` of the true one."""

    def __init__(self, true_now: Any) -> None:
        self._true_now, self.ahead = true_now, timedelta()

    def now(self) -> datetime:
        return self._true_now() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(timezone.now)
    monkeypatch.setattr(timezone, "now", clock.now)
    return clock


@pytest.fixture
def send(road: Road) -> Send:
    return road.check(road.upload(QUBIT), road.destination("qubit"))


def test_an_hour_forwards_takes_a_living_worker_for_dead_and_nothing_goes_twice(
    road: Road, send: Send, clock: Clock
) -> None:
    road.queue(send)
    parcels = begin_and_die(road, send)
    [held] = [hold.load(batch.pk, batch.fence) for batch in Batch.objects.exclude(lease_until=None)]
    clock.ahead = HOUR
    assert sweep.one_pass()["abandoned"] == 3
    with pytest.raises(claims.ClaimLost):
        Book(held).turn([], parcels)
    send = road.shift(send, 2)
    assert (send.status, counts(send)) == ("finished", {"unknown": 250})
    assert road.emulator.counts("qubit")["requests"] == 0
    assert chain.verify().ok


def test_an_hour_backwards_does_not_hold_the_work_of_a_dead_worker_for_an_hour(
    road: Road, send: Send, clock: Clock, settings: LazySettings
) -> None:
    clock.ahead = HOUR
    sweep.one_pass()
    road.queue(send)
    begin_and_die(road, send)
    clock.ahead = timedelta()
    assert sweep.one_pass()["abandoned"] == 0
    # A lease later, by the clock as it goes now.
    clock.ahead = timedelta(seconds=settings.PORTAL_LEASE + 1)
    assert sweep.one_pass()["abandoned"] == 3
    send = road.shift(send, 2)
    assert (send.status, counts(send)) == ("finished", {"unknown": 250})
    assert chain.verify().ok


def test_an_hour_backwards_does_not_make_pauses_and_wake_ups_last_for_an_hour(
    road: Road, clock: Clock
) -> None:
    send = road.queue(road.check(road.upload(KISS), road.destination("kissmetrics")))
    clock.ahead = HOUR
    sweep.one_pass()
    Batch.objects.update(due_at=timezone.now() + timedelta(seconds=30))
    Destination.objects.update(waits_until=timezone.now() + timedelta(seconds=40))
    Wakeup.objects.update(created_at=timezone.now())
    clock.ahead = timedelta()
    sweep.one_pass()
    assert Batch.objects.get().due_at <= timezone.now() + timedelta(seconds=31)
    assert timezone.now() < Destination.objects.get().waits_until <= timezone.now() + timedelta(seconds=41)
    clock.ahead = timedelta(seconds=42)
    assert sweep.one_pass()["shifts"] == 1, "the wake-up of the hour to come is not waited for"
    assert counts(road.shift(send)) == {"accepted": 120}


def test_a_wait_that_the_vendor_asked_for_is_not_cut_short_by_a_clock_that_goes_right(road: Road, clock: Clock) -> None:
    road.queue(road.check(road.upload(KISS), road.destination("kissmetrics")))
    until = timezone.now() + HOUR * 20
    Destination.objects.update(waits_until=until)
    for _ in range(3):
        sweep.one_pass()
        clock.ahead += timedelta(seconds=10)
    assert Destination.objects.get().waits_until == until


def test_a_pause_that_a_worker_an_hour_ahead_noted_does_not_last_for_an_hour(road: Road, clock: Clock) -> None:
    road.queue(road.check(road.upload(KISS), road.destination("kissmetrics")))
    clock.ahead = HOUR
    [held] = claiming.claim_due(set())
    hold.give_back(held, again=True, settled=False)
    clock.ahead = timedelta()
    sweep.one_pass()
    assert Destination.objects.get().waits_until <= timezone.now() + timedelta(seconds=hold.ASKED_AGAIN_AFTER)


def test_a_key_of_a_call_that_died_is_free_again_after_a_clock_was_set_back(
    road: Road, clock: Clock, settings: LazySettings
) -> None:
    clock.ahead = HOUR
    sweep.one_pass()
    idempotency.begin(road.olivia, "once", "POST /x", "digest")
    clock.ahead = timedelta()
    sweep.one_pass()
    clock.ahead = timedelta(seconds=settings.PORTAL_LEASE + 1)
    assert isinstance(idempotency.begin(road.olivia, "once", "POST /x", "digest"), idempotency.Claim)


def test_a_sweeper_that_died_before_the_clock_was_set_back_does_not_look_alive(road: Road, clock: Clock) -> None:
    sweep.one_pass()
    Heartbeat.objects.update(at=timezone.now() + HOUR)
    assert not health.health()["sweeper"]["ok"]
