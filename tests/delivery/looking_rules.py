"""What can happen to looks: readers claim, look, are cut off, die and wake up, and admins change what is looked for."""

from __future__ import annotations

from django.utils import timezone
from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from offline_portal import destinations
from offline_portal.delivery import sweep
from offline_portal.models import Destination, Reader
from tests.delivery.everyday_rules import A_FEW, Everyday
from tests.delivery.game import LAST_WORDS, LONG_AGO, READERS
from tests.delivery.imaginary_reader import LOOK_ENDS, Sitting
from tests.delivery.shelf import OF_THE_WEBSITE

A_READER = st.integers(0, READERS - 1)
READBACK = st.fixed_dictionaries({
    "verify": st.sampled_from([True, True, False]),
    "readback_after": st.sampled_from([0, 30]),
    "readback_every": st.sampled_from([30, 1e-9]),
    "readback_tries": st.integers(1, 3),
})
"""Of a destination: whether accepted rows are looked for, and whether looks are due at once or when time passes."""


WEBSITE = st.sets(st.sampled_from(sorted(OF_THE_WEBSITE)))
READERS_FATE = ("dies", "sleeps", "sleeps and another comes", "renews")
MEANWHILE = (*LAST_WORDS, "resend", "sent", "lost", "paused", "opened", "time passes", "swept", *READERS_FATE[:3])
"""What happens while looks are on the wire."""


class Looking(Everyday):
    """Rows that have been sent, and what the vendor shows of them."""

    @precondition(lambda self: self.seen.looks.sought)
    @rule(reader=A_READER, hows=st.lists(st.sampled_from(LOOK_ENDS), min_size=1, max_size=3), later=st.booleans())
    def look_for_a_while(self, reader: int, hows: list[str], later: bool) -> None:
        """The usual way, in one step: claimed, looked, written and given back; `later`: once looks have fallen due."""
        for how in hows:
            if later:
                self.looks_fall_due()
            self.readers.claim(reader)
            for sitting in list(self.readers.readers[reader]):
                self._finish(sitting, how)
                if sitting in self.readers.sitting:
                    self.readers.look_on(sitting, how, 2)
                    self.readers.give_back(sitting)

    @precondition(lambda self: self.seen.looks.sought)
    @rule(reader=A_READER, most=st.integers(1, 3), later=st.booleans())
    def a_reader_begins(self, reader: int, most: int, later: bool) -> None:
        """A round, wherever it sits already, or a look is due."""
        if later:
            self.looks_fall_due()
        self.readers.claim(reader)
        for sitting in list(self.readers.readers[reader]):
            self.readers.begin(sitting, most)

    @precondition(lambda self: self.seen.looks.sought)
    @rule(
        reader=A_READER, meanwhile=st.lists(st.sampled_from(MEANWHILE), min_size=1, max_size=3), which=A_FEW,
        how=st.sampled_from(LOOK_ENDS),
    )  # fmt: skip
    def something_happens_in_mid_look(self, reader: int, meanwhile: list[str], which: int, how: str) -> None:
        """Looks are on the wire, this and that happens, and then they land."""
        self.a_reader_begins(reader, 3, later=True)
        mine = list(self.readers.readers[reader])
        for what in meanwhile:
            if self.seen.looks.open:
                event(f"in mid-look: {what}")
            self._meanwhile(what, which)
            self.seen.are_kept()
        for sitting in mine:
            if sitting in self.readers.sitting:
                self._finish(sitting, how)

    def _meanwhile(self, what: str, which: int) -> None:
        flying = {row for rows in self.seen.looks.open.values() for row in rows}
        unknown = [row for row in flying if self.seen.statuses[row] == "unknown"]
        if what in LAST_WORDS and unknown:
            self.decide(unknown, which, what)
        elif what in ("sent", "lost"):
            self.work({"sent": "taken", "lost": "lost_after/lost_before"}[what])
        elif what in ("paused", "opened"):
            destinations.change(self.any_destination(which), self.adam, paused=what == "paused")
        elif what == "time passes":
            self.let_time_pass()
        elif what == "swept":
            sweep.one_pass()
        elif what in READERS_FATE and self.readers.sitting:
            self.something_happens_to_a_reader(which, what, which % READERS)

    @precondition(lambda self: any(one.begun for one in self.readers.sitting))
    @rule(which=A_FEW, how=st.sampled_from(LOOK_ENDS))
    def a_look_ends(self, which: int, how: str) -> None:
        busy = [one for one in self.readers.sitting if one.begun]
        self.readers.end_one(busy[which % len(busy)], how)

    @precondition(lambda self: any(one.landed for one in self.readers.sitting))
    @rule(which=A_FEW, how=st.sampled_from(LOOK_ENDS))
    def a_reader_writes(self, which: int, how: str) -> None:
        """What it has found, once the other looks of its round have come to an end."""
        busy = [one for one in self.readers.sitting if one.landed]
        self._finish(busy[which % len(busy)], how)

    def _finish(self, sitting: Sitting, how: str) -> None:
        while sitting.begun:
            self.readers.end_one(sitting, how)
        self.readers.write(sitting)
        self.seen.are_kept()

    @precondition(lambda self: self.readers.sitting)
    @rule(which=A_FEW, failed=st.booleans())
    def a_reader_rises(self, which: int, failed: bool) -> None:
        self.readers.give_back(self.readers.one(which), failed)

    @precondition(lambda self: self.readers.sitting)
    @rule(which=A_FEW, what=st.sampled_from(READERS_FATE), reader=A_READER)
    def something_happens_to_a_reader(self, which: int, what: str, reader: int) -> None:
        sitting = self.readers.one(which)
        event(f"a reader {what}")
        if what == "dies":
            self.readers.forget(sitting)
        elif what == "renews":
            self.readers.renew(sitting)
        else:
            self._sleeps(sitting)
            if "another" in what:
                self.readers.claim(reader)

    def _sleeps(self, sitting: Sitting) -> None:
        """For longer than its lease."""
        sitting.lapsed = True
        mine = Reader.objects.filter(pk=sitting.desk.destination, fence=sitting.desk.fence)
        mine.update(lease_until=timezone.now() - LONG_AGO)

    @precondition(lambda self: self.seen.looks.sought)
    @rule(which=A_FEW, what=st.sampled_from(["verify", "verify no more", "archive"]))
    def an_admin_changes_what_is_looked_for(self, which: int, what: str) -> None:
        place = Destination.objects.get(pk=self.looked_at[which % len(self.looked_at)])
        if what != "archive":
            destinations.change(place, self.adam, settings={"verify": what == "verify"})
            return
        try:
            destinations.archive(place, self.adam)
            event("archived")
        except destinations.Unfinished:
            pass
