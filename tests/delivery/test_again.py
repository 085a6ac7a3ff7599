"""Very many rows sent again by a person: in portions, by whoever is there, until it is done or cancelled."""

from __future__ import annotations

import json

import pytest
from redis import Redis

from offline_portal import wake
from offline_portal.delivery import again, control, sweep
from offline_portal.delivery.states import Conflict
from offline_portal.models import AuditEntry, Send, Wakeup
from tests.conftest import Road
from tests.delivery.test_road import QUBIT, counts

REFUSED = 25


@pytest.fixture
def send(road: Road, monkeypatch: pytest.MonkeyPatch) -> Send:
    """The first ten of its refused rows are queued again; a worker has not begun with the rest."""
    monkeypatch.setattr(again, "CHUNK", 10)
    road.emulator.set("qubit", fail_every=10)
    send = road.deliver(road.check(road.upload(QUBIT), road.destination("qubit")))
    assert send.rejected == REFUSED
    road.emulator.set("qubit")
    send = control.retry(send, ["rejected"], "the vendor mended it", road.olivia)
    assert counts(send) == {"accepted": 225, "queued": 10, "rejected": 15}
    return send


def test_the_rest_is_queued_by_a_worker_and_all_are_sent(road: Road, send: Send) -> None:
    again.run(send.pk)
    again.run(send.pk)
    assert counts(Send.objects.get(pk=send.pk)) == {"accepted": 225, "queued": REFUSED}
    send = road.shift(send)
    assert (send.status, counts(send), send.again) == ("finished", {"accepted": 250}, "")
    [entry] = AuditEntry.objects.filter(action="send.retried")
    assert json.loads(entry.detail)["rows"] == REFUSED


def test_it_goes_on_though_the_first_portion_is_through(road: Road, send: Send) -> None:
    send = road.shift(send)
    assert (send.status, counts(send)) == ("finished", {"accepted": 235, "rejected": 15})
    with pytest.raises(Conflict) as refused:
        control.retry(send, ["rejected"], "once more", road.olivia)
    assert refused.value.code == "not_over"
    again.run(send.pk)
    assert counts(road.shift(send)) == {"accepted": 250}


def test_the_sweeper_finds_it_when_the_wake_up_is_lost(road: Road, send: Send, redis_url: str) -> None:
    with Redis.from_url(redis_url) as redis:
        redis.flushdb()
    Wakeup.objects.all().delete()
    assert sweep.one_pass()["intake"] == 1
    [note] = Wakeup.objects.filter(queue="intake")
    wake.start(note.work, note.pk)
    assert counts(road.shift(send)) == {"accepted": 250}


def test_once_it_is_cancelled_no_more_are_queued(road: Road, send: Send) -> None:
    send = control.cancel(send, road.olivia)
    again.run(send.pk)
    assert counts(Send.objects.get(pk=send.pk)) == {"accepted": 225, "cancelled": 10, "rejected": 15}
    assert sweep.one_pass()["intake"] == 0
