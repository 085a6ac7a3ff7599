"""Watching a Send from the outside, until it is where it should be or cannot get there by itself."""

from __future__ import annotations

import time

from django.conf import settings
from django.urls import reverse

from offline_portal.health import has_worker
from offline_portal.management.progress import Progress
from offline_portal.models import Send

S = Send.Status
PATIENCE = 30.0
"""Seconds without a living worker after which waiting makes no sense."""
_LOOK_EVERY = 0.25
_ASK_FOR_WORKERS_EVERY = 2.0
_INTAKE = (S.CHECKING, S.QUEUEING)
_MOVING = (*_INTAKE, S.QUEUED, S.SENDING)


class NoWorker(Exception):
    """No worker has been alive for so long that waiting makes no sense; the text is for a person."""


def follow(send: Send, progress: Progress, until: tuple[str, ...] = ()) -> Send:
    """Wait until nothing moves the Send by itself any more, or until it is in one of the states `until`.

    Returns it fresh from the database. Raises NoWorker.
    """
    alive_at = asked_at = time.monotonic()
    while send.status in _MOVING and send.status not in until:
        _show(send, progress)
        now = time.monotonic()
        if now - asked_at >= _ASK_FOR_WORKERS_EVERY:
            asked_at = now
            queue = "intake" if send.status in _INTAKE else "delivery"
            alive_at = now if has_worker(queue) else alive_at
            if now - alive_at >= PATIENCE:
                raise NoWorker(
                    f"No {queue} worker has been alive for {PATIENCE:.0f} seconds. Send {send.pk} goes on by itself "
                    f"once one runs: make run, or manage.py worker {queue}."
                )
        time.sleep(_LOOK_EVERY)
        send = Send.objects.select_related("upload", "destination", "created_by").get(pk=send.pk)
    _show(send, progress)
    progress.close()
    return send


def address(send: Send) -> str:
    """Where a person finds the Send in the dashboard."""
    origin = next(iter(settings.CSRF_TRUSTED_ORIGINS), f"http://localhost:{settings.PORT}")
    return origin + reverse("send", args=[send.pk])


def _show(send: Send, progress: Progress) -> None:
    if send.upload.status == "reading":
        progress.show("Reading", send.upload.rows, 0)
    elif send.status == S.CHECKING:
        progress.show("Checking", send.total - send.unchecked, send.total)
    elif send.status == S.QUEUEING:
        progress.show("Queueing", 0, send.ready)
    elif send.queued_at:
        progress.show("Sending", send.ready - send.queued - send.sending, send.ready)
