"""When it is not the rows: pausing a destination with one alarm instead of thousands of failed rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.db.models import F

from offline_portal.delivery.hold import Hold
from offline_portal.delivery.pausing import back_off, pause_destination, wait
from offline_portal.delivery.verdict import FIRST_SINGLES
from offline_portal.models import Send

if TYPE_CHECKING:
    from offline_portal.delivery.writing import Parcel


def after(hold: Hold, landed: Sequence[Parcel]) -> None:
    """Inside the transaction that wrote `landed`: wait, pause, or count refusals, as their verdicts say."""
    for parcel in landed:
        verdict = parcel.verdict
        if verdict is None:
            continue
        if verdict.wait is not None:
            wait(hold.destination, verdict.wait or back_off(hold.tries + 1))
        if verdict.pause:
            pause_destination(hold.destination, verdict.pause)
        if verdict.refusal:
            _count_refusal(hold, verdict.refusal)


def _count_refusal(hold: Hold, words: str) -> None:
    mine = Send.objects.filter(pk=hold.send, accepted=0)
    if not mine.filter(refusal_words=words).update(refusals_in_a_row=F("refusals_in_a_row") + 1):
        mine.update(refusal_words=words, refusals_in_a_row=1)
    if mine.filter(refusals_in_a_row__gte=FIRST_SINGLES).exists():
        reason = f"The vendor refused the first {FIRST_SINGLES} rows in the same words: {words}"
        pause_destination(hold.destination, reason[:1_000])
