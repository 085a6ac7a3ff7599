"""The screens of people and tokens, and the page on which a person chooses their password."""

from __future__ import annotations

import re

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added, authenticator_removed
from django.contrib.auth.models import User
from django.test import Client

from offline_portal import people as persons
from offline_portal.access import tokens
from offline_portal.models import AuditEntry, Token
from tests.screens.conftest import Page

pytestmark = pytest.mark.django_db
WORDS = "four words in a row"


@pytest.fixture
def adam(people) -> Client:
    client = Client()
    client.force_login(people["adam"])
    return client


@pytest.fixture
def olivia(people) -> Client:
    client = Client()
    client.force_login(people["olivia"])
    return client


def link_in(page: str) -> str:
    found = re.search(r"http://testserver(/account/first-password/[^<]+)", page)
    assert found, page
    return found[1]


def choose(client: Client, address: str, first: str, second: str | None = None):
    page = client.get(address, follow=True)
    assert page.context["validlink"] and Page(page.content.decode()).faults == []
    there = page.redirect_chain[-1][0]
    assert there.endswith("/set-password"), "the key must not stay in the address"
    return client.post(there, {"new_password1": first, "new_password2": second or first}), there


def test_an_admin_adds_a_person_who_chooses_a_password_and_works(adam, client):
    answer = adam.post("/people/new", {"username": "nora", "full_name": "Nora", "roles": ["ops"]})
    page = answer.content.decode()
    assert answer.status_code == 200 and "no-store" in answer["Cache-Control"] and Page(page).faults == []
    address = link_in(page)
    kept, _ = choose(client, address, WORDS)
    assert kept.status_code == 302 and kept.url == "/account/login/"
    signed_in = client.post("/account/login/", {"login": "nora", "password": WORDS})
    assert signed_in.status_code == 302 and client.get("/sends/new").status_code == 200
    assert client.get("/people/").status_code == 403
    assert Client().get(address, follow=True).context["validlink"] is False, "the link works once"
    acts = AuditEntry.objects.filter(object__startswith="user:").exclude(action__startswith="access")
    assert list(acts.order_by("seq").values_list("actor", "action")) == [
        ("adam", "login"), ("adam", "person.created"), ("adam", "person.link_made"), ("nora", "person.password_set"),
        ("nora", "login"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("short", "short", "at least 15 characters"), (WORDS, WORDS + "!", "match"),
        ("polniypizdec0211", None, "too common"),
        ("noranoranoranora", None, "similar"), ("", "", "required"),
    ],
)  # fmt: skip
def test_a_weak_password_is_refused_with_words(people, client, first, second, words):
    made = persons.create("noranoranora", ["ops"], "adam")
    answer, _there = choose(client, persons.link(made, "adam"), first, second)
    page = answer.content.decode()
    assert words in page and Page(page).faults == []
    assert not User.objects.get(pk=made.pk).has_usable_password()


def test_a_link_with_another_key_is_told_plainly(people, client):
    made = persons.create("nora", ["ops"], "adam")
    address = persons.link(made, "adam")
    start = "/account/first-password/"
    for wrong in (address[:-1] + "x", address.replace(start, f"{start}x"), f"{start}MQ/set-password"):
        page = client.get(wrong, follow=True).content.decode()
        assert "This link has ended" in page and Page(page).faults == []


def test_what_is_wrong_with_a_new_person_stands_beside_the_field(adam):
    answer = adam.post("/people/new", {"username": "Olivia"})
    page = answer.content.decode()
    assert answer.status_code == 422 and Page(page).faults == []
    assert "has this name already" in page and "at least one role" in page and 'value="Olivia"' in page


def test_roles_are_changed_on_the_page_of_the_person(adam, people):
    pk = people["olivia"].pk
    assert adam.post(f"/people/{pk}", {"roles": ["auditor", "ops"]}).status_code == 302
    assert persons.roles_of(User.objects.get(pk=pk)) == ["ops", "auditor"]
    refused = adam.post(f"/people/{pk}", {})
    assert refused.status_code == 422 and "at least one role" in refused.content.decode()


def test_an_admin_is_told_why_not_themselves(adam, people):
    pk = people["adam"].pk
    page = adam.get(f"/people/{pk}").content.decode()
    assert "This is you" in page and "/do/disable" not in page
    for address, given in ((f"/people/{pk}", {"roles": ["admin", "ops"]}), (f"/people/{pk}/do/disable", {})):
        told = adam.post(address, given, follow=True).content.decode()
        assert "Ask another admin." in told
    assert persons.roles_of(User.objects.get(pk=pk)) == ["admin"]


def test_disable_enable_and_lost_factors(adam, olivia, people):
    pk = people["olivia"].pk
    Authenticator.objects.create(user=people["olivia"], type="totp", data={})
    assert "Lost second factor" in adam.get(f"/people/{pk}").content.decode()
    adam.post(f"/people/{pk}/do/factors")
    adam.post(f"/people/{pk}/do/disable")
    assert olivia.get("/").status_code == 302
    page = adam.get(f"/people/{pk}").content.decode()
    assert "Disabled" in page and "Let them in again" in page and Page(page).faults == []
    again = adam.post(f"/people/{pk}/do/enable")
    assert link_in(again.content.decode()) and User.objects.get(pk=pk).is_active
    assert not Authenticator.objects.exists() and adam.post(f"/people/{pk}/do/nothing").status_code == 404


def test_an_admin_ends_a_token_of_that_person_only(adam, people):
    tokens.make(people["olivia"])
    token = Token.objects.get()
    assert adam.post(f"/people/{people['oscar'].pk}/tokens/{token.pk}").status_code == 404
    assert token.hint in adam.get(f"/people/{people['olivia'].pk}").content.decode()
    assert adam.post(f"/people/{people['olivia'].pk}/tokens/{token.pk}").status_code == 302
    assert AuditEntry.objects.get(action="token.revoked").actor == "adam"


def test_a_token_is_shown_once_works_and_ends(olivia, people):
    answer = olivia.post("/tokens/")
    page = answer.content.decode()
    text = re.search(r"op_[\w-]{40,}", page)
    assert text and answer["Cache-Control"] == "no-store" and Page(page).faults == []
    assert text[0] not in olivia.get("/tokens/").content.decode()
    call = Client(headers={"Authorization": f"Bearer {text[0]}"})
    assert call.get("/api/v1/sends").status_code == 200
    assert "last used" not in olivia.get("/tokens/").content.decode()
    token = Token.objects.get()
    assert token.hint in olivia.get("/tokens/").content.decode() and token.last_used_at
    assert olivia.post(f"/tokens/{token.pk}/revoke").status_code == 302
    assert call.get("/api/v1/sends").status_code == 401


def test_nobody_ends_the_token_of_another(olivia, people):
    tokens.make(people["oscar"])
    token = Token.objects.get()
    assert token.hint not in olivia.get("/tokens/").content.decode()
    assert olivia.post(f"/tokens/{token.pk}/revoke").status_code == 404
    assert Token.objects.get().revoked_at is None


def test_a_password_that_a_person_changes_themselves_is_logged_and_ends_their_other_sessions(people, client):
    client.login(username="olivia", password="a-long-test-password")
    here = Client()
    here.post("/account/login/", {"login": "olivia", "password": "a-long-test-password"})
    change = {"oldpassword": "a-long-test-password", "password1": WORDS, "password2": WORDS}
    assert here.post("/account/password/change/", change).status_code == 302
    assert here.get("/").status_code == 200 and client.get("/").status_code == 302
    assert AuditEntry.objects.get(action="password.changed").actor == "olivia"


def test_second_factors_that_come_and_go_are_logged(people):
    factor = Authenticator.objects.create(user=people["olivia"], type="totp", data={})
    for sent in (authenticator_added, authenticator_removed):
        sent.send(sender=Authenticator, request=None, user=people["olivia"], authenticator=factor)
    acts = AuditEntry.objects.filter(action__startswith="factor.").order_by("seq")
    assert list(acts.values_list("actor", "action")) == [("olivia", "factor.added"), ("olivia", "factor.removed")]


def test_the_rail_leads_admins_to_people_and_everybody_to_their_tokens(adam, olivia):
    assert 'href="/people/"' in adam.get("/").content.decode()
    page = olivia.get("/").content.decode()
    assert 'href="/people/"' not in page and 'href="/tokens/"' in page and 'href="/help/statuses"' in page
