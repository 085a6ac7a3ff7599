"""Approvals and schedules: rows leave when somebody else has agreed to exactly these, and not before their time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from offline_portal import checks, destinations
from offline_portal.delivery import control, queue, release, sweep
from offline_portal.delivery.states import Conflict
from offline_portal.models import Approval, AuditEntry, Send
from tests.conftest import Road
from tests.delivery.test_road import KISS, counts


@pytest.fixture
def asked(road: Road) -> Send:
    """A Send to a destination that demands approval, queued by olivia."""
    where = road.destination("kissmetrics")
    where.require_approval = True
    where.save()
    send = release.queue(road.check(road.upload(KISS), where), road.olivia)
    assert (send.status, counts(send)) == ("awaiting_approval", {})
    return send


def test_another_person_lets_it_go(road: Road, asked: Send) -> None:
    send = release.approve(asked, road.people["oscar"], "as agreed")
    assert send.status == "queueing"
    queue.run(send.pk)
    assert counts(road.shift(send)) == {"accepted": 120}
    assert Approval.objects.get().decided_by == road.people["oscar"]
    acts = AuditEntry.objects.filter(object=f"send:{send.pk}", action__startswith="approval.")
    assert list(acts.order_by("seq").values_list("actor", "action")) == [
        ("olivia", "approval.asked"), ("oscar", "approval.approved")
    ]  # fmt: skip


def test_nobody_approves_their_own(road: Road, asked: Send) -> None:
    for act in (release.approve, release.reject):
        with pytest.raises(release.OwnSend):
            act(asked, road.olivia)
    assert Send.objects.get().status == "awaiting_approval"


def test_a_no_takes_it_back_with_the_reason(road: Road, asked: Send) -> None:
    send = release.reject(asked, road.people["adam"], "Wrong month.")
    assert (send.status, send.reason) == ("checked", "Not approved by adam. Wrong month.")
    assert release.queue(send, road.olivia).status == "awaiting_approval"


def edit(road: Road, send: Send) -> None:
    checks.edit_cells(send, 2, {"Email": "else@example.com"}, road.olivia)


def leave_out(road: Road, send: Send) -> None:
    checks.exclude(send, 2, True, road.olivia)


def map_anew(road: Road, send: Send) -> None:
    mapping = {key: source for key, source in send.mapping.items() if not key.startswith("property:")}
    checks.set_mapping(send, mapping, road.olivia)
    checks.run(send.pk)


def change_key(road: Road, send: Send) -> None:
    destinations.set_secrets(send.destination, road.people["adam"], {"api_key": "another-key"})


def change_settings(road: Road, send: Send) -> None:
    destinations.change(send.destination, road.people["adam"], settings={"timezone": "Europe/Berlin"})


@pytest.mark.parametrize("change", [edit, leave_out, map_anew, change_key, change_settings])
def test_any_change_voids_it(road: Road, asked: Send, change: Callable[[Road, Send], None]) -> None:
    change(road, asked)
    with pytest.raises(Conflict) as refused:
        release.approve(Send.objects.get(pk=asked.pk), road.people["oscar"])
    assert refused.value.code in ("approval_void", "not_awaiting")
    assert Send.objects.get(pk=asked.pk).status == "checked"
    assert Approval.objects.get().decision == "void"
    assert road.emulator.counts("kissmetrics")["requests"] == 0


def test_a_scheduled_send_waits_for_its_time(road: Road) -> None:
    later = timezone.now() + timedelta(hours=1)
    send = checks.create(road.upload(KISS), road.destination("kissmetrics"), "auto", "skip", road.olivia, later)
    checks.run(send.pk)
    send = release.queue(send, road.olivia)
    assert send.status == "scheduled"
    assert sweep.one_pass()["scheduled"] == 0
    Send.objects.update(scheduled_at=timezone.now())
    assert sweep.one_pass()["scheduled"] == 1
    queue.run(send.pk)
    assert counts(road.shift(send)) == {"accepted": 120}


def test_an_approved_send_that_waits_for_its_time_is_looked_at_again_then(road: Road, asked: Send) -> None:
    control.cancel(asked, road.olivia)
    later = timezone.now() + timedelta(hours=1)
    send = checks.create(road.upload(KISS, "b.csv"), asked.destination, "auto", "skip", road.olivia, later)
    checks.run(send.pk)
    release.queue(send, road.olivia)
    assert release.approve(send, road.people["oscar"]).status == "scheduled"
    change_key(road, send)
    # The time is part of what was approved, so it is moved by the clock and not by hand.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("offline_portal.delivery.release.timezone.now", lambda: later + timedelta(seconds=1))
        assert release.release_due() == 0
    send.refresh_from_db()
    assert send.status == "checked"
    assert "changed after it was queued" in send.reason
