"""What the pages of one send share: finding it, its steps, its title, and whose cells are shown."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any, NamedTuple

from django.contrib.auth.models import AbstractBaseUser
from django.http import Http404, HttpRequest
from django.urls import reverse

import connectors
from offline_portal.access.roles import OPS, has_role
from offline_portal.models import Send
from offline_portal.redaction import mask, plain_columns
from offline_portal.screens.viewer import grouped

S = Send.Status
OPEN = (S.DRAFT, S.CHECKING, S.CHECKED, S.FAILED)
WAITING = (S.AWAITING_APPROVAL, S.SCHEDULED)
RUNNING = (S.QUEUEING, S.QUEUED, S.SENDING)
OVER = (S.FINISHED, S.CANCELLED, S.FAILED)
_STEPS = (
    ("File", "send-file"),
    ("Recognised", "send-recognised"),
    ("Destination and columns", "send-columns"),
    ("Check", "send-check"),
    ("Send", "send-confirm"),
)


class Step(NamedTuple):
    """One of the five steps: reachable where it has an address."""

    word: str
    address: str
    here: bool
    done: bool


def the_send(pk: int) -> Send:
    """The send with what its pages show of it. Raises Http404."""
    found = Send.objects.select_related("upload", "destination", "settings_version", "created_by", "queued_by")
    send = found.filter(pk=pk).first()
    if send is None:
        raise Http404("There is no such send.")
    return send


def is_open(send: Send) -> bool:
    """Whether the steps can still be changed: nothing of it was queued."""
    return send.status in OPEN and send.queued_at is None


def steps(send: Send | None, here: int) -> list[Step]:
    """The five steps as seen from step number `here` (1 to 5)."""
    reached = _reached(send)
    return [
        Step(
            word,
            reverse(name, args=[send.pk]) if send and number <= reached else "",
            number == here,
            number < reached,
        )
        for number, (word, name) in enumerate(_STEPS, start=1)
    ]


def next_step(send: Send) -> str:
    """Where a person goes on with a send that is not queued yet."""
    return reverse(_STEPS[_reached(send) - 1][1] if send.status != S.CHECKED else "send-check", args=[send.pk])


def _reached(send: Send | None) -> int:
    if send is None:
        return 1
    if send.destination_id is None:
        return 3
    return 5 if send.status == S.CHECKED else 4


def sentence(send: Send) -> str:
    """The send in one sentence: the title of its page."""
    name, ready = send.upload.filename, grouped(send.ready)
    if send.status in (S.QUEUEING, S.QUEUED):
        return f"{name}: {ready} rows lined up"
    if send.status == S.DRAFT:
        return f"{name}: not sent yet"
    if send.status == S.CHECKING:
        return f"{name}: being checked"
    if send.status == S.AWAITING_APPROVAL:
        return f"{name}: {ready} of {grouped(send.total)} rows wait for an approval"
    if send.status == S.SCHEDULED:
        return f"{name}: {ready} of {grouped(send.total)} rows wait for their time"
    if send.status == S.CHECKED:
        return f"{name}: {ready} of {grouped(send.total)} rows ready"
    if send.status == S.FAILED:
        return f"{name}: could not be checked"
    return f"{name}: {grouped(send.accepted)} of {grouped(send.ready)} accepted"


def settled(send: Send) -> int:
    """Rows that have a result."""
    return send.accepted + send.rejected + send.unknown + send.failed + send.cancelled


def shown_columns(send: Send, user: AbstractBaseUser) -> Collection[str] | None:
    """The only columns that this person may read; None for all."""
    if has_role(user, OPS):
        return None
    if send.destination is None:
        return set()
    return plain_columns(send.upload.columns, send.mapping, connectors.get(send.destination.connector))


def shown_cells(cells: Mapping[str, str], shown: Collection[str] | None) -> dict[str, str]:
    """Cells as this person may read them."""
    return {column: text if shown is None or column in shown else mask(text) for column, text in cells.items()}


def after(request: HttpRequest) -> int | None:
    """The key behind which the page asked for begins, or the page that a form was on."""
    text = request.GET.get("after") or request.POST.get("after", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def day_of(text: str) -> date | None:
    """A day as an address names it; None for anything else."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def frame_of(send: Send, here: int) -> dict[str, Any]:
    """Template context of a step's page."""
    return {"send": send, "upload": send.upload, "destination": send.destination, "steps": steps(send, here)}
