"""Roles: every screen by every role, and what happens to those who are kept out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from offline_portal.access.roles import EVERYONE, ensure_groups, has_role, roles_of
from offline_portal.models import AuditEntry
from tests.conftest import PEOPLE

# For strangers, or for everybody who signed in, or guarded by a token (tests/api/test_roles.py).
ELSEWHERE = ("api/", "account/", "static/")
OPEN_TO_ALL = {"theme", "style"}
"""The switch between light and dark, and (while DEBUG is on) the page of all pieces."""
SAMPLES = {"int": "999999", "str": "sample", "slug": "sample", "path": "sample", "uuid": "0" * 32}


def screens(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from screens(pattern, route)
        elif isinstance(pattern, URLPattern) and not route.startswith(ELSEWHERE):
            yield route, pattern


def address(route: str, pattern: URLPattern) -> str:
    for name, converter in pattern.pattern.converters.items():
        kind = type(converter).__name__.removesuffix("Converter").lower().replace("string", "str")
        route = route.replace(f"<{kind}:{name}>", SAMPLES[kind]).replace(f"<{name}>", SAMPLES[kind])
    return f"/{route}"


ALL = dict(screens(get_resolver()))


def test_the_groups_are_there(db: None) -> None:
    Group.objects.all().delete()
    ensure_groups()
    ensure_groups()
    assert set(Group.objects.values_list("name", flat=True)) == set(EVERYONE)


def test_who_has_which_role(people: dict[str, User]) -> None:
    assert has_role(people["olivia"], "ops") and not has_role(people["olivia"], "admin", "auditor")
    assert has_role(people["adam"], "ops", "admin")
    assert roles_of(people["outsider"]) == frozenset()
    assert roles_of(AnonymousUser()) == frozenset()
    people["audrey"].is_active = False
    assert not has_role(people["audrey"], "auditor")


def test_every_screen_says_for_whom_it_is() -> None:
    unguarded = {route for route, pattern in ALL.items() if not getattr(pattern.callback, "roles", None)}
    assert unguarded <= OPEN_TO_ALL


@pytest.mark.parametrize("route", [route for route, pattern in ALL.items() if getattr(pattern.callback, "roles", None)])
def test_every_screen_by_every_role(people: dict[str, User], route: str) -> None:
    pattern = ALL[route]
    where, allowed = address(route, pattern), pattern.callback.roles
    for name, role in {**PEOPLE, "stranger": None}.items():
        client = Client(raise_request_exception=False)
        if name != "stranger":
            client.force_login(people[name])
        for method in (client.get, client.post):
            response = method(where)
            if name == "stranger":
                refused = response.status_code == 302 and response["Location"].startswith("/account/login/")
                assert refused or response.status_code == 405, name
            elif role in allowed:
                assert response.status_code not in (403, 500), name
            else:
                assert response.status_code in (403, 405), name
    refused_people = set(AuditEntry.objects.filter(action="access.refused").values_list("actor", flat=True))
    assert refused_people == {name for name, role in PEOPLE.items() if role not in allowed}
