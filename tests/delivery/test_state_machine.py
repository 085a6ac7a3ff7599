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
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test
from redis import Redis

import connectors
from offline_portal.audit import chain
from offline_portal.delivery import again, cancelling, control, doubt
from offline_portal.delivery.states import Conflict
from offline_portal.models import Batch
from tests.conftest import Road
from tests.delivery.everyday_rules import A_FEW, ON_THE_WAY, WORK
from tests.delivery.game import LONG_AGO, WORKERS, Game
from tests.delivery.imaginary import ENDS
from tests.delivery.looking_rules import READBACK, WEBSITE, Looking
from tests.delivery.world import FILES, World


class Delivering(Looking):
    """Rows between the queue and their vendors."""

    # The beginning

    @initialize(
        slugs=st.lists(st.sampled_from(sorted(FILES)), min_size=1, max_size=2, unique=True), readback=READBACK,
        website=WEBSITE,
    )  # fmt: skip
    def queue_the_first(self, slugs: list[str], readback: dict[str, Any], website: set[str]) -> None:
        for slug in slugs:
            self.queue_file(self.open_account(slug, readback, website))

    # What workers do

    @precondition(lambda self: self.any_is(*ON_THE_WAY))
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

    @precondition(lambda self: any(one.pending for one in self.crew.carrying))
    @rule(which=A_FEW)
    def the_next_is_claimed_early(self, which: int) -> None:
        busy = [one for one in self.crew.carrying if one.pending]
        self.crew.claim_after(busy[which % len(busy)])

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

    @precondition(lambda self: self.intake_is_woken or self.delivery_is_woken)
    @rule()
    def redis_forgets(self) -> None:
        self.world.redis.flushdb()

    # What people do

    @precondition(lambda self: self.any_is("rejected", "failed"))
    @rule(which=A_FEW)
    def a_person_retries(self, which: int) -> None:
        try:
            control.retry(self.any_send(which), ["rejected", "failed"], "again", self.olivia)
            event("retried")
        except Conflict:
            pass


class ReadingBack(Looking):
    """Rows that were sent to the one vendor that can be asked what it has stored: there is much to be looked for."""

    @initialize(readback=READBACK, website=WEBSITE, hows=WORK, both=st.booleans())
    def send_the_first(self, readback: dict[str, Any], website: set[str], hows: list[str], both: bool) -> None:
        account = self.open_account("kameleoon", readback, website)
        for which in (0, 1) if both else (0,):
            self.queue_file(account, which)
        for how in hows * 2:
            self.work(how)


@pytest.mark.parametrize(("game", "share"), [(Delivering, 1.0), (ReadingBack, 0.5)], ids=["sending", "reading_back"])
def test_the_promises_hold_whatever_happens(
    road: Road, redis_url: str, settings: LazySettings, monkeypatch: pytest.MonkeyPatch, game: type[Game], share: float
) -> None:
    settings.PORTAL_RETRY_LIMIT, settings.PORTAL_RETRY_BASE, settings.PORTAL_LEASE = 2, 0, 3600
    for slug in FILES:
        kind = type(connectors.get(slug))
        monkeypatch.setattr(kind, "rows_a_batch", 4)
        monkeypatch.setattr(kind, "rows_a_request", min(kind.rows_a_request, 2))
    for module in (again, cancelling):
        monkeypatch.setattr(module, "CHUNK", 2)
        monkeypatch.setattr(module, "GAP", 0)
    with Redis.from_url(redis_url) as redis:
        game.world = World(road, redis)
        game.world.take_in_the_files()
        examples = int(os.environ.get("EXAMPLES", "30")) * share
        run_state_machine_as_test(game, settings=play(max(1, int(examples))))
    assert game.world.healed
    assert chain.verify().ok


def play(examples: int) -> settings:
    """How long it is played; a failure prints how it came about."""
    checks_off = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(
        max_examples=examples, stateful_step_count=40, deadline=None, print_blob=True, suppress_health_check=checks_off
    )
