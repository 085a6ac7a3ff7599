"""Workers that stumble, answers that take long, and shifts that wake each other for nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connections
from django.db.models import F
from django.utils import timezone

from offline_portal.delivery import abandoned, claiming, control, hold, shift, sweep
from offline_portal.delivery.gate import Gate
from offline_portal.delivery.writing import Book
from offline_portal.models import Batch, Destination, Send, Wakeup
from tests.conftest import Road
from tests.delivery.test_faults import begin_and_die, lapse
from tests.delivery.test_road import KISS, QUBIT, counts

BATCHES = QUBIT.splitlines()[0] + "\n" + "".join(
    f"visitor-{n},2026-10-05 09:00:00,{n}.50,EUR,order-{n}\n" for n in range(20)
)  # fmt: skip


def test_what_a_worker_began_before_it_stumbled_ends_though_its_send_is_cancelled(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    road.emulator.set("qubit", delay_ms=300)
    send = road.queue(road.check(road.upload(BATCHES), road.destination("qubit")))
    turn = Book.turn

    def stumble(book: Book, landed: Any, parcels: Any) -> bool:
        if landed:
            raise ValueError("a mistake of ours")
        return turn(book, landed, parcels)

    monkeypatch.setattr(Book, "turn", stumble)
    road.shift(send, 2)
    monkeypatch.setattr(Book, "turn", turn)
    control.cancel(Send.objects.get(pk=send.pk), road.olivia)
    lapse(lease_until__isnull=False)
    sweep.one_pass()
    send.refresh_from_db()
    assert counts(send) == {"unknown": 20}


def test_one_batch_that_cannot_be_closed_does_not_keep_the_sweeper_from_the_others(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = road.queue(road.check(road.upload(QUBIT), road.destination("qubit")))
    begin_and_die(road, bad)
    good = road.queue(road.check(road.upload(KISS), road.destination("kissmetrics")))
    begin_and_die(road, good)
    lapse(send=bad)
    time.sleep(0.01)
    lapse(send=good)
    close = abandoned.close

    def stumble(held: hold.Hold) -> int:
        if held.send == bad.pk:
            raise ValueError("a mistake of ours")
        return close(held)

    monkeypatch.setattr(abandoned, "close", stumble)
    assert sweep.one_pass()["abandoned"] == 120
    good.refresh_from_db()
    assert good.sending == 0


def test_a_shift_wakes_no_other_while_nothing_falls_due(road: Road) -> None:
    where = road.destination("kissmetrics")
    send = road.queue(road.check(road.upload(KISS), where))
    where.waits_until = timezone.now() + timedelta(hours=1)
    where.save()
    Wakeup.objects.all().delete()
    begun = time.monotonic()
    shift.run(20)
    assert time.monotonic() - begun < 15
    assert not Wakeup.objects.exists(), "or shifts would follow each other for an hour"
    where.waits_until = timezone.now()
    where.save()
    assert sweep.one_pass()["shifts"] == 1
    assert counts(road.shift(send)) == {"accepted": 120}


def test_the_next_batch_is_that_which_somebody_can_take_first(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.base.Connector.rows_a_batch", 10)
    road.queue(road.check(road.upload(BATCHES), road.destination("qubit")))
    assert Batch.objects.count() == 2
    Batch.objects.filter(number=1).update(due_at=timezone.now() - timedelta(minutes=1))
    assert claiming.claim_due(set())[0].batch == Batch.objects.get(number=1).pk
    due = claiming.next_due()
    assert due is not None and due <= timezone.now(), "the other one is free"


def test_a_slow_answer_is_awaited_for_longer_than_a_lease(road: Road, settings: LazySettings) -> None:
    settings.PORTAL_LEASE = 4
    road.emulator.set("qubit", delay_ms=9_000)
    send = road.queue(road.check(road.upload(BATCHES), road.destination("qubit")))

    def work() -> None:
        try:
            shift.run(2)
        finally:
            connections.close_all()

    worker = threading.Thread(target=work)
    worker.start()
    while worker.is_alive():
        sweep.one_pass()
        time.sleep(0.2)
    send.refresh_from_db()
    assert counts(send) == {"accepted": 20}, "taken for dead while it waited"


def test_a_vendor_that_was_down_for_long_is_asked_within_two_minutes_of_being_back(
    road: Road, settings: LazySettings
) -> None:
    assert settings.PORTAL_RETRY_CEILING == 300
    where = road.destination("kissmetrics")
    road.queue(road.check(road.upload(KISS), where))
    Batch.objects.update(tries=20)
    Destination.objects.update(failures=20)
    for _ in range(20):
        [held] = claiming.claim_due(set())
        hold.give_back(held, again=True, settled=False)
        due = claiming.next_due()
        assert due is not None
        assert (due - timezone.now()).total_seconds() + settings.PORTAL_SWEEP_EVERY < 115
        Batch.objects.update(due_at=timezone.now(), tries=20)
        Destination.objects.update(failures=20, waits_until=None)


def test_an_outage_does_not_make_row_after_row_unknown_where_a_repeat_could_count_twice(
    road: Road, settings: LazySettings
) -> None:
    settings.PORTAL_RETRY_BASE = 0.3
    where = road.destination("qubit", values={"rate": 4})
    text = BATCHES.splitlines()[0] + "\n" + "".join(
        f"visitor-{n},2026-10-05 09:00:00,{n}.50,EUR,order-{n}\n" for n in range(2_000)
    )  # fmt: skip
    send = road.queue(road.check(road.upload(text), where))
    road.emulator.set("qubit", status=500)
    send = road.shift(send, 4)
    where.refresh_from_db()
    assert where.failures >= 2, "it is probed after growing pauses"
    # What its lanes held when the first answers came; each probe after them is a single row.
    assert 0 < send.unknown <= 5 * 100 + where.failures
    assert send.unknown % 100, "a probe is a single row"
    assert send.queued == 2_000 - send.unknown
    road.emulator.clear()
    Batch.objects.update(due_at=timezone.now())
    where.waits_until = None
    where.save()
    unknown = send.unknown
    send = road.shift(send, 30)
    assert counts(send) == {"unknown": unknown, "accepted": 2_000 - unknown}
    where.refresh_from_db()
    assert where.failures == 0


def test_a_lane_that_does_not_hear_of_its_end_sends_nothing_and_holds_nobody(
    road: Road, monkeypatch: pytest.MonkeyPatch, settings: LazySettings
) -> None:
    """Redis' client, and `asyncio.wait_for` in it, may keep to itself that a task is cancelled."""
    settings.PORTAL_LEASE = 0.6
    send = road.queue(road.check(road.upload(KISS), road.destination("kissmetrics")))

    def take_over() -> None:
        Batch.objects.update(fence=F("fence") + 1)
        connections.close_all()

    async def deaf(_gate: Gate) -> None:
        await asyncio.to_thread(take_over)
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    monkeypatch.setattr(Gate, "leave", deaf)
    began = time.monotonic()
    road.shift(send, 3)
    assert time.monotonic() - began < 20
    assert road.emulator.counts("kissmetrics")["requests"] == 0
