"""Waiting after failed tries, and pausing a destination, or a Send, until a person mends it."""

from __future__ import annotations

import random
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from offline_portal.audit import chain
from offline_portal.models import Destination, Send


def back_off(tries: int) -> float:
    """Seconds to wait after `tries` failed tries: doubling, with jitter, up to a ceiling."""
    longest = min(settings.PORTAL_RETRY_CEILING, settings.PORTAL_RETRY_BASE * 2 ** min(max(tries - 1, 0), 30))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311


def wait(destination: int, seconds: float) -> None:
    """Nothing is sent to the destination for so many seconds; a longer wait that is there already stays."""
    until = timezone.now() + timedelta(seconds=seconds)
    Destination.objects.filter(pk=destination).exclude(waits_until__gt=until).update(waits_until=until)


def pause_destination(destination: int, reason: str, actor: str = "portal") -> bool:
    """Pause it and its sends, with the reason; one audit entry, however many answers say the same.

    Inside a transaction. Returns whether it was open before.
    """
    if not Destination.objects.filter(pk=destination, paused=False).update(paused=True, reason=reason):
        return False
    hold_sends(destination, reason)
    chain.add(actor, "destination.paused", f"destination:{destination}", {"reason": reason})
    return True


def pause_send(send: int, reason: str) -> None:
    """Pause one Send until a person resumes or cancels it: no time and no mended connection will help it."""
    with transaction.atomic():
        alive = Send.objects.filter(pk=send, status__in=("queued", "sending"))
        if alive.update(status=Send.Status.PAUSED, reason=reason, held=False):
            chain.add("portal", "send.paused", f"send:{send}", {"reason": reason})


def hold_sends(destination: int, reason: str) -> None:
    """Pause the sends of a destination that is paused; they go on when it is opened."""
    Send.objects.filter(destination=destination, status__in=("queued", "sending")).update(
        status=Send.Status.PAUSED, reason=reason, held=True
    )
