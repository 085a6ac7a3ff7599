"""What reading back has brought so far, in words: for one row, and for a send."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone

import connectors
from offline_portal.delivery.readback import asking
from offline_portal.delivery.readback.asking import Standing
from offline_portal.models import Delivery, Readback, Reader, Send
from offline_portal.screens.tones import Tone

S = Readback.State
IN_VAIN = (S.NOT_FOUND, S.NOT_AVAILABLE)


class Note(NamedTuple):
    """Where looking for a row stands; `at` is when the portal looks again."""

    tone: Tone
    icon: str
    title: str
    words: str
    at: datetime | None = None


class Part(NamedTuple):
    """So many rows of a send with one result of reading back; the address lists those that were looked for in vain."""

    rows: int
    words: str
    address: str = ""


def note(delivery: Delivery) -> Note | None:
    """None where nobody looks, and where the row itself says it all. Wants what `readbacks.standing_of` wants."""
    standing = asking.standing_of(delivery)
    if standing is None or standing.state in (S.CONFIRMED, S.STOPPED):
        return None
    vendor = connectors.get(delivery.send.destination.connector).name  # type: ignore[union-attr]
    if standing.state == S.LOOKING:
        return _looking(standing, vendor)
    if standing.state == S.NOT_FOUND:
        words = f"{vendor} did not show it, however often the portal looked. That does not prove that it is missing."
        return Note("warn", "search", f"Not found at {vendor} in {_times(standing.tries)}", words)
    why = Reader.objects.filter(destination=delivery.send.destination_id).values_list("refused", flat=True).first()
    words = why or "What the portal tried stands on the timeline."
    return Note("quiet", "search", f"Reading back is not available at {vendor}", words)


def _looking(standing: Standing, vendor: str) -> Note:
    title = f"Not found at {vendor} yet" if standing.tries else f"The portal looks it up at {vendor}"
    if standing.held:
        return Note("quiet", "search", title, f"{standing.held} Until that changes nobody looks.")
    if standing.next_at is not None and standing.next_at <= timezone.now():
        return Note("wait", "search", title, "It is looked up as soon as the pace allows.")
    return Note("wait", "search", title, "Looks again at" if standing.tries else "First at", standing.next_at)


def parts(send: Send) -> list[Part]:
    """What became of the rows of a send that were looked for; empty where none was."""
    if send.destination is None:
        return []
    nobody = asking.held_up(send.destination, asking.UNKNOWN)
    looking = "waiting to be looked up" if nobody else "still being looked for"
    named = (
        (S.CONFIRMED, "confirmed"), (S.LOOKING, looking), (S.NOT_FOUND, "not found there"),
        (S.NOT_AVAILABLE, "that could not be looked up"),
    )  # fmt: skip
    return [
        Part(rows, words, _address(send, state) if state in IN_VAIN else "")
        for state, words in named if (rows := getattr(send, f"readback_{state.value}"))
    ]  # fmt: skip


def shown(send: Send) -> dict[str, object]:
    """For the page of a send: its parts, who is asked, and why nobody looks at the moment."""
    found = parts(send)
    if not found or send.destination is None:
        return {"readback_parts": []}
    vendor = connectors.get(send.destination.connector).name
    return {"readback_parts": found, "readback_held": _held(send), "vendor": vendor}


def _held(send: Send) -> str:
    """Why nobody looks for the rows that are still looked for; empty where somebody does, or none is left."""
    if not send.readback_looking or send.destination is None:
        return ""
    nobody = asking.held_up(send.destination, asking.UNKNOWN)
    accepted = asking.held_up(send.destination, asking.ACCEPTED)
    return nobody or (f"{accepted} Only unknown rows are looked up." if accepted else "")


def _address(send: Send, state: Readback.State) -> str:
    return f"{reverse('send', args=[send.pk])}?{urlencode({'readback': state.value})}"


def _times(number: int) -> str:
    return "one look" if number == 1 else f"{number} looks"
