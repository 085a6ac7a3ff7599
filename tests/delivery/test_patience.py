"""What is written late, after a database that did not answer: only what the worker itself began and sent."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from connectors.base import NeverSent, NoAnswer
from offline_portal.audit import chain
from offline_portal.delivery import claiming, hold, patience, writing
from offline_portal.delivery.readback import findings, look, reading
from offline_portal.delivery.verdict import Judge
from offline_portal.delivery.writing import Book, Parcel
from offline_portal.models import Answer, Readback
from tests.conftest import Road
from tests.delivery.looking import verified
from tests.delivery.test_kameleoon_road import visitors


def without_answer(held: hold.Hold, parcel: Parcel, error: NoAnswer | NeverSent) -> None:
    judge = Judge(held.connector, [False] * len(parcel.rows), [row.payload for row in parcel.rows])
    parcel.error, parcel.verdict, parcel.ended_at = error, judge.of_error(error), timezone.now()


def test_a_look_that_got_the_number_of_an_attempt_that_was_never_stored_is_left_alone(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    road.queue(road.check(road.upload(visitors(6)), verified(road)))
    [held] = claiming.claim_due(set())
    book = Book(held)
    first, *others = [Parcel([row], held.build([row])) for row in hold.queued_rows(held)[:3]]
    assert book.turn([], [first])
    without_answer(held, first, NoAnswer("cut"))
    book.turn([first], [])
    with monkeypatch.context() as full, pytest.raises(OperationalError):
        full.setattr(writing.chain, "add_many", no_room)
        book.turn([], others)
    for parcel in others:
        without_answer(held, parcel, NeverSent("held up"))
    Readback.objects.update(due_at=timezone.now())
    [desk] = reading.claim_due(set())
    looks = reading.begin(desk, 9, lambda request: request)
    assert looks and desk.fence == held.fence
    patience._write(book, [], others)
    assert not Answer.objects.filter(attempt__readback=True).exists()
    error = NoAnswer("the look's own")
    looks[0].said, looks[0].error, looks[0].ended_at = look.of_error(error, ()), error, timezone.now()
    findings.settle(desk, looks)
    assert Answer.objects.get(attempt__readback=True).error == "the look's own"
    assert chain.verify().ok


def no_room(_entries: Any) -> None:
    raise OperationalError("database or disk is full")
