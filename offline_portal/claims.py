"""Taking, keeping and giving back work that only one worker may do at a time."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q
from django.utils import timezone

from offline_portal.models.claim import Claimed


class ClaimLost(Exception):
    """Another worker has taken over; whatever this one still holds must not be sent or written."""


def worker_name() -> str:
    """This worker, as shown on the health page and in attempts."""
    return f"{socket.gethostname()}:{os.getpid()}"


def free() -> Q:
    """Work that nobody holds, or whose holder has been silent for longer than its lease."""
    return Q(lease_until=None) | Q(lease_until__lt=timezone.now())


def take(model: type[Claimed], pk: int, **state: Any) -> int | None:
    """Claim one row while it is in `state`; its new fence, or None when it is held or in another state."""
    with transaction.atomic():
        changed = model.objects.filter(free(), pk=pk, **state).update(
            fence=F("fence") + 1, lease_until=lease_end(), worker=worker_name()
        )
        return model.objects.values_list("fence", flat=True).get(pk=pk) if changed else None


def lease_end() -> Any:
    """When a claim that is renewed now runs out."""
    return timezone.now() + timedelta(seconds=settings.PORTAL_LEASE)


def keep(model: type[Claimed], pk: int, fence: int, **changes: Any) -> None:
    """Write `changes` and renew the lease, under the fence. Raises ClaimLost when the claim is no longer ours."""
    mine: models.QuerySet[Any] = model.objects.filter(pk=pk, fence=fence)
    if not mine.update(lease_until=lease_end(), **changes):
        raise ClaimLost(f"{model.__name__} {pk} has another owner")


def give_back(model: type[Claimed], pk: int, fence: int, **changes: Any) -> bool:
    """Write `changes` and end the claim; False when it was no longer ours (then nothing is written)."""
    return bool(model.objects.filter(pk=pk, fence=fence).update(lease_until=None, worker="", **changes))
