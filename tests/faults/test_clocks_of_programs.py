"""Clocks that jump by an hour, or differ, under the real programs: of all of them, as on one machine, or of one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import pytest
from django.conf import LazySettings
from django.db.models import Q
from django.utils import timezone

from offline_portal import claims
from offline_portal.delivery import release, sweep
from offline_portal.models import AuditEntry, Batch, Send, Wakeup
from tests.conftest import Road
from tests.delivery.test_faults import begin_and_die
from tests.delivery.test_road import QUBIT, counts
from tests.faults.clocks import FalseClock
from tests.faults.programs import Program, Programs, until
from tests.faults.test_workers import Two

HOUR = timedelta(hours=1)


class Checked(Two):
    """Both sends are checked; only Qubit's is queued, and nobody has been woken for it."""

    def _queued(self, vendor: str, text: str, rate: float) -> Send:
        send = self.road.check(self.road.upload(text), self.road.destination(vendor, values={"rate": rate}))
        return self.road.queue(send) if vendor == "qubit" else send


@pytest.fixture
def hasty(programs: Programs) -> Programs:
    programs.environment |= {"DEBUG": "1", "DJANGO_SETTINGS_MODULE": "tests.faults.hasty"}
    return programs


def unheard(kind: type[Two], road: Road, programs: Programs) -> Two:
    """Its sends, which the sweeper will find. The vendors answer after two seconds."""
    with patch("offline_portal.wake._enqueue"):
        two = kind(road, programs)
    Wakeup.objects.all().delete()
    two.slow(2_000)
    return two


def in_the_future() -> bool:
    """Whether something of a Batch was noted by a clock that is ahead."""
    soon = timezone.now() + HOUR / 2
    return Batch.objects.filter(Q(lease_until__gt=soon) | Q(due_at__gt=soon), done=False).exists()


def test_an_hour_forwards_in_mid_send_and_back_again_delays_nothing_for_long(
    road: Road, hasty: Programs, tmp_path: Path
) -> None:
    two = unheard(Checked, road, hasty)
    clock = FalseClock(tmp_path / "clock")
    for queue in ("delivery", "intake"):
        hasty.worker(queue, **clock.environment)
    hasty.sweeper(**clock.environment)
    until(lambda: two.on_the_wire()[1], "a request is on the wire", said=hasty.said)
    clock.set(HOUR)
    release.queue(two.kiss, road.olivia)
    until(lambda: two.on_the_wire()[0], "the other send goes on as well", said=hasty.said)
    clock.set(timedelta())
    two.slow(None)
    two.end_well()
    times = AuditEntry.objects.order_by("seq").values_list("at", flat=True)
    went_back = [before for before, after in pairwise(times) if before - after > HOUR / 2]
    assert went_back, "order is by number, whatever the clock says"
    assert "Traceback" not in hasty.said()


def killed(worker: Program, clock: FalseClock) -> None:
    worker.kill()


def set_right(worker: Program, clock: FalseClock) -> None:
    clock.set(timedelta())


@pytest.mark.parametrize("end", [killed, set_right])
def test_what_a_worker_an_hour_ahead_leaves_behind_lies_for_no_hour(
    road: Road, hasty: Programs, tmp_path: Path, end: Callable[[Program, FalseClock], None]
) -> None:
    two = unheard(Two, road, hasty)
    clock = FalseClock(tmp_path / "clock", HOUR)
    ahead = hasty.worker(**clock.environment)
    hasty.sweeper()
    until(lambda: all(two.on_the_wire()) and in_the_future(), "it sends", said=hasty.said)
    end(ahead, clock)
    two.slow(None)
    hasty.worker()
    two.end_well()
    assert "Traceback" not in hasty.said()


def test_a_sweeper_an_hour_ahead_for_a_while_costs_no_row(road: Road, hasty: Programs, tmp_path: Path) -> None:
    two = unheard(Two, road, hasty)
    clock = FalseClock(tmp_path / "clock", HOUR)
    hasty.sweeper(**clock.environment)
    hasty.worker()
    until(lambda: any(two.on_the_wire()) and in_the_future(), "it took somebody for dead", said=hasty.said)
    clock.set(timedelta())
    two.slow(None)
    two.end_well()
    assert "Traceback" not in hasty.said()


def test_two_seconds_between_two_machines_change_nothing(road: Road, hasty: Programs, tmp_path: Path) -> None:
    hasty.environment["PORTAL_LEASE"] = "12"
    two = unheard(Two, road, hasty)
    two.slow(500)
    hasty.worker(**FalseClock(tmp_path / "clock", timedelta(seconds=2)).environment)
    hasty.worker()
    hasty.sweeper()
    assert two.end_well() == {"accepted": 250}
    assert two.on_the_wire() == [120, 3]
    assert "Traceback" not in hasty.said()


@pytest.fixture
def left_ahead(road: Road) -> Send:
    """A Send whose worker died; its clock was an hour ahead."""
    send = road.queue(road.check(road.upload(QUBIT), road.destination("qubit")))
    begin_and_die(road, send)
    Wakeup.objects.all().delete()
    Wakeup.objects.create(queue="delivery", work="shift")
    Wakeup.objects.update(created_at=timezone.now() + HOUR)
    Batch.objects.update(due_at=timezone.now() + HOUR, lease_until=claims.lease_end() + HOUR)
    return send


def test_what_no_right_clock_can_have_noted_is_cut(road: Road, left_ahead: Send, settings: LazySettings) -> None:
    settings.PORTAL_LEASE = 3
    assert sweep.one_pass()["abandoned"] == 0
    until(lambda: sweep.one_pass()["abandoned"] == 3, "the lease is over")
    assert Wakeup.objects.get().created_at <= timezone.now(), "a wake-up that was lost is not waited for either"
    left_ahead = road.shift(left_ahead, 2)
    assert (left_ahead.status, counts(left_ahead)) == ("finished", {"unknown": 250})


def test_a_sweeper_whose_own_clock_is_behind_cuts_no_living_workers_lease(
    road: Road, left_ahead: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: now() - HOUR)
    Batch.objects.update(lease_until=now() + HOUR / 2)
    sweep.one_pass()
    assert Batch.objects.get().lease_until > now()
