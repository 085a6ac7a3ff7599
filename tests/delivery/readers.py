"""Imaginary readers at the real database: what they may write they write, and what they may not is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.utils import timezone
from hypothesis import event

from offline_portal import claims
from offline_portal.claims import ClaimLost
from offline_portal.delivery.readback import findings, reading, refusal
from offline_portal.delivery.readback.look import Look
from offline_portal.models import Destination, Reader
from tests.delivery.imaginary import ImaginaryVendor
from tests.delivery.imaginary_reader import Sitting
from tests.delivery.promises import Promises


class Readers:
    """Some readers, each with the destinations that it believes to be its own."""

    def __init__(self, size: int, vendors: Mapping[int, ImaginaryVendor], seen: Promises) -> None:
        self.readers: list[list[Sitting]] = [[] for _ in range(size)]
        self.vendors, self.seen = vendors, seen

    @property
    def sitting(self) -> list[Sitting]:
        """All desks at which anybody sits."""
        return [one for mine in self.readers for one in mine]

    def one(self, which: int) -> Sitting:
        """Any of them."""
        return self.sitting[which % len(self.sitting)]

    def claim(self, reader: int) -> None:
        """Wherever a look is due, as a shift claims it; what a dead reader left is closed first."""
        mine = self.readers[reader]
        for desk in reading.claim_due({one.desk.destination for one in mine}):
            assert may_look(desk.destination), "claimed though nobody may look"
            for other in self.sitting:
                assert other.desk.destination != desk.destination or other.lapsed, "two readers hold one destination"
            findings.close_abandoned(desk)
            mine.append(Sitting(desk))
            event("a reader claimed")

    def begin(self, sitting: Sitting, most: int) -> None:
        """A round begins, as soon as the one before is over: rows of refused sends are closed, looks put on record."""
        if sitting.begun or sitting.landed:
            return
        may = may_look(sitting.desk.destination)

        def some() -> list[Look]:
            while refusal.close(sitting.desk):
                event("rows of a refused send were closed")
            due = reading.is_due(sitting.desk)
            return reading.begin(sitting.desk, most, lambda request: request) if due else []

        looks = self._under_the_claim(sitting, some) or []
        assert may or not looks, "begun though nobody may look"
        for one in looks:
            self.seen.looks.begun(one)
            sitting.begun.append(one)

    def end_one(self, sitting: Sitting, how: str) -> None:
        """The look that was begun first comes to its end."""
        event(f"a look: {how}")
        sitting.end(sitting.begun[0], how, self.vendors[sitting.desk.destination])

    def write(self, sitting: Sitting) -> None:
        """What all looks of the round have found."""
        if sitting.begun or not sitting.landed:
            return
        landed, sitting.landed = sitting.landed, []
        self._under_the_claim(sitting, lambda: findings.settle(sitting.desk, landed))
        if sitting in self.sitting:
            for one in landed:
                self.seen.looks.landed(one)

    def renew(self, sitting: Sitting) -> None:
        """While answers are awaited."""
        self._under_the_claim(
            sitting, lambda: claims.keep(Reader, sitting.desk.destination, sitting.desk.fence)
        )

    def look_on(self, sitting: Sitting, how: str, rounds: int) -> None:
        """Round after round, until nothing is due."""
        for _round in range(rounds):
            self.begin(sitting, 2)
            if not sitting.begun:
                return
            while sitting.begun:
                self.end_one(sitting, how)
            self.write(sitting)
            self.seen.are_kept()

    def give_back(self, sitting: Sitting, failed: bool = False) -> None:
        """End the claim, unless something is still under way."""
        if sitting.begun or sitting.landed:
            return
        before = claim_of(sitting)
        reading.give_back(sitting.desk, failed=failed)
        if sitting.desk.fence != before["fence"]:
            assert claim_of(sitting) == before, "it was no longer its own"
        self.forget(sitting)

    def forget(self, sitting: Sitting) -> None:
        """Its reader knows nothing of it any more."""
        for mine in self.readers:
            if sitting in mine:
                mine.remove(sitting)

    def _under_the_claim(self, sitting: Sitting, act: Callable[[], Any]) -> Any:
        """What a reader writes, refused exactly when its claim is lost; then it forgets all about it."""
        lost = claim_of(sitting)["fence"] != sitting.desk.fence
        try:
            written = act()
        except ClaimLost:
            assert lost, "its claim was good"
            event("a reader lost its claim")
            self.forget(sitting)
            return None
        assert not lost, "who lost the claim writes nothing"
        sitting.lapsed = False
        return written


def may_look(destination: int) -> bool:
    """Whether neither a person nor the vendor has stopped the looking there."""
    place = Destination.objects.get(pk=destination)
    waits = place.waits_until is not None and place.waits_until > timezone.now()
    return not (place.paused or place.archived_at or waits)


def claim_of(sitting: Sitting) -> dict[str, Any]:
    """How the claim stands in the database."""
    mine = Reader.objects.filter(pk=sitting.desk.destination)
    return mine.values("fence", "lease_until", "worker", "waits_until", "failures").get()
