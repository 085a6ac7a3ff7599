"""Idempotency keys: an unsafe call that is repeated with its key is answered as it was the first time."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.utils import timezone

from offline_portal.models import IdempotencyKey

KEPT = timedelta(hours=24)
ABANDONED = timedelta(minutes=10)
"""No call runs so long; one that never answered lost its web server, and the key is free again."""


class StillRunning(Exception):
    """The first call with this key has not been answered yet."""


class OtherBody(Exception):
    """The key was used before for another call or another body."""


class Claim(NamedTuple):
    """The right to make the call; to be settled or released."""

    id: int


class Stored(NamedTuple):
    """The first answer: an HTTP status and the JSON text of the body."""

    status: int
    body: str


def begin(user: AbstractBaseUser, key: str, call: str, body_digest: str) -> Claim | Stored:
    """Claim the key for this call (`POST /api/v1/sends`), or get its first answer. Raises StillRunning, OtherBody.

    Of any number of equal calls at one moment exactly one gets the Claim: the database's unique constraint decides.
    """
    _drop_outlived(user, key)
    try:
        with transaction.atomic():
            made = IdempotencyKey.objects.create(user=user, key=key, call=call, body_digest=body_digest)
        return Claim(made.pk)
    except IntegrityError:
        first = IdempotencyKey.objects.filter(user=user, key=key).first()
    if first is None:
        raise StillRunning
    if (first.call, first.body_digest) != (call, body_digest):
        raise OtherBody
    if first.status is None:
        raise StillRunning
    return Stored(first.status, first.answer)


def settle(claim: Claim, status: int, body: str) -> None:
    """Keep the answer for whoever repeats the call."""
    IdempotencyKey.objects.filter(pk=claim.id).update(status=status, answer=body)


def release(claim: Claim) -> None:
    """Nothing was done: the call may be made again with the same key."""
    IdempotencyKey.objects.filter(pk=claim.id, status=None).delete()


def _drop_outlived(user: AbstractBaseUser, key: str) -> None:
    now = timezone.now()
    mine = IdempotencyKey.objects.filter(user=user, key=key)
    mine.filter(created_at__lt=now - KEPT).delete()
    mine.filter(status=None, created_at__lt=now - ABANDONED).delete()
