"""What a game with imaginary workers, readers and vendors is played on, and how it ends: every cause is gone."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, ClassVar

import django_rq
from django.contrib.auth.models import User
from django.utils import timezone
from hypothesis import event
from hypothesis.stateful import RuleBasedStateMachine
from rq import Queue

from offline_portal import checks, destinations, wake
from offline_portal.audit import chain
from offline_portal.delivery import control, queue, release, sweep
from offline_portal.delivery.states import Conflict
from offline_portal.models import Batch, Delivery, Destination, Readback, Reader, Send, Wakeup
from tests.delivery import stored
from tests.delivery.crew import Crew
from tests.delivery.imaginary import ImaginaryVendor
from tests.delivery.promises import Promises
from tests.delivery.readers import Readers
from tests.delivery.world import REFUSED, World

WORKERS, READERS = 3, 2
LAST_WORDS = ("resend", "accepted", "abandoned")
"""What a person may decide about an unknown row."""
LONG_AGO = timedelta(days=1)
QUEUE = Queue.redis_queue_namespace_prefix
ON_THE_WAY = ("queued", "sending")


class Game(RuleBasedStateMachine):
    """The pieces, without any rules."""

    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        self.world.forget_the_last_example()
        self.olivia: User = self.world.road.olivia
        self.adam: User = self.world.road.people["adam"]
        self.vendors: dict[int, ImaginaryVendor] = {}
        self.files_given = 0
        self.sends: list[int] = []
        self.seen = Promises(self.vendors, self.sends)
        self.crew = Crew(WORKERS, self.vendors, self.seen)
        self.readers = Readers(READERS, self.vendors, self.seen)

    def open_account(self, slug: str, readback: dict[str, Any], website: Iterable[str]) -> Destination:
        """At a vendor; where it can be asked what it has stored, `website` has sold there too."""
        vendor = ImaginaryVendor(slug, REFUSED)
        destination = self.world.new_destination(slug, **(readback if vendor.shelf else {}))
        self.vendors[destination.pk] = vendor
        if vendor.shelf:
            vendor.shelf.website_sells(website)
        return destination

    def queue_file(self, destination: Destination, which: int = 0) -> None:
        """The first file for its vendor, or another one; nothing is queued where all of it was sent before."""
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

    def let_time_pass(self) -> None:
        """Pauses end, looks fall due; so do the leases of the dead."""
        past = timezone.now() - LONG_AGO
        Batch.objects.filter(send__in=self.sends).update(due_at=past)
        Destination.objects.filter(pk__in=self.vendors, waits_until__isnull=False).update(waits_until=past)
        alive = [one.hold.batch for one in self.crew.carrying if not one.lapsed]
        left = Batch.objects.filter(send__in=self.sends, lease_until__isnull=False)
        left.exclude(pk__in=alive).update(lease_until=past)
        if self.looked_at:
            self.looks_fall_due()
            Reader.objects.filter(waits_until__isnull=False).update(waits_until=past)
            sitting = [one.desk.destination for one in self.readers.sitting if not one.lapsed]
            Reader.objects.filter(lease_until__isnull=False).exclude(pk__in=sitting).update(lease_until=past)
        Wakeup.objects.update(created_at=past)

    def looks_fall_due(self) -> None:
        """Whatever is still looked for."""
        past = timezone.now() - LONG_AGO
        Readback.objects.filter(destination__in=self.looked_at, due_at__isnull=False).update(due_at=past)

    def let_intake_work(self) -> None:
        """Whatever it was woken for."""
        for job in django_rq.get_queue("intake").jobs:
            job.delete()
            wake.start(*job.args)

    def work(self, how: str, worker: int = 0) -> None:
        """A worker claims what is due; its requests end like that, and it gives back what it has."""
        self.crew.claim(worker)
        for carrying in list(self.crew.workers[worker]):
            self.crew.carry_on(carrying, how)
            self.crew.give_back(carrying)

    def decide(self, rows: list[int], which: int, as_: str) -> None:
        """A person decides about one of these rows, which is refused exactly when there is nothing to decide."""
        delivery = Delivery.objects.select_related("send__destination").get(pk=sorted(rows)[which % len(rows)])
        open_ = delivery.status == "unknown" and delivery.resolved != "abandoned"
        try:
            control.resolve(delivery, as_, "because", self.olivia)
        except Conflict as conflict:
            archived = as_ == "resend" and delivery.send.destination.archived_at
            assert not open_ or conflict.code == ("destination_archived" if archived else "still_cancelling")
            return
        assert open_, "nobody decides about a row that is not unknown, nor twice"
        event(f"decided: {as_}")
        self.seen.a_person_decided(delivery, as_)

    def any_is(self, *statuses: str) -> bool:
        """Whether any row stood in one of these when the promises were looked at last."""
        return not set(statuses).isdisjoint(self.seen.statuses.values())

    @property
    def intake_is_woken(self) -> bool:
        """Whether a wake-up lies in Redis."""
        return bool(self.world.redis.llen(QUEUE + "intake"))

    @property
    def delivery_is_woken(self) -> bool:
        """The same for those who send and look."""
        return bool(self.world.redis.llen(QUEUE + "delivery"))

    @property
    def looked_at(self) -> list[int]:
        """Destinations that can be asked what they have stored."""
        return [pk for pk, vendor in self.vendors.items() if vendor.shelf is not None]

    def any_destination(self, which: int) -> Destination:
        return Destination.objects.get(pk=sorted(self.vendors)[which % len(self.vendors)])

    def any_send(self, which: int) -> Send:
        return Send.objects.get(pk=self.sends[which % len(self.sends)])

    # The end: every cause is gone

    def teardown(self) -> None:
        if sys.exc_info()[0] is None and self.sends:
            self._heal()
            self.world.healed += 1

    def _heal(self) -> None:
        for mine in (*self.crew.workers, *self.readers.readers):
            mine.clear()
        for round_ in range(60):
            self._open_everything()
            self.let_time_pass()
            for act in (sweep.one_pass, self.let_intake_work, self.seen.are_kept):
                act()
            if not round_:
                self.seen.looks.from_now_on_all_is_well()
            for job in django_rq.get_queue("delivery").jobs:
                job.delete()
                Wakeup.objects.filter(pk=job.args[1]).delete()
                self._good_shift()
            self.seen.are_kept()
            if not self.any_is(*ON_THE_WAY) and self.seen.looks.nothing_is_left_to_do():
                break
        assert not self.any_is(*ON_THE_WAY), "P5: it does not mend by itself"
        unfinished = Send.objects.filter(pk__in=self.sends).exclude(status__in=("finished", "cancelled"))
        assert not unfinished.exists(), "P5: a Send does not come to its end"
        self.seen.looks.came_to_their_end(stored.rows(self.sends))
        assert chain.verify(from_seq=self.seen.first_entry).ok, "P4: the chain does not hold"

    def _open_everything(self) -> None:
        for pk in self.vendors:
            destinations.change(Destination.objects.get(pk=pk), self.adam, paused=False)
        for send in Send.objects.filter(pk__in=self.sends, status="paused", held=False):
            control.resume(send, self.olivia)

    def _good_shift(self) -> None:
        """A worker to whom nothing happens, as long as anything is due; it looks once nothing is to be sent."""
        self.crew.claim(0)
        while mine := self.crew.workers[0]:
            self.crew.carry_on(mine[0], "taken")
            self.crew.give_back(mine[0])
            self.crew.claim(0)
        if not self.any_is(*ON_THE_WAY):
            self.readers.claim(0)
            for sitting in list(self.readers.readers[0]):
                self.readers.look_on(sitting, "shown", 20)
                self.readers.give_back(sitting)
