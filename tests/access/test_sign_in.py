"""Signing in, signing out and failing to are on the record; what was typed is not."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import User
from django.test import Client

from offline_portal.models import AuditEntry

pytestmark = pytest.mark.django_db
PASSWORD = "a-long-test-password"


def sign_in(client: Client, name: str, password: str) -> int:
    return client.post("/account/login/", {"login": name, "password": password}).status_code


def acts() -> list[tuple[str, str, str]]:
    return list(AuditEntry.objects.order_by("seq").values_list("actor", "action", "object"))


def test_in_and_out(people: dict[str, User]) -> None:
    client = Client()
    assert sign_in(client, "olivia", PASSWORD) == 302
    client.post("/account/logout/")
    me = f"user:{people['olivia'].pk}"
    assert acts() == [("olivia", "login", me), ("olivia", "logout", me)]


def test_a_wrong_password_is_logged_without_it(people: dict[str, User]) -> None:
    assert sign_in(Client(), "olivia", "not-the-password") == 200
    assert acts() == [("portal", "login.failed", f"user:{people['olivia'].pk}")]
    assert "not-the" not in AuditEntry.objects.get().detail


def test_a_password_typed_as_the_name_is_not_written_down(people: dict[str, User]) -> None:
    sign_in(Client(), PASSWORD, "olivia")
    entry = AuditEntry.objects.get()
    assert entry.object == "user:unknown" and json.loads(entry.detail) == {"username": None}


def test_a_disabled_person_cannot_sign_in(people: dict[str, User]) -> None:
    User.objects.filter(username="olivia").update(is_active=False)
    client = Client()
    sign_in(client, "olivia", PASSWORD)
    assert "_auth_user_id" not in client.session


def test_disabling_ends_a_session_at_the_next_page(people: dict[str, User]) -> None:
    client = Client()
    sign_in(client, "olivia", PASSWORD)
    User.objects.filter(username="olivia").update(is_active=False)
    response = client.get("/")
    assert response.status_code == 302 and "/account/login/" in response["Location"]
