"""What a dead worker had begun comes to its end, also where nobody can, or will, send the rest of its Batch."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from django.conf import LazySettings

import connectors
from offline_portal import claims
from offline_portal.delivery import cancelling, claiming, control, hold, sweep
from offline_portal.models import Attempt, Batch, Destination, Send
from tests.conftest import Road
from tests.delivery.test_faults import begin_and_die, lapse
from tests.delivery.test_road import KISS, counts

KISSMETRICS = type(connectors.get("kissmetrics"))
FEWER_FIELDS = tuple(field for field in KISSMETRICS.fields if field.key != "timestamp")


@pytest.fixture
def send(road: Road) -> Send:
    """Begun by a worker that died; its lease is over, and no sweeper has looked yet."""
    send = road.queue(road.check(road.upload(KISS), road.destination("kissmetrics")))
    begin_and_die(road, send)
    lapse()
    return send


def assert_it_comes_to_its_end(road: Road, send: Send) -> None:
    """Once it is cancelled, as the portal advises, and the sweeper has looked."""
    control.cancel(send, road.olivia)
    for _ in range(2):
        sweep.one_pass()
        cancelling.run(send.pk)
    assert counts(Send.objects.get(pk=send.pk)) == {"unknown": 120}
    assert not Attempt.objects.filter(answer=None).exists()


def test_when_a_field_is_unknown_to_the_shift_that_takes_over(
    road: Road, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KISSMETRICS, "fields", FEWER_FIELDS)
    send = road.shift(send, 1)
    assert send.status == "paused"
    assert_it_comes_to_its_end(road, send)


def test_when_a_field_is_unknown_to_the_sweeper(road: Road, send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KISSMETRICS, "fields", FEWER_FIELDS)
    assert_it_comes_to_its_end(road, send)


def test_when_the_keys_cannot_be_read(road: Road, send: Send, settings: LazySettings) -> None:
    settings.PORTAL_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    send = road.shift(send, 1)
    assert Destination.objects.get().paused
    assert_it_comes_to_its_end(road, send)


def test_when_another_worker_probes_at_the_same_moment(road: Road, send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    Destination.objects.update(failures=1)
    Batch.objects.update(due_at=send.created_at)
    load = hold.load

    def while_another_begins_to_probe(batch_id: int, fence: int) -> hold.Hold:
        other = Batch.objects.create(send=send, destination=send.destination, number=2, rows=1, due_at=send.created_at)
        claims.take(Batch, other.pk, done=False)
        return load(batch_id, fence)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(hold, "load", while_another_begins_to_probe)
        assert claiming.claim_due(set()) == []
    lapse(number=2)
    assert_it_comes_to_its_end(road, send)


def test_when_it_could_not_be_closed_before_it_was_given_back(
    road: Road, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    Batch.objects.update(lease_until=None)
    control.cancel(send, road.olivia)
    assert_it_comes_to_its_end(road, send)
