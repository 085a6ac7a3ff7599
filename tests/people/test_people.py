"""People: who may be made, what disabling ends, and that the portal never stays without an admin."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group, User
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from offline_portal import people as persons
from offline_portal.access import roles, tokens
from offline_portal.audit import chain
from offline_portal.models import AuditEntry

pytestmark = pytest.mark.django_db


def entries(action: str) -> list[tuple[str, str, dict]]:
    found = AuditEntry.objects.filter(action=action).order_by("seq")
    return [(one.actor, one.object, json.loads(one.detail)) for one in found]


def test_a_new_person_has_roles_and_no_password(people):
    made = persons.create(" nora ", ["auditor", "ops"], "adam", "Nora N.")
    assert (made.username, made.get_full_name(), made.has_usable_password()) == ("nora", "Nora N.", False)
    assert persons.roles_of(made) == ["ops", "auditor"] and roles.has_role(made, "auditor")
    assert not made.is_staff and not made.is_superuser
    detail = {"username": "nora", "roles": ["ops", "auditor"]}
    assert entries("person.created") == [("adam", f"user:{made.pk}", detail)]


@pytest.mark.parametrize(
    ("username", "given_roles", "wrong"),
    [
        ("", ["ops"], {"username"}), ("no ra", ["ops"], {"username"}), ("x" * 151, ["ops"], {"username"}),
        ("nora\n", [], {"roles"}), ("<b>", ["ops"], {"username"}), ("Olivia", ["ops"], {"username"}),
        ("portal", ["ops"], {"username"}), ("PORTAL", ["ops"], {"username"}), ("ｏｌｉｖｉａ", ["ops"], {"username"}),
        ("nora", [], {"roles"}), ("nora", ["root"], {"roles"}), ("", [], {"username", "roles"}),
        ("a\0b", ["ops"], {"username"}),
    ],
)  # fmt: skip
def test_everything_wrong_is_said_at_once_and_nothing_is_kept(people, username, given_roles, wrong):
    before = User.objects.count()
    with pytest.raises(persons.Invalid) as raised:
        persons.create(username, given_roles, "adam")
    assert set(raised.value.fields) == wrong and all(text.endswith(".") for text in raised.value.fields.values())
    assert User.objects.count() == before and entries("person.created") == []


def test_roles_hold_from_the_next_request_on_and_are_logged_with_what_was_before(people):
    persons.set_roles(people["olivia"], ["auditor"], "adam")
    persons.set_roles(people["olivia"], ["auditor"], "adam")
    fresh = User.objects.get(username="olivia")
    assert roles.roles_of(fresh) == {"auditor"}
    detail = {"username": "olivia", "roles": [["ops"], ["auditor"]]}
    assert entries("person.roles_changed") == [("adam", f"user:{fresh.pk}", detail)]
    with pytest.raises(persons.Invalid):
        persons.set_roles(fresh, [], "adam")


def test_disabling_ends_password_sessions_and_tokens_for_good(people, client):
    olivia = people["olivia"]
    client.force_login(olivia)
    token = tokens.make(olivia)
    others = tokens.make(people["oscar"])
    persons.disable(olivia, "adam")
    persons.disable(olivia, "adam")
    assert client.get("/sends/").status_code == 302
    assert tokens.user_of(token) is None and tokens.user_of(others) == people["oscar"]
    persons.enable(olivia, "adam")
    assert client.get("/sends/").status_code == 302, "the old session must stay ended"
    assert tokens.user_of(token) is None
    assert not client.login(username="olivia", password="a-long-test-password")
    assert [one[0] for one in entries("person.disabled")] == ["adam"] and len(entries("token.revoked")) == 1
    assert len(entries("person.enabled")) == 1 and chain.verify().ok


def test_nobody_acts_on_themselves(people):
    second = persons.create("ada", ["admin"], "adam")
    for act in (lambda: persons.disable(second, "ada"), lambda: persons.set_roles(second, ["admin", "ops"], "ada")):
        with pytest.raises(persons.NotAllowed, match=r"Ask another admin\."):
            act()
    assert persons.roles_of(User.objects.get(pk=second.pk)) == ["admin"]


def test_the_last_admin_stays(people):
    adam = people["adam"]
    gone = persons.create("ada", ["admin"], "adam")
    persons.disable(gone, "adam")
    for act in (lambda: persons.disable(adam, "portal"), lambda: persons.set_roles(adam, ["ops"], "portal")):
        with pytest.raises(persons.NotAllowed, match="last admin"):
            act()
    persons.set_roles(adam, ["ops", "admin"], "portal")
    assert roles.roles_of(User.objects.get(pk=adam.pk)) == {"ops", "admin"}


@pytest.mark.django_db(transaction=True)
def test_two_admins_who_oust_each_other_at_one_moment_leave_one(people):
    ada = persons.create("ada", ["admin"], "adam")
    together = threading.Barrier(2)

    def oust(person: User, by: str) -> bool:
        try:
            together.wait(5)
            persons.disable(person, by)
        except persons.NotAllowed:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(oust, (ada, people["adam"]), ("adam", "ada")))
    assert sorted(done) == [False, True]
    assert User.objects.filter(is_active=True, groups__name="admin").count() == 1


def test_a_newer_link_voids_the_older_one_and_the_password(people, client):
    olivia = people["olivia"]
    client.force_login(olivia)
    first = persons.link(olivia, "adam")
    second = persons.link(olivia, "adam")
    assert client.get("/sends/").status_code == 302
    assert client.get(first, follow=True).context["validlink"] is False
    assert client.get(second, follow=True).context["validlink"] is True
    key = second.rstrip("/").rpartition("/")[2]
    assert all(key not in one.detail for one in AuditEntry.objects.all())


def test_there_is_no_link_for_a_disabled_person_and_an_open_one_dies(people, client):
    address = persons.link(people["olivia"], "adam")
    persons.disable(people["olivia"], "adam")
    assert client.get(address, follow=True).context["validlink"] is False
    with pytest.raises(persons.NotAllowed):
        persons.link(people["olivia"], "adam")


def test_lost_second_factors_are_taken_away_once(people):
    Authenticator.objects.create(user=people["olivia"], type="totp", data={})
    assert persons.drop_factors(people["olivia"], "adam") == 1
    assert persons.drop_factors(people["olivia"], "adam") == 0
    assert len(entries("person.factors_dropped")) == 1


class AnyName(TestCase):
    @settings(max_examples=60, deadline=None)
    @given(st.text(max_size=160))
    def test_a_name_is_refused_or_can_stand_in_the_audit_log(self, name):
        for role in ("ops", "admin", "auditor"):
            Group.objects.get_or_create(name=role)
        try:
            made = persons.create(name, ["ops"], "adam")
        except persons.Invalid:
            return
        with pytest.raises(persons.Invalid):
            persons.create(made.username.upper(), ["ops"], "adam")
        persons.set_roles(made, ["auditor"], made.username + "2")
