"""Everything that can happen to rows on their way, in any order, against what the vendor really received.

Hypothesis plays workers that claim, send, are cut off, die and wake up, people who pause, cancel and decide, a sweeper,
and a Redis that forgets. After every step the promises are looked at (docs/reliability.md); in the end all faults are
gone, and work must come to its end by itself. More examples: `EXAMPLES=5000 python -m pytest THIS_FILE`.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from typing import ClassVar

import django_rq
import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.utils import timezone
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from redis import Redis

import connectors
from offline_portal import checks, destinations, wake
from offline_portal.audit import chain
from offline_portal.delivery import control, doubt, queue, release, sweep
from offline_portal.delivery.states import Conflict
from offline_portal.models import Batch, Delivery, Destination, Send, Wakeup
from tests.conftest import Road
from tests.delivery.crew import Crew
from tests.delivery.imaginary import ENDS, ImaginaryVendor
from tests.delivery.promises import Promises
from tests.delivery.world import FILES, REFUSED, World

WORKERS = 3
LONG_AGO = timedelta(days=1)
A_FEW = st.integers(0, 5)
TO_THE_END = st.sampled_from([["never_sent"] * 2, ["lost_after", "never_sent"], ["lost_before"] * 2])
"""The limit of tries is two."""
last_word = st.sampled_from(["resend", "accepted", "abandoned"])


class Delivering(RuleBasedStateMachine):
    """Rows between the queue and their vendors."""

    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        self.world.forget_the_last_example()
        self.olivia: User = self.world.road.olivia
        self.adam: User = self.world.road.people["adam"]
        self.vendors: dict[int, ImaginaryVendor] = {}
        self.sends: list[int] = []
        self.paused: list[int] = []
        self.seen = Promises(self.vendors, self.sends)
        self.crew = Crew(WORKERS, self.vendors, self.seen)

    # The beginning

    @initialize(slugs=st.lists(st.sampled_from(sorted(FILES)), min_size=1, max_size=2, unique=True))
    def queue_the_first(self, slugs: list[str]) -> None:
        for slug in slugs:
            destination = self.world.new_destination(slug)
            self.vendors[destination.pk] = ImaginaryVendor(slug, REFUSED)
            self._queue(slug, destination)

    @precondition(lambda self: len(self.sends) < 4)
    @rule(which=A_FEW)
    def queue_the_same_file_again(self, which: int) -> None:
        destination = self._destination(which)
        self._queue(destination.connector, destination)

    def _queue(self, slug: str, destination: Destination) -> None:
        send = checks.create(self.world.uploads[slug], destination, "auto", "skip", self.olivia)
        checks.run(send.pk)
        try:
            release.queue(send, self.olivia)
        except Conflict as conflict:
            assert conflict.code == "nothing_ready"
            return
        queue.run(send.pk)
        self.sends.append(send.pk)

    # What workers do

    @rule(worker=st.integers(0, WORKERS - 1), most=st.integers(0, 3), a_day_later=st.booleans())
    def claim_and_begin(self, worker: int, most: int, a_day_later: bool) -> None:
        with pytest.MonkeyPatch.context() as patch:
            if a_day_later:
                patch.setattr(doubt, "REPEATED_FOR", -LONG_AGO)
            self.crew.claim(worker)
        for carrying in list(self.crew.workers[worker]):
            self.crew.turn(carrying, most)

    @precondition(lambda self: self.crew.carrying)
    @rule(which=A_FEW, most=st.integers(0, 3))
    def take_a_turn(self, which: int, most: int) -> None:
        self.crew.turn(self.crew.one(which), most)

    @rule(worker=st.integers(0, WORKERS - 1), hows=st.lists(st.sampled_from(ENDS), min_size=1, max_size=3) | TO_THE_END)
    def work_for_a_while(self, worker: int, hows: list[str]) -> None:
        """The usual way, in one step: claimed, begun, ended, written and given back."""
        for how in hows:
            self.crew.claim(worker)
            for carrying in list(self.crew.workers[worker]):
                self.crew.carry_on(carrying, how)
                self.crew.give_back(carrying)

    @precondition(lambda self: any(one.begun for one in self.crew.carrying))
    @rule(which=A_FEW, how=st.sampled_from(ENDS))
    def a_request_ends(self, which: int, how: str) -> None:
        busy = [one for one in self.crew.carrying if one.begun]
        self.crew.end_one(busy[which % len(busy)], how)

    @precondition(lambda self: self.crew.carrying)
    @rule(which=A_FEW)
    def give_back(self, which: int) -> None:
        self.crew.give_back(self.crew.one(which))

    @precondition(lambda self: self.crew.carrying)
    @rule(which=A_FEW)
    def a_worker_dies(self, which: int) -> None:
        busy = [mine for mine in self.crew.workers if mine]
        busy[which % len(busy)].clear()

    @precondition(lambda self: self.crew.carrying)
    @rule(which=A_FEW)
    def a_lease_runs_out(self, which: int) -> None:
        carrying = self.crew.one(which)
        carrying.lapsed = True
        Batch.objects.filter(pk=carrying.hold.batch, fence=carrying.hold.fence).update(
            lease_until=timezone.now() - LONG_AGO
        )

    @precondition(lambda self: self.crew.carrying)
    @rule(which=A_FEW, worker=st.integers(0, WORKERS - 1))
    def another_takes_over(self, which: int, worker: int) -> None:
        self.a_lease_runs_out(which)
        self.crew.claim(worker)

    @rule()
    def time_passes(self) -> None:
        """Pauses end; so do the leases of the dead."""
        past = timezone.now() - LONG_AGO
        Batch.objects.filter(send__in=self.sends).update(due_at=past)
        Destination.objects.filter(pk__in=self.vendors, waits_until__isnull=False).update(waits_until=past)
        alive = [one.hold.batch for one in self.crew.carrying if not one.lapsed]
        left = Batch.objects.filter(send__in=self.sends, lease_until__isnull=False)
        left.exclude(pk__in=alive).update(lease_until=past)
        Wakeup.objects.update(created_at=past)

    @rule()
    def sweep(self) -> None:
        sweep.one_pass()

    @precondition(lambda self: self.world.redis.dbsize())
    @rule()
    def redis_forgets(self) -> None:
        self.world.redis.flushdb()

    @precondition(lambda self: django_rq.get_queue("intake").count)
    @rule()
    def intake_works(self) -> None:
        for job in django_rq.get_queue("intake").jobs:
            job.delete()
            wake.start(*job.args)

    # What people do

    @precondition(lambda self: self.sends)
    @rule(which=A_FEW, act=st.sampled_from(["pause", "pause", "pause", "cancel"]))
    def a_person_stops_a_send(self, which: int, act: str) -> None:
        try:
            getattr(control, act)(self._send(which), self.olivia)
            event(act)
        except Conflict:
            pass

    @precondition(lambda self: self.paused)
    @rule(which=A_FEW)
    def a_person_resumes(self, which: int) -> None:
        try:
            control.resume(Send.objects.get(pk=self.paused[which % len(self.paused)]), self.olivia)
            event("resumed")
        except Conflict as conflict:
            assert conflict.code == "destination_paused"

    @precondition(lambda self: {"rejected", "failed"} & set(self.seen.statuses.values()))
    @rule(which=A_FEW)
    def a_person_retries(self, which: int) -> None:
        try:
            control.retry(self._send(which), ["rejected", "failed"], "again", self.olivia)
            event("retried")
        except Conflict:
            pass

    @precondition(lambda self: "unknown" in self.seen.statuses.values())
    @rule(which=st.integers(0, 30), as_=last_word)
    def a_person_decides(self, which: int, as_: str) -> None:
        self._decide([pk for pk, status in self.seen.statuses.items() if status == "unknown"], which, as_)

    @precondition(lambda self: self.seen.statuses)
    @rule(which=st.integers(0, 30), as_=last_word)
    def a_person_decides_about_any_row(self, which: int, as_: str) -> None:
        self._decide(list(self.seen.statuses), which, as_)

    def _decide(self, rows: list[int], which: int, as_: str) -> None:
        delivery = Delivery.objects.select_related("send").get(pk=sorted(rows)[which % len(rows)])
        open_ = delivery.status == "unknown" and delivery.resolved != "abandoned"
        try:
            control.resolve(delivery, as_, "because", self.olivia)
        except Conflict as conflict:
            assert not open_ or conflict.code == "still_cancelling"
            return
        assert open_, "nobody decides about a row that is not unknown, nor twice"
        event(f"decided: {as_}")
        self.seen.a_person_decided(delivery, again=as_ == "resend")

    @rule(which=A_FEW)
    def an_admin_pauses(self, which: int) -> None:
        destinations.change(self._destination(which), self.adam, paused=True)

    @precondition(lambda self: self.paused)
    @rule(which=A_FEW)
    def an_admin_opens(self, which: int) -> None:
        destinations.change(self._destination(which), self.adam, paused=False)

    # What must hold after every step

    @invariant()
    def promises_are_kept(self) -> None:
        self.seen.are_kept()
        self.paused = list(Send.objects.filter(pk__in=self.sends, status="paused").values_list("pk", flat=True))

    # The end: every cause is gone

    def teardown(self) -> None:
        if sys.exc_info()[0] is None and self.sends:
            self._heal()
            self.world.healed += 1

    def _heal(self) -> None:
        for mine in self.crew.workers:
            mine.clear()
        for _round in range(60):
            for pk in self.vendors:
                destinations.change(Destination.objects.get(pk=pk), self.adam, paused=False)
            for send in Send.objects.filter(pk__in=self.sends, status="paused", held=False):
                control.resume(send, self.olivia)
            self.time_passes()
            for act in (sweep.one_pass, self.intake_works, self.promises_are_kept):
                act()
            for job in django_rq.get_queue("delivery").jobs:
                job.delete()
                Wakeup.objects.filter(pk=job.args[1]).delete()
                self._good_shift()
            self.promises_are_kept()
            if not {"queued", "sending"} & set(self.seen.statuses.values()):
                break
        assert not {"queued", "sending"} & set(self.seen.statuses.values()), "P5: it does not mend by itself"
        unfinished = Send.objects.filter(pk__in=self.sends).exclude(status__in=("finished", "cancelled"))
        assert not unfinished.exists(), "P5: a Send does not come to its end"
        assert chain.verify(from_seq=self.seen.first_entry).ok, "P4: the chain does not hold"

    def _good_shift(self) -> None:
        """A worker to whom nothing happens, as long as anything is due."""
        self.crew.claim(0)
        while mine := self.crew.workers[0]:
            self.crew.carry_on(mine[0], "taken")
            self.crew.give_back(mine[0])
            self.crew.claim(0)

    def _destination(self, which: int) -> Destination:
        return Destination.objects.get(pk=sorted(self.vendors)[which % len(self.vendors)])

    def _send(self, which: int) -> Send:
        return Send.objects.get(pk=self.sends[which % len(self.sends)])


def test_the_promises_hold_whatever_happens(
    road: Road, redis_url: str, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PORTAL_RETRY_LIMIT, settings.PORTAL_RETRY_BASE, settings.PORTAL_LEASE = 2, 0, 3600
    for slug in FILES:
        kind = type(connectors.get(slug))
        monkeypatch.setattr(kind, "rows_a_batch", 4)
        monkeypatch.setattr(kind, "rows_a_request", min(kind.rows_a_request, 2))
    with Redis.from_url(redis_url) as redis:
        Delivering.world = World(road, redis, {slug: road.upload(text, f"{slug}.csv") for slug, text in FILES.items()})
        run_state_machine_as_test(Delivering, settings=play(int(os.environ.get("EXAMPLES", "30"))))
    assert Delivering.world.healed
    assert chain.verify().ok


def play(examples: int) -> settings:
    """How long it is played; a failure prints how it came about."""
    checks_off = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(
        max_examples=examples, stateful_step_count=40, deadline=None, print_blob=True, suppress_health_check=checks_off
    )
