"""`manage.py person`: the way to the first admin."""

from __future__ import annotations

from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from offline_portal import people as persons

pytestmark = pytest.mark.django_db


def person(*arguments: str) -> list[str]:
    said = StringIO()
    call_command("person", *arguments, stdout=said)
    return said.getvalue().splitlines()


def test_the_first_admin_of_an_empty_portal(client, settings):
    settings.CSRF_TRUSTED_ORIGINS = ["https://*.example.com", "https://portal.example.com"]
    state, link = person("adam", "--role", "admin", "--role", "ops")
    assert state == "adam: ops, admin"
    assert link.startswith("https://portal.example.com/account/first-password/")
    page = client.get(link.removeprefix("https://portal.example.com"), follow=True)
    assert page.context["validlink"] is True


def test_an_existing_person_is_changed_and_told_about(people, client):
    assert person("olivia") == ["olivia: ops"]
    assert person("olivia", "--role", "auditor") == ["olivia: auditor"]
    assert person("olivia", "--disable") == ["olivia: auditor, disabled"]
    state, link = person("olivia", "--enable")
    assert state == "olivia: auditor" and link.startswith("http://127.0.0.1:")
    assert len(person("olivia", "--link")) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody"], "name a role"), (["nobody", "--disable"], "no person named"),
        (["adam", "--disable"], "last admin"),
        (["no one", "--role", "ops"], "no spaces"), (["adam", "--role", "root"], "invalid choice"),
        (["olivia", "--disable", "--enable"], "not allowed with"),
    ],
)  # fmt: skip
def test_wrong_use_is_one_line_and_two(people, arguments, words):
    with pytest.raises(CommandError, match=words) as raised:
        person(*arguments)
    assert "\n" not in str(raised.value)


def test_there_is_no_link_for_a_disabled_person(people):
    persons.disable(people["olivia"], "adam")
    with pytest.raises(CommandError, match="Enable them first"):
        person("olivia", "--link")
    assert not User.objects.get(username="olivia").is_active
