"""Cancelling, while workers send, others write, and people decide about rows of the same Send."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from connectors.base import NoAnswer, Response
from offline_portal import destinations
from offline_portal.delivery import cancelling, claiming, control, counting, hold, sweep
from offline_portal.delivery.states import Conflict
from offline_portal.delivery.verdict import Judge
from offline_portal.delivery.writing import Book, Parcel
from offline_portal.models import Delivery, Destination, Send
from tests.conftest import Road
from tests.delivery.test_faults import begin_and_die, lapse
from tests.delivery.test_road import QUBIT, counts

WHY = "the vendor does not have it"


@pytest.fixture
def send(road: Road) -> Send:
    """Three requests, of 100, 100 and 50 rows; the vendor does not tell repeats apart."""
    return road.queue(road.check(road.upload(QUBIT), road.destination("qubit")))


def begin(held: hold.Hold, requests: int) -> list[Parcel]:
    """So many of its requests, as a turn begins them."""
    parcels = [
        Parcel(rows, held.build(rows)) for rows in list(hold.requests_of(held, hold.queued_rows(held)))[:requests]
    ]
    assert Book(held).turn([], parcels)
    return parcels


def end(held: hold.Hold, parcel: Parcel, with_: NoAnswer | Response) -> None:
    """It comes back like that, and is written."""
    judge = Judge(held.connector, [False] * len(parcel.rows), [row.payload for row in parcel.rows])
    parcel.ended_at = timezone.now()
    if isinstance(with_, NoAnswer):
        parcel.error, parcel.verdict = with_, judge.of_error(with_)
    else:
        parcel.response, parcel.verdict = with_, judge.of_answer(with_)
    Book(held).turn([parcel], [])


def test_nothing_is_resent_while_a_request_of_its_send_is_on_the_wire(road: Road, send: Send) -> None:
    [held] = claiming.claim_due(set())
    lost, busy = begin(held, 2)
    end(held, lost, NoAnswer("cut"))
    send = control.cancel(send, road.olivia)
    assert counts(send) == {"unknown": 100, "sending": 100, "cancelled": 50}
    row = Delivery.objects.get(send=send, line=2)
    with pytest.raises(Conflict) as refused:
        control.resolve(row, "resend", WHY, road.olivia)
    assert refused.value.code == "still_cancelling"
    end(held, busy, Response(429, {}, b""))
    hold.give_back(held, False, True)
    cancelling.run(send.pk)
    control.resolve(row, "resend", WHY, road.olivia)
    Destination.objects.update(waits_until=None)
    assert counts(road.shift(send, 3)) == {"unknown": 99, "accepted": 1, "cancelled": 150}


@pytest.mark.parametrize("by", ["resolve", "retry"])
def test_nothing_is_sent_again_to_an_archived_destination(road: Road, send: Send, by: str) -> None:
    begin_and_die(road, send)
    lapse()
    sweep.one_pass()
    send = road.shift(send, 1)
    assert counts(send) == {"unknown": 250}
    destinations.archive(send.destination, road.people["adam"])
    with pytest.raises(Conflict) as refused:
        if by == "resolve":
            control.resolve(Delivery.objects.get(send=send, line=2), "resend", WHY, road.olivia)
        else:
            control.retry(send, ["failed"], WHY, road.olivia)
    assert refused.value.code == "destination_archived"


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_begins_rows_at_that_moment_is_not_in_the_way(road: Road, send: Send) -> None:
    ids = list(Delivery.objects.filter(send=send).order_by("line").values_list("pk", flat=True)[:100])
    half_way, trouble = threading.Event(), []

    def turn() -> None:
        """In the order of every turn: first the Deliveries, then the Send."""
        try:
            with transaction.atomic():
                Delivery.objects.filter(pk__in=ids).update(status="sending")
                half_way.set()
                time.sleep(0.4)
                counting.move(send.pk, {"queued": -100, "sending": 100})
        except Exception as error:
            trouble.append(error)
        finally:
            connections.close_all()

    worker = threading.Thread(target=turn)
    worker.start()
    half_way.wait(10)
    control.cancel(send, road.olivia)
    worker.join()
    assert not trouble
    assert counts(Send.objects.get(pk=send.pk)) == {"sending": 100, "cancelled": 150}


def test_others_may_write_between_two_chunks(road: Road, send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancelling, "CHUNK", 100)
    open_transactions = len(connection.savepoint_ids)
    gaps: list[tuple[float, int]] = []
    monkeypatch.setattr(cancelling.time, "sleep", lambda seconds: gaps.append((seconds, len(connection.savepoint_ids))))
    assert control.cancel(send, road.olivia).cancelled == 100
    cancelling.run(send.pk)
    assert counts(Send.objects.get(pk=send.pk)) == {"cancelled": 250}
    assert gaps == [(cancelling.GAP, open_transactions)] * 2


def test_a_row_resent_in_mid_cancelling_is_not_cancelled(road: Road, send: Send) -> None:
    [held] = claiming.claim_due(set())
    end(held, begin(held, 1)[0], NoAnswer("cut"))
    send = control.cancel(send, road.olivia)
    row = Delivery.objects.get(send=send, line=2)
    control.resolve(row, "resend", WHY, road.olivia)
    assert cancelling.next_rows(send) is None
    row.refresh_from_db()
    assert (row.status, row.resolved) == ("queued", "resend")
    assert counts(Send.objects.get(pk=send.pk)) == {"queued": 1, "unknown": 99, "cancelled": 150}


def test_no_row_is_resent_while_the_rest_of_its_send_is_being_cancelled(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    road.emulator.set("qubit", cut={"value": "after_storing", "times": 1})
    where = road.destination("qubit", values={"rate": 1})
    send = road.deliver(road.check(road.upload(QUBIT), where), seconds=1)
    assert send.unknown == 100 and send.queued
    monkeypatch.setattr(cancelling, "CHUNK", 10)
    send = control.cancel(send, road.olivia)
    assert send.queued
    lost = Delivery.objects.filter(status="unknown").first()
    with pytest.raises(Conflict) as refused:
        control.resolve(lost, "resend", "the vendor does not have it", road.olivia)
    assert refused.value.code == "still_cancelling"
    cancelling.run(send.pk)
    control.resolve(lost, "resend", "the vendor does not have it", road.olivia)
    send = road.shift(send, 3)
    assert (send.unknown, send.queued, send.accepted + send.cancelled) == (99, 0, 151)
