"""Idempotency keys: an unsafe call that is repeated with its key is answered as it was the first time.

What a call did it notes with its key in the transaction that does it. So a call whose web server died is either free to
be made, or known to have been made; and one that another took for dead can no longer do anything.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.utils import timezone

from offline_portal.models import IdempotencyKey

KEPT = timedelta(hours=24)


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


class Made(NamedTuple):
    """The call was made, and its answer got lost: what it acted on, such as `send:12`."""

    id: int
    object: str


def begin(user: AbstractBaseUser, key: str, call: str, body_digest: str) -> Claim | Stored | Made:
    """Claim the key for this call (`POST /api/v1/sends`), or get its first answer. Raises StillRunning, OtherBody.

    Of any number of equal calls at one moment exactly one gets the Claim: the database's unique constraint decides.
    """
    _drop_outlived(user, key, call, body_digest)
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
    if first.status is not None:
        return Stored(first.status, first.answer)
    if first.answer and first.created_at < _silent_since():
        return Made(first.pk, first.answer)
    raise StillRunning


def note_made(claim: Claim, object: str) -> bool:
    """Inside the transaction that does what was called for: to which `object` (`send:12`).

    False when another call has taken the place of this one: then nothing may be done.
    """
    return bool(IdempotencyKey.objects.filter(pk=claim.id, status=None).update(answer=object))


def settle(claim: Claim, status: int, body: str) -> None:
    """Keep the answer for whoever repeats the call."""
    IdempotencyKey.objects.filter(pk=claim.id).update(status=status, answer=body)


def release(claim: Claim) -> None:
    """The call failed. If it did nothing it may be made again with the same key; else that is told at once."""
    mine = IdempotencyKey.objects.filter(pk=claim.id, status=None)
    mine.filter(answer="").delete()
    mine.update(created_at=_silent_since() - timedelta(seconds=1))


def forget(made: Made) -> None:
    """Let the call be made once more."""
    IdempotencyKey.objects.filter(pk=made.id, status=None).delete()


def _silent_since() -> datetime:
    """A call that began before and has no answer lost its web server; should it live, it can do nothing any more."""
    return timezone.now() - timedelta(seconds=settings.PORTAL_LEASE)


def _drop_outlived(user: AbstractBaseUser, key: str, call: str, body_digest: str) -> None:
    mine = IdempotencyKey.objects.filter(user=user, key=key)
    mine.filter(created_at__lt=timezone.now() - KEPT).delete()
    silent = mine.filter(status=None, created_at__lt=_silent_since())
    silent.filter(answer="").delete()
    silent.exclude(call=call, body_digest=body_digest).delete()
