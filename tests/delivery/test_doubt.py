"""Rows of which an earlier try may have arrived: nothing that stops them may say that they did not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.utils import timezone

from offline_portal.audit import chain
from offline_portal.delivery import control, doubt, hold, sweep
from offline_portal.models import Batch, Delivery, Destination, Send, SentKey
from tests.conftest import Road
from tests.delivery.test_faults import begin_and_die, lapse
from tests.delivery.test_recovery import BATCHES
from tests.delivery.test_road import KISS, QUBIT, counts


def test_a_row_that_may_have_arrived_is_not_shown_as_cancelled(road: Road) -> None:
    where = road.destination("kissmetrics")
    send = road.queue(road.check(road.upload(KISS), where))
    begun = sum(len(parcel.rows) for parcel in begin_and_die(road, send)[:1])
    assert begun
    lapse()
    sweep.one_pass()
    send.refresh_from_db()
    assert counts(send) == {"queued": 120}
    send = control.cancel(send, road.olivia)
    assert (send.status, counts(send)) == ("cancelled", {"unknown": 120})
    assert SentKey.objects.filter(destination=where).count() == 120, "a repeat by another file would count twice"
    assert Delivery.objects.filter(status="unknown", code="cancelled").count() == 120
    control.resolve(Delivery.objects.get(send=send, line=2), "resend", "it did not arrive", road.olivia)
    send = road.shift(send)
    assert counts(send) == {"accepted": 1, "unknown": 119}


def test_rows_that_nobody_began_are_cancelled(road: Road) -> None:
    road.emulator.set("qubit", cut={"value": "after_storing", "times": 1})
    where = road.destination("qubit", values={"rate": 1, "repeat_unknown": True})
    send = road.deliver(road.check(road.upload(QUBIT), where), seconds=1)
    assert counts(send) == {"queued": 250}
    send = control.cancel(send, road.olivia)
    assert counts(send) == {"unknown": 100, "cancelled": 150}
    assert SentKey.objects.count() == 100
    assert chain.verify().ok


def test_a_row_sent_again_and_then_cancelled_is_as_unknown_as_before(road: Road) -> None:
    road.emulator.set("qubit", cut="after_storing")
    send = road.deliver(road.check(road.upload(BATCHES), road.destination("qubit")), seconds=2)
    assert counts(send) == {"unknown": 20}
    control.resolve(Delivery.objects.get(send=send, line=2), "resend", "it did not arrive", road.olivia)
    send = control.cancel(Send.objects.get(pk=send.pk), road.olivia)
    assert counts(send) == {"unknown": 20}


def test_a_row_that_may_have_arrived_does_not_fail_for_sure(road: Road, settings: LazySettings) -> None:
    settings.PORTAL_RETRY_LIMIT, settings.PORTAL_RETRY_BASE = 2, 60
    road.emulator.set("qubit", cut={"value": "after_storing", "times": 1})
    where = road.destination("qubit", values={"repeat_unknown": True})
    send = road.deliver(road.check(road.upload(BATCHES), where), seconds=1)
    assert counts(send) == {"queued": 20}
    where.current.values = where.current.values | {"base_url": "http://127.0.0.1:9"}
    where.current.save()
    where.waits_until = None
    where.save()
    Batch.objects.update(due_at=timezone.now())
    send = road.shift(send, 3)
    assert counts(send) == {"unknown": 20}


def test_a_row_that_may_have_arrived_is_not_rejected_when_its_repeat_is_refused(road: Road) -> None:
    road.emulator.set("qubit", cut={"value": "after_storing", "times": 1})
    where = road.destination("qubit", values={"repeat_unknown": True})
    send = road.deliver(road.check(road.upload(BATCHES), where), seconds=1)
    assert counts(send) == {"queued": 20}
    road.emulator.set("qubit", fail_every=2)
    Destination.objects.update(waits_until=None)
    Batch.objects.update(due_at=timezone.now())
    send = road.shift(send, 3)
    assert counts(send) == {"accepted": 11, "unknown": 9}
    refused = Delivery.objects.filter(status="unknown").earliest("line")
    assert "may have arrived" in refused.message and "could not be ingested" in refused.message
    assert SentKey.objects.count() == 20, "another file with the row must not count twice"
    assert chain.verify().ok


def test_a_row_that_was_refused_and_surely_did_not_arrive_is_rejected(road: Road, settings: LazySettings) -> None:
    settings.PORTAL_RETRY_BASE = 0
    road.emulator.set("qubit", retry_after={"value": "1", "times": 1}, fail_every=2)
    send = road.deliver(road.check(road.upload(BATCHES), road.destination("qubit")), seconds=4)
    assert counts(send) == {"accepted": 10, "rejected": 10}
    assert set(Delivery.objects.values_list("attempt_count", flat=True)) == {2}


def test_a_row_that_a_person_had_sent_again_is_not_too_old(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    send = road.queue(road.check(road.upload(QUBIT), road.destination("qubit")))
    with monkeypatch.context() as dying:
        dying.setattr(hold, "requests_of", lambda held, rows: [rows[:100]])
        begin_and_die(road, send)
    lapse()
    sweep.one_pass()
    assert counts(Send.objects.get(pk=send.pk)) == {"queued": 150, "unknown": 100}
    row = Delivery.objects.get(send=send, line=2)
    control.resolve(row, "resend", "it did not arrive", road.olivia)
    monkeypatch.setattr(doubt, "REPEATED_FOR", timedelta(0))
    send = road.shift(send, 4)
    assert counts(send) == {"accepted": 151, "unknown": 99}
    row.refresh_from_db()
    assert (row.status, row.attempt_count) == ("accepted", 2)
