"""Where the rows of a Send are: a table that adds up, and what a person should do about it."""

from __future__ import annotations

from offline_portal.management.following import address
from offline_portal.models import Send

_LINES = (
    ("accepted", "accepted", ""),
    ("rejected", "rejected", "the vendor refused them: mend and retry"),
    ("unknown", "unknown", "they may have arrived: decide what to do with each"),
    ("failed", "failed", "they did not arrive: retry"),
    ("cancelled", "cancelled", ""),
    ("queued", "queued", ""),
    ("sending", "sending", ""),
    ("problem", "problem", "they cannot be sent as they are: mend them"),
    ("duplicate", "duplicate", "they were sent before, or stand twice in the file"),
    ("excluded", "left out", ""),
    ("unchecked", "not checked", ""),
)


def summary(send: Send) -> str:
    """Several lines; the numbers of the rows add up to the last one."""
    settled = send.queued + send.sending + send.accepted + send.rejected + send.unknown + send.failed + send.cancelled
    lines = [("ready", send.ready - settled, "")]
    lines += [(label, getattr(send, name), advice) for name, label, advice in _LINES]
    width = max(len(f"{send.total:,}"), 5)
    text = [f"Send {send.pk}, “{send.upload.filename}” to “{send.destination}”: {send.get_status_display().lower()}"]
    text += [f"  {label:<12}{count:>{width},}  {advice}".rstrip() for label, count, advice in lines if count]
    text += [f"  {'':<12}{'-' * width}", f"  {'in all':<12}{send.total:>{width},}"]
    if send.rejected or send.unknown or send.failed or send.problem:
        text.append(f"  Mend, retry and decide at {address(send)}")
    return "\n".join(text)
