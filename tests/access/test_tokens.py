"""Tokens: shown once, kept as a digest, dead the moment they are revoked or their person is disabled."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from offline_portal.access import tokens
from offline_portal.models import AuditEntry, Token

pytestmark = pytest.mark.django_db


def test_only_the_digest_is_kept(people: dict[str, User]) -> None:
    text = tokens.make(people["olivia"])
    assert text.startswith("op_") and len(text) >= 46
    kept = Token.objects.values().get()
    assert text not in str(kept) and kept["hint"] == f"…{text[-4:]}"
    assert text not in AuditEntry.objects.get(action="token.made").detail
    assert tokens.user_of(text) == people["olivia"]


def test_two_tokens_differ(people: dict[str, User]) -> None:
    assert tokens.make(people["olivia"]) != tokens.make(people["olivia"])


@pytest.mark.parametrize("text", ["", "op_", "op_x", "x", "op_\ud800", "op_\0", "op_" + "x" * 10_000])
def test_anything_else_is_nobody(people: dict[str, User], text: str) -> None:
    tokens.make(people["olivia"])
    assert tokens.user_of(text) is None


def test_a_revoked_token_is_dead(people: dict[str, User]) -> None:
    text = tokens.make(people["olivia"])
    other = tokens.make(people["olivia"])
    tokens.revoke(Token.objects.order_by("pk")[0], by="adam")
    tokens.revoke(Token.objects.order_by("pk")[0], by="adam")
    assert tokens.user_of(text) is None and tokens.user_of(other) == people["olivia"]
    assert list(AuditEntry.objects.filter(action="token.revoked").values_list("actor", flat=True)) == ["adam"]


def test_a_disabled_person_has_no_token(people: dict[str, User]) -> None:
    text = tokens.make(people["olivia"])
    User.objects.filter(username="olivia").update(is_active=False)
    assert tokens.user_of(text) is None


def test_use_is_noted_at_most_once_a_minute(people: dict[str, User]) -> None:
    text = tokens.make(people["olivia"])
    assert Token.objects.get().last_used_at is None
    tokens.user_of(text)
    first = Token.objects.get().last_used_at
    tokens.user_of(text)
    assert first is not None and Token.objects.get().last_used_at == first
    Token.objects.update(last_used_at=timezone.now() - timedelta(seconds=61))
    tokens.user_of(text)
    assert Token.objects.get().last_used_at >= first
