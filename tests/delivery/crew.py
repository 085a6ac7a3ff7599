"""Imaginary workers at the real database: what they may write they write, and what they may not is refused."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Any

from django.utils import timezone
from hypothesis import event

from offline_portal.claims import ClaimLost
from offline_portal.delivery import abandoned, claiming, doubt, hold
from offline_portal.delivery.writing import RowsGone
from offline_portal.models import Batch, Send
from tests.delivery.imaginary import Carrying, ImaginaryVendor
from tests.delivery.promises import Promises


class Crew:
    """Some workers, each with the Batches that it believes to be its own."""

    def __init__(self, size: int, vendors: Mapping[int, ImaginaryVendor], seen: Promises) -> None:
        self.workers: list[list[Carrying]] = [[] for _ in range(size)]
        self.vendors, self.seen = vendors, seen

    @property
    def carrying(self) -> list[Carrying]:
        """All that is carried by anybody."""
        return [one for mine in self.workers for one in mine]

    def one(self, which: int) -> Carrying:
        """Any of them."""
        return self.carrying[which % len(self.carrying)]

    def claim(self, worker: int) -> None:
        """Whatever is due, as a shift claims it."""
        mine = self.workers[worker]
        before = {one.hold.destination: one for one in mine}
        for held in claiming.claim_due({one.hold.destination for one in mine if not one.draining}):
            for other in self.carrying:
                assert other.hold.batch != held.batch or other.lapsed, "two workers hold one Batch"
            if held.fence > 1:
                abandoned.close(held)
            doubt.end_what_is_too_old(held)
            held = hold.with_doubt(held)
            requests = list(hold.requests_of(held, hold.queued_rows(held)))
            mine.append(Carrying(held, requests, before=before.get(held.destination)))
            event("claimed early" if mine[-1].waits else "claimed")

    def claim_after(self, carrying: Carrying) -> None:
        """Once a row of that Batch has come to its end, its worker claims the next one of the destination."""
        [worker] = [number for number, mine in enumerate(self.workers) if carrying in mine]
        self.turn(carrying, 1)
        self.seen.are_kept()
        if carrying.begun:
            self.end_one(carrying, "taken")
        self.turn(carrying, 0)
        self.claim(worker)

    def turn(self, carrying: Carrying, most: int) -> None:
        """One transaction of a worker, refused exactly when its claim is lost."""
        if carrying.waits:
            return
        landed, carrying.landed = carrying.landed, []
        carrying.learn(landed)
        parcels = carrying.next_parcels(most)
        lost, may = claim_of(carrying)["fence"] != carrying.hold.fence, may_send(carrying)
        try:
            begun = carrying.book.turn(landed, parcels)
        except ClaimLost:
            assert lost, "its claim was good"
            event("claim lost")
            self.forget(carrying)
            return
        except RowsGone:
            assert not lost, "who lost the claim writes nothing"
            event("rows gone")
            carrying.book.turn(landed, [])
            begun = False
        assert not lost, "who lost the claim writes nothing"
        carrying.lapsed = False
        verify = bool(carrying.hold.settings.get("verify"))
        for parcel in landed:
            self.seen.landed(carrying.hold.destination, parcel.attempt, carrying.ends[parcel.attempt], verify)
        assert begun <= may, "begun though it was stopped"
        if parcels and not begun:
            carrying.halt()
        for parcel in parcels if begun else []:
            safe = [row for row in parcel.rows if carrying.harmless(row) or row.id not in self.seen.doubt]
            assert safe == parcel.rows, "P3: sent again though it may have arrived"
            self.seen.open[parcel.attempt] = [row.id for row in parcel.rows]
            carrying.begun.append(parcel)
        carrying.make_room()

    def end_one(self, carrying: Carrying, how: str) -> None:
        """The request that was begun first comes to its end."""
        event(f"ended: {'too late' if carrying.lapsed else how}")
        carrying.end(carrying.begun[0], how, self.vendors[carrying.hold.destination])

    def carry_on(self, carrying: Carrying, how: str) -> None:
        """Until nothing waits and nothing is on the wire; who is held up again and again gives up.

        `how`: as the requests end, those of `ENDS` with a slash between them one after the other.
        """
        hows = cycle(how.split("/"))
        for _turn in range(20):
            if carrying not in self.carrying or not (carrying.pending or carrying.begun or carrying.landed):
                return
            self.turn(carrying, 2)
            self.seen.are_kept()
            while carrying.begun:
                self.end_one(carrying, next(hows))

    def give_back(self, carrying: Carrying) -> None:
        """End the claim, unless something is still under way."""
        if carrying.begun or carrying.landed or carrying.waits:
            return
        before = claim_of(carrying)
        hold.give_back(carrying.hold, carrying.again, carrying.settled)
        if carrying.hold.fence != before["fence"]:
            assert claim_of(carrying) == before, "it was no longer its own"
        self.forget(carrying)

    def forget(self, carrying: Carrying) -> None:
        """Its worker knows nothing of it any more."""
        carrying.drained = True
        for mine in self.workers:
            if carrying in mine:
                mine.remove(carrying)


def may_send(carrying: Carrying) -> bool:
    """Whether neither a person nor the vendor has stopped what it carries."""
    send = Send.objects.select_related("destination").get(pk=carrying.hold.send)
    waits = send.destination.waits_until
    alive = send.status in ("queued", "sending") and not send.destination.paused
    return alive and (waits is None or waits <= timezone.now())


def claim_of(carrying: Carrying) -> dict[str, Any]:
    """How the claim stands in the database."""
    return Batch.objects.values("fence", "lease_until", "worker", "done", "due_at").get(pk=carrying.hold.batch)
