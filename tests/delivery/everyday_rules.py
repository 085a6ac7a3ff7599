"""What can happen in every game with imaginary workers: files come, work is done, people and admins step in."""

from __future__ import annotations

from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from offline_portal import destinations
from offline_portal.delivery import control, sweep
from offline_portal.delivery.states import Conflict
from offline_portal.models import Send
from tests.delivery.game import LAST_WORDS, WORKERS, Game
from tests.delivery.imaginary import ENDS

A_FEW = st.integers(0, 5)
TO_THE_END = st.sampled_from([
    ["never_sent"] * 2, ["lost_after", "never_sent"], ["lost_before"] * 2, ["lost_after/taken", "never_sent"],
    ["lost_after/lost_before"] * 2, ["lost_after", "refused"],
])
"""The limit of tries is two."""
WORK = st.lists(st.sampled_from(ENDS), min_size=1, max_size=3) | TO_THE_END
ON_THE_WAY = ("queued", "sending", "cancelled")
"""Rows may stand so whose Batch is not done."""


class Everyday(Game):
    """Rows on their way, as it usually goes."""

    @precondition(lambda self: self.files_given < 6 and len(self.sends) < 4)
    @rule(which=A_FEW, other=st.booleans())
    def queue_another_file(self, which: int, other: bool) -> None:
        """The same once more, or another one where there is any."""
        destination = self.any_destination(which)
        if not destination.archived_at:
            self.queue_file(destination, -1 if other else 0)

    @precondition(lambda self: self.any_is(*ON_THE_WAY))
    @rule(worker=st.integers(0, WORKERS - 1), hows=WORK)
    def work_for_a_while(self, worker: int, hows: list[str]) -> None:
        """The usual way, in one step: claimed, begun, ended, written and given back."""
        for how in hows:
            self.work(how, worker)

    @precondition(lambda self: self.intake_is_woken)
    @rule()
    def intake_works(self) -> None:
        self.let_intake_work()

    @rule()
    def time_passes(self) -> None:
        self.let_time_pass()

    @rule()
    def sweep(self) -> None:
        sweep.one_pass()

    @precondition(lambda self: self.any_is("queued", "sending"))
    @rule(which=A_FEW, act=st.sampled_from(["pause", "pause", "pause", "cancel"]))
    def a_person_stops_a_send(self, which: int, act: str) -> None:
        try:
            getattr(control, act)(self.any_send(which), self.olivia)
            event(act)
        except Conflict:
            pass

    @precondition(lambda self: self.seen.paused)
    @rule(which=A_FEW)
    def a_person_resumes(self, which: int) -> None:
        try:
            control.resume(Send.objects.get(pk=self.seen.paused[which % len(self.seen.paused)]), self.olivia)
            event("resumed")
        except Conflict as conflict:
            assert conflict.code == "destination_paused"

    @precondition(lambda self: self.any_is("unknown"))
    @rule(which=st.integers(0, 30), as_=st.sampled_from(LAST_WORDS), any_row=st.sampled_from([False, False, True]))
    def a_person_decides(self, which: int, as_: str, any_row: bool) -> None:
        """Mostly about one that is unknown."""
        self.decide([pk for pk, status in self.seen.statuses.items() if any_row or status == "unknown"], which, as_)

    @rule(which=A_FEW, paused=st.booleans())
    def an_admin_pauses_or_opens(self, which: int, paused: bool) -> None:
        destinations.change(self.any_destination(which), self.adam, paused=paused)

    # What must hold after every step

    @invariant()
    def promises_are_kept(self) -> None:
        self.seen.are_kept()
