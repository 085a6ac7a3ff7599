"""Tokens: a person's key for scripts. The text is shown once; only its digest is kept."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from offline_portal.audit import chain
from offline_portal.models import Token

PREFIX = "op_"
_NOTED_EVERY = timedelta(minutes=1)


def make(user: AbstractBaseUser, by: str | None = None) -> str:
    """A new token of this person, made by the person named `by` (themselves if None). Never shown again."""
    text = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        token = Token.objects.create(user=user, digest=_digest(text), hint=f"…{text[-4:]}")
        detail = {"user": user.get_username(), "hint": token.hint}
        chain.add(by or user.get_username(), "token.made", f"token:{token.pk}", detail)
    return text


def user_of(text: str) -> AbstractBaseUser | None:
    """The person whose living token this is; None for an unknown or revoked one and for a disabled person."""
    if not text.startswith(PREFIX):
        return None
    token = Token.objects.select_related("user").filter(digest=_digest(text), revoked_at=None).first()
    if token is None or not token.user.is_active:
        return None
    _note_use(token)
    return token.user


def revoke(token: Token, by: str) -> None:
    """End a token at once, in the name of the person `by`. Ending it twice changes nothing."""
    with transaction.atomic():
        if Token.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()):
            detail = {"user": token.user.get_username(), "hint": token.hint}
            chain.add(by, "token.revoked", f"token:{token.pk}", detail)


def _note_use(token: Token) -> None:
    """At most once a minute, so that reading the API does not write to the database at every call."""
    now = timezone.now()
    before = now - _NOTED_EVERY
    if token.last_used_at is None or token.last_used_at < before:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=before)
        Token.objects.filter(stale, pk=token.pk).update(last_used_at=now)


def _digest(text: str) -> str:
    """Plain SHA-256: the text has 256 random bits, so there is nothing to guess."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
