"""From one Batch of a destination to the next: the wire need not wait, and nothing overtakes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from connectors.base import Connector
from offline_portal.delivery import control
from offline_portal.delivery.send import Courier
from offline_portal.models import Attempt, Batch, Delivery, Send
from tests.conftest import Road
from tests.delivery.test_road import counts

ROWS = 20


@pytest.fixture
def send(road: Road, monkeypatch: pytest.MonkeyPatch) -> Send:
    """Two Batches, a row a request."""
    monkeypatch.setattr(Connector, "rows_a_batch", ROWS)
    lines = "".join(f"p{number}@example.com,Purchased,2026-11-01\n" for number in range(2 * ROWS))
    place = road.destination("kissmetrics", values={"rate": 20})
    return road.queue(road.check(road.upload(f"Email,Event,Date\n{lines}"), place))


def left_of_the_first(send: Send) -> int:
    first = Batch.objects.filter(send=send).earliest("number")
    return Delivery.objects.filter(batch=first, status="queued").count()


@pytest.fixture
def when_read(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], list[Any]]:
    """Have something done each time that a Batch is read, just before; what came of it each time."""

    def watch(act: Callable[[], Any]) -> list[Any]:
        found: list[Any] = []
        read = Courier._requests

        def noting(courier: Courier) -> Any:
            found.append(act())
            return read(courier)

        monkeypatch.setattr(Courier, "_requests", noting)
        return found

    return watch


def test_the_next_batch_is_read_before_this_one_is_through_and_sent_after_it(
    road: Road, send: Send, when_read: Callable[[Callable[[], Any]], list[Any]]
) -> None:
    left = when_read(lambda: left_of_the_first(send))
    assert counts(road.shift(send)) == {"accepted": 2 * ROWS}
    assert left[0] == ROWS and 0 < left[1] <= ROWS / 2
    batches = list(Attempt.objects.order_by("pk").values_list("batch", flat=True))
    assert [len(list(together)) for _batch, together in itertools.groupby(batches)] == [ROWS, ROWS]


def test_a_batch_that_was_read_early_is_given_back_when_the_send_is_paused_meanwhile(
    road: Road, send: Send, when_read: Callable[[Callable[[], Any]], list[Any]]
) -> None:
    when_read(lambda: Attempt.objects.exists() and control.pause(send, road.olivia))
    assert counts(road.shift(send))["accepted"] < ROWS
    second = Batch.objects.filter(send=send).latest("number")
    assert not second.attempt_set.exists()
    assert not second.done and second.lease_until is None and second.fence == 1
