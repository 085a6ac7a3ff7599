"""Everything that can happen to rows on their way, in any order, against what the vendor really received.

Hypothesis plays workers that claim, send, are cut off, die and wake up, readers that look up what a vendor has stored
(`looking_rules`), people who pause, cancel and decide, a sweeper, and a Redis that forgets. After every step the
promises are looked at (docs/reliability.md); in the end all faults are gone, and work must come to its end by itself.
More examples: `EXAMPLES=5000 python -m pytest THIS_FILE`.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test
from redis import Redis

import connectors
from offline_portal import checks, destinations
from offline_portal.audit import chain
from offline_portal.delivery import control, doubt, queue, release, sweep
from offline_portal.delivery.states import Conflict
from offline_portal.models import Batch, Destination, Send
from tests.conftest import Road
from tests.delivery.game import LAST_WORDS, LONG_AGO, WORKERS
from tests.delivery.imaginary import ENDS, ImaginaryVendor
from tests.delivery.looking_rules import SETTINGS, Looking
from tests.delivery.shelf import OF_THE_WEBSITE
from tests.delivery.world import FILES, REFUSED, World

A_FEW = st.integers(0, 5)
TO_THE_END = st.sampled_from([
    ["never_sent"] * 2, ["lost_after", "never_sent"], ["lost_before"] * 2, ["lost_after/taken", "never_sent"],
    *[["lost_after/lost_before"] * 2] * 3,
])
"""The limit of tries is two."""
WORK = st.lists(st.sampled_from(ENDS), min_size=1, max_size=3) | TO_THE_END
KAMELEOON = st.just(["kameleoon"])
"""At half of the vendors that are drawn: it is the one that can be asked what it has stored."""
last_word = st.sampled_from(LAST_WORDS)


class Delivering(Looking):
    """Rows between the queue and their vendors."""

    # The beginning

    @initialize(
        slugs=KAMELEOON | st.lists(st.sampled_from(sorted(FILES)), min_size=1, max_size=2, unique=True),
        readback=SETTINGS, website=st.sets(st.sampled_from(sorted(OF_THE_WEBSITE))), hows=WORK,
    )  # fmt: skip
    def queue_the_first(
        self, slugs: list[str], readback: dict[str, Any], website: set[str], hows: list[str]
    ) -> None:
        for slug in slugs:
            vendor = ImaginaryVendor(slug, REFUSED)
            destination = self.world.new_destination(slug, **(readback if vendor.shelf else {}))
            self.vendors[destination.pk] = vendor
            if vendor.shelf:
                vendor.shelf.website_sells(website)
            self._queue(destination)
        self.work_for_a_while(0, hows)

    @precondition(lambda self: self.files_given < 6 and len(self.sends) < 4)
    @rule(which=A_FEW, other=st.booleans())
    def queue_another_file(self, which: int, other: bool) -> None:
        """The same once more, or another one where there is any."""
        destination = self.any_destination(which)
        if not destination.archived_at:
            self._queue(destination, -1 if other else 0)

    def _queue(self, destination: Destination, which: int = 0) -> None:
        self.files_given += 1
        upload = self.world.uploads[destination.connector][which]
        send = checks.create(upload, destination, "auto", "skip", self.olivia)
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

    @rule(worker=st.integers(0, WORKERS - 1), hows=WORK)
    def work_for_a_while(self, worker: int, hows: list[str]) -> None:
        """The usual way, in one step: claimed, begun, ended, written and given back."""
        for how in hows:
            self.work(how, worker)

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
        self.let_time_pass()

    @rule()
    def sweep(self) -> None:
        sweep.one_pass()

    @precondition(lambda self: self.intake_is_woken or self.delivery_is_woken)
    @rule()
    def redis_forgets(self) -> None:
        self.world.redis.flushdb()

    @precondition(lambda self: self.intake_is_woken)
    @rule()
    def intake_works(self) -> None:
        self.let_intake_work()

    # What people do

    @precondition(lambda self: self.sends)
    @rule(which=A_FEW, act=st.sampled_from(["pause", "pause", "pause", "cancel"]))
    def a_person_stops_a_send(self, which: int, act: str) -> None:
        try:
            getattr(control, act)(self.any_send(which), self.olivia)
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
            control.retry(self.any_send(which), ["rejected", "failed"], "again", self.olivia)
            event("retried")
        except Conflict:
            pass

    @precondition(lambda self: self.seen.statuses)
    @rule(which=st.integers(0, 30), as_=last_word, any_row=st.sampled_from([False, False, True]))
    def a_person_decides(self, which: int, as_: str, any_row: bool) -> None:
        """Mostly about one that is unknown."""
        unknown = [pk for pk, status in self.seen.statuses.items() if status == "unknown"]
        self.decide(list(self.seen.statuses) if any_row or not unknown else unknown, which, as_)

    @rule(which=A_FEW, paused=st.booleans())
    def an_admin_pauses_or_opens(self, which: int, paused: bool) -> None:
        destinations.change(self.any_destination(which), self.adam, paused=paused)

    # What must hold after every step

    @invariant()
    def promises_are_kept(self) -> None:
        self.look_at_the_promises()


def test_the_promises_hold_whatever_happens(
    road: Road, redis_url: str, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PORTAL_RETRY_LIMIT, settings.PORTAL_RETRY_BASE, settings.PORTAL_LEASE = 2, 0, 3600
    for slug in FILES:
        kind = type(connectors.get(slug))
        monkeypatch.setattr(kind, "rows_a_batch", 4)
        monkeypatch.setattr(kind, "rows_a_request", min(kind.rows_a_request, 2))
    with Redis.from_url(redis_url) as redis:
        Delivering.world = World(road, redis)
        Delivering.world.take_in_the_files()
        run_state_machine_as_test(Delivering, settings=play(int(os.environ.get("EXAMPLES", "30"))))
    assert Delivering.world.healed
    assert chain.verify().ok


def play(examples: int) -> settings:
    """How long it is played; a failure prints how it came about."""
    checks_off = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(
        max_examples=examples, stateful_step_count=40, deadline=None, print_blob=True, suppress_health_check=checks_off
    )
