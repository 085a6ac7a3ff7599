"""Your account: password and second step, within the frame and in the portal's words."""

from __future__ import annotations

import re
import time

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth
from django.test import Client

from tests.screens.conftest import Page

PASSWORD = "long enough for olivia"
THEIRS = ("Two-Factor", "Deactivate", "Authenticator App", "Change Password", "Confirm Access", "successfully")


@pytest.fixture
def olivia(people) -> Client:
    """Signed in as a person does it, so that the portal knows since when."""
    person = people["olivia"]
    person.set_password(PASSWORD)
    person.save()
    client = Client()
    assert client.post("/account/login/", {"login": "olivia", "password": PASSWORD}).status_code == 302
    return client


def shown(client: Client, address: str, **form: str) -> str:
    """The page at an address, or after sending it a form; well made, in the frame, in our words."""
    answer = client.post(address, form, follow=True) if form else client.get(address, follow=True)
    page = answer.content.decode()
    assert answer.status_code == 200 and Page(page).faults == [], address
    assert 'class="rail"' in page and "Your account" in page, address
    assert [words for words in THEIRS if words in page] == [], address
    return page


def code_of(page: str) -> str:
    secret = re.search(r'id="key" value="(\w+)"', page)
    assert secret
    return auth.format_hotp_value(auth.hotp_value(secret[1], int(time.time()) // 30))


def test_every_page_of_the_account_is_in_the_frame(olivia):
    shown(olivia, "/account/reauthenticate/")
    shown(olivia, "/account/reauthenticate/", password=PASSWORD)
    for address in ("/account/2fa/", "/account/password/change/", "/account/2fa/totp/activate/",
                    "/account/2fa/webauthn/", "/account/2fa/webauthn/add/"):  # fmt: skip
        shown(olivia, address)


def test_the_account_is_one_click_from_every_page(olivia):
    assert olivia.get("/").content.decode().count('href="/account/2fa/"') == 2


def test_the_password_is_changed(olivia, people):
    wrong = shown(olivia, "/account/password/change/", oldpassword="x", password1="short", password2="other")
    assert wrong.count("field-problem") >= 2
    new = "another one that is long"
    form = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert "Your password is changed." in shown(olivia, "/account/password/change/", **form)
    people["olivia"].refresh_from_db()
    assert people["olivia"].check_password(new)


def test_codes_are_set_up_used_and_turned_off(olivia):
    setup = "/account/2fa/totp/activate/"
    shown(olivia, "/account/reauthenticate/", password=PASSWORD)
    assert "Incorrect code" in shown(olivia, setup, code="000000")
    assert "10 of 10 are left" in shown(olivia, setup, code=code_of(shown(olivia, setup)))
    assert "10 codes are left" in shown(olivia, "/account/2fa/")
    shown(olivia, "/account/2fa/recovery-codes/generate/")
    spare = Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes()[0]

    other = Client()
    page = other.post("/account/login/", {"login": "olivia", "password": PASSWORD}, follow=True).content.decode()
    assert "One more step" in page and Page(page).faults == []
    assert other.post("/account/2fa/authenticate/", {"code": spare}).url == "/"

    shown(olivia, "/account/2fa/totp/deactivate/")
    olivia.post("/account/2fa/totp/deactivate/")
    assert not Authenticator.objects.filter(type="totp").exists()


@pytest.mark.parametrize("debug", [False, True])
def test_before_the_second_step_is_changed_they_show_again_who_they_are(olivia, settings, debug):
    settings.DEBUG = debug
    page = shown(olivia, "/account/2fa/totp/activate/")
    assert "Is it you?" in page
    page = shown(olivia, "/account/reauthenticate/", password=PASSWORD, next="/account/2fa/totp/activate/")
    assert "Set up codes from an app" in page
