"""Workers that die, lose their claim, or find Redis empty: nothing is lost, nothing doubled, nothing guessed."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import IntegrityError, connections
from django.utils import timezone
from redis import Redis

import connectors
from connectors.base import Request
from offline_portal import checks, claims, destinations
from offline_portal.audit import chain
from offline_portal.delivery import claiming, control, hold, queue, release, sweep
from offline_portal.delivery.writing import Book, Parcel
from offline_portal.intake import store
from offline_portal.models import Answer, Attempt, Batch, Delivery, Heartbeat, Outcome, Row, Send, Upload, Wakeup
from tests.conftest import Road
from tests.delivery.test_road import KISS, QUBIT, counts


def begin_and_die(road: Road, send: Send) -> list[Parcel]:
    """A worker that claimed a Batch, wrote its Attempts, and was killed before any answer."""
    [held] = claiming.claim_due(set())
    parcels = []
    for rows in hold.requests_of(held, hold.queued_rows(held)):
        request = held.connector.build([row.payload for row in rows], held.settings, held.secrets)
        parcels.append(Parcel(rows, request))
    assert Book(held).turn([], parcels)
    return parcels


def lapse(**state: object) -> None:
    Batch.objects.filter(**state).update(lease_until=timezone.now() - timedelta(seconds=1))


def test_attempts_of_a_dead_worker_end_unknown_where_a_repeat_could_count_twice(road: Road) -> None:
    send = road.queue(road.check(road.upload(QUBIT), road.destination("qubit")))
    begin_and_die(road, send)
    send.refresh_from_db()
    assert counts(send) == {"sending": 250}
    lapse()
    assert sweep.one_pass()["abandoned"] == 3
    send = road.shift(send, 3)
    assert (send.status, counts(send)) == ("finished", {"unknown": 250})
    assert road.emulator.counts("qubit")["requests"] == 0
    assert Answer.objects.exclude(error="").count() == 3
    assert chain.verify().ok


def test_attempts_of_a_dead_worker_are_repeated_where_that_is_harmless(road: Road) -> None:
    send = road.queue(road.check(road.upload(KISS), road.destination("kissmetrics")))
    begin_and_die(road, send)
    lapse()
    sweep.one_pass()
    send = road.shift(send)
    assert counts(send) == {"accepted": 120}
    assert set(Delivery.objects.values_list("attempt_count", flat=True)) == {2}
    assert Outcome.objects.count() == 240


def test_a_worker_that_lost_its_claim_writes_nothing(road: Road) -> None:
    send = road.queue(road.check(road.upload(QUBIT), road.destination("qubit")))
    [held] = claiming.claim_due(set())
    rows = hold.queued_rows(held)
    lapse()
    [later] = claiming.claim_due(set())
    assert (later.batch, later.fence) == (held.batch, held.fence + 1)
    with pytest.raises(claims.ClaimLost):
        Book(held).turn([], [Parcel(rows[:1], Request("POST", "http://127.0.0.1/"))])
    assert not Attempt.objects.exists()
    hold.give_back(held, again=False, settled=False)
    assert Batch.objects.get(pk=held.batch).lease_until is not None
    assert counts(Send.objects.get(pk=send.pk)) == {"queued": 250}


def test_cancelled_rows_are_not_begun_by_a_worker_that_read_them_before(road: Road) -> None:
    send = road.queue(road.check(road.upload(QUBIT), road.destination("qubit")))
    [held] = claiming.claim_due(set())
    rows = hold.queued_rows(held)
    control.cancel(send, road.olivia)
    assert not Book(held).turn([], [Parcel(rows[:100], Request("POST", "http://127.0.0.1/"))])
    assert not Attempt.objects.exists()


def test_reading_and_checking_resume_behind_the_last_chunk(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offline_portal.intake.store.CHUNK", 50)
    monkeypatch.setattr("offline_portal.checks.judging.CHUNK", 50)
    upload = road.upload(KISS)
    # As if the worker had died after two chunks, its third never committed.
    Row.objects.filter(upload=upload, line__gt=101).delete()
    Upload.objects.filter(pk=upload.pk).update(status="reading", rows=100, lease_until=timezone.now())
    store.read(upload.pk)
    upload.refresh_from_db()
    assert (upload.status, upload.rows, Row.objects.filter(upload=upload).count()) == ("ready", 120, 120)

    send = road.check(upload, road.destination("kissmetrics"))
    Delivery.objects.filter(send=send, line__gt=51).delete()
    Send.objects.filter(pk=send.pk).update(status="checking", reached_line=51, unchecked=70, ready=50)
    checks.run(send.pk)
    send.refresh_from_db()
    assert (send.status, send.ready, send.unchecked) == ("checked", 120, 0)
    assert Delivery.objects.filter(send=send).count() == 120


def test_queueing_resumes_behind_the_last_chunk(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "CHUNK", 50)
    send = road.check(road.upload(KISS), road.destination("kissmetrics"))
    release.queue(send, road.olivia)
    fill, calls = queue._fill_batches, []

    def fill_or_die(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        fill(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(queue, "_fill_batches", fill_or_die)
        with pytest.raises(KeyboardInterrupt):
            queue.run(send.pk)
    assert Send.objects.get(pk=send.pk).reached_line == 51
    Send.objects.filter(pk=send.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    queue.run(send.pk)
    send.refresh_from_db()
    assert (send.status, counts(send)) == ("queued", {"queued": 120})
    assert sum(Batch.objects.values_list("rows", flat=True)) == 120
    assert Delivery.objects.filter(batch__isnull=False, status="queued").count() == 120


def test_an_emptied_redis_is_woken_again_from_the_database(road: Road, redis_url: str) -> None:
    send = road.queue(road.check(road.upload(KISS), road.destination("kissmetrics")))
    with Redis.from_url(redis_url) as client:
        assert client.llen("rq:queue:delivery") == 1
        client.flushall()
        sweep.one_pass()
        assert client.llen("rq:queue:delivery") == 0, "the note is still fresh"
        Wakeup.objects.update(created_at=timezone.now() - timedelta(minutes=2))
        assert sweep.one_pass()["shifts"] == 1
        assert client.llen("rq:queue:delivery") == 1
    assert Heartbeat.objects.get(name="sweeper").at > timezone.now() - timedelta(seconds=30)
    assert send.status == "queued"


def test_without_redis_nothing_is_sent_and_nothing_is_lost(road: Road, settings: LazySettings) -> None:
    send = road.queue(road.check(road.upload(KISS), road.destination("kissmetrics")))
    working, settings.REDIS_URL = settings.REDIS_URL, "unix:///nowhere/redis.sock"
    send = road.shift(send, 1)
    assert counts(send) == {"queued": 120}
    assert road.emulator.counts("kissmetrics")["requests"] == 0
    settings.REDIS_URL = working
    Batch.objects.update(due_at=timezone.now())
    assert counts(road.shift(send)) == {"accepted": 120}


def test_twenty_clicks_make_one_send(road: Road) -> None:
    send = road.check(road.upload(KISS), road.destination("kissmetrics"))

    def click() -> None:
        try:
            release.queue(send, road.olivia)
            queue.run(send.pk)
        finally:
            connections.close_all()

    clicks = [threading.Thread(target=click) for _ in range(20)]
    for thread in clicks:
        thread.start()
    for thread in clicks:
        thread.join()
    send = road.shift(Send.objects.get(pk=send.pk))
    assert counts(send) == {"accepted": 120}
    assert road.emulator.counts("kissmetrics")["requests"] == 120


def test_a_shift_ends_in_time_and_another_goes_on(road: Road) -> None:
    road.emulator.set("kissmetrics", delay_ms=100)
    where = road.destination("kissmetrics", values={"rate": 20})
    send = road.deliver(road.check(road.upload(KISS), where), seconds=2)
    assert 0 < send.accepted < 80
    assert send.queued + send.accepted == 120
    assert Wakeup.objects.filter(queue="delivery").exists()


def test_counters_that_do_not_add_up_are_refused_by_the_database(road: Road) -> None:
    send = road.check(road.upload(KISS), road.destination("kissmetrics"))
    with pytest.raises(IntegrityError):
        Send.objects.filter(pk=send.pk).update(ready=119)
    with pytest.raises(IntegrityError):
        Send.objects.filter(pk=send.pk).update(accepted=119)


def test_a_vendor_that_is_down_is_probed_by_one_request_at_a_time(
    road: Road, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PORTAL_RETRY_BASE = 0.2
    monkeypatch.setattr(connectors.base.Connector, "rows_a_batch", 1_000)
    # Three Batches, so that a back-off kept by each of them alone would show.
    text = QUBIT.splitlines()[0] + "\n" + "".join(
        f"visitor-{n},2026-10-05 09:00:00,{n}.50,EUR,order-{n}\n" for n in range(2_500)
    )
    where = road.destination("qubit", values={"repeat_unknown": True})
    send = road.queue(road.check(road.upload(text), where))
    assert Batch.objects.count() == 3
    road.emulator.set("qubit", status=500)
    send = road.shift(send, 4)
    assert counts(send) == {"queued": 2_500}
    where.refresh_from_db()
    assert where.failures >= 3
    # The first claim meets the outage with what its lanes hold; later ones with a single request each.
    assert road.emulator.counts("qubit")["requests"] <= 10 + where.failures
    road.emulator.clear()
    where.waits_until = None
    where.save()
    Batch.objects.update(due_at=timezone.now())
    send = road.shift(send, 10)
    assert counts(send) == {"accepted": 2_500}
    where.refresh_from_db()
    assert where.failures == 0


def test_a_batch_that_cannot_be_built_does_not_stop_the_others(
    road: Road, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = road.queue(road.check(road.upload(QUBIT), road.destination("qubit")))
    sound = road.queue(road.check(road.upload(KISS), road.destination("kissmetrics")))

    def build(*_arguments: object) -> Request:
        raise ValueError("a mistake of ours")

    monkeypatch.setattr("connectors.qubit.Qubit.build", build)
    road.shift(sound, 2)
    assert counts(Send.objects.get(pk=sound.pk)) == {"accepted": 120}
    broken = Send.objects.get(pk=broken.pk)
    assert (broken.status, counts(broken)) == ("paused", {"queued": 250})
    assert "cannot be sent" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_destination_opened_in_the_moment_that_a_send_is_queued_leaves_none_behind(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, adam = road.destination("qubit"), road.people["adam"]
    destinations.change(where, adam, paused=True, reason="key revoked")
    send = road.check(road.upload(QUBIT), where)
    release.queue(send, road.olivia)
    finish_if_over = queue.finish_if_over
    openers: list[threading.Thread] = []

    def open_it() -> None:
        destinations.change(where, adam, paused=False)
        connections.close_all()

    def while_somebody_opens_it(pk: int) -> bool:
        openers.append(threading.Thread(target=open_it))
        openers[0].start()
        openers[0].join(0.5)
        return finish_if_over(pk)

    monkeypatch.setattr(queue, "finish_if_over", while_somebody_opens_it)
    queue.run(send.pk)
    openers[0].join()
    assert Send.objects.get(pk=send.pk).status == "queued"
    assert counts(road.shift(send, 3)) == {"accepted": 250}
