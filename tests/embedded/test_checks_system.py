"""Wrong settings stop the start, with a number and a way out."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.conf import LazySettings
from django.core.checks import run_checks

from offline_portal import checks_system
from offline_portal.models import Destination
from tests.embedded.conftest import start

WEB = ("-m", "gunicorn", "-c", "python:offline_portal.gunicorn", "offline_portal.wsgi")


@pytest.fixture(autouse=True)
def development(settings: LazySettings) -> None:
    """Django's own test set-up switches DEBUG off."""
    settings.DEBUG = True


def found() -> set[str]:
    """Numbers of what the portal's own checks find."""
    return {message.id for message in run_checks(tags=["portal"])}


def test_the_settings_of_the_tests_are_right() -> None:
    assert found() == set()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "portal.example.com", "::"])
def test_a_demonstration_open_to_others_is_refused(settings: LazySettings, host: str) -> None:
    settings.PORTAL_DEMO, settings.HOST = True, host
    assert found() == {"portal.E001"}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
def test_a_demonstration_for_this_machine_is_fine(settings: LazySettings, host: str) -> None:
    settings.PORTAL_DEMO, settings.HOST = True, host
    assert found() == set()


def test_keys_that_are_none_are_refused(settings: LazySettings) -> None:
    settings.PORTAL_ENCRYPTION_KEYS = [Fernet.generate_key().decode(), "not a key"]
    assert "portal.E002" in found()


@pytest.mark.parametrize("name", ["SECRET_KEY", "PORTAL_INDEX_KEY"])
def test_short_keys_are_refused(settings: LazySettings, name: str) -> None:
    setattr(settings, name, "short")
    assert found() == {"portal.E003"}


def test_one_key_for_two_doors_is_refused(settings: LazySettings) -> None:
    settings.PORTAL_INDEX_KEY = settings.SECRET_KEY
    assert found() == {"portal.E004"}


def test_an_unknown_time_zone_is_refused(settings: LazySettings) -> None:
    settings.PORTAL_TIMEZONE = "Berlin"
    assert found() == {"portal.E005"}


def test_production_is_told_what_should_not_stay(settings: LazySettings) -> None:
    settings.DEBUG = False
    on_sqlite = settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")
    assert found() == ({"portal.W001", "portal.W002"} if on_sqlite else {"portal.W002"})


@pytest.mark.parametrize("program", [("manage.py", "check"), WEB])
def test_a_missing_key_is_one_line(tmp_path: Path, program: tuple[str, ...]) -> None:
    with start(*program, DEBUG="0", PORTAL_DATA=str(tmp_path)) as started:
        said, _ = started.communicate(timeout=30)
    assert started.returncode != 0
    assert "SECRET_KEY is not set." in said
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) == 1


def test_a_wrong_setting_stops_the_web_server_with_its_number(tmp_path: Path) -> None:
    with start(*WEB, DEBUG="1", PORTAL_DATA=str(tmp_path), PORTAL_TIMEZONE="Berlin") as started:
        said, _ = started.communicate(timeout=30)
    assert started.returncode != 0
    assert said.startswith("portal.E005: PORTAL_TIMEZONE=Berlin is not a known time zone.")
    assert "Traceback" not in said


def test_a_vendor_that_this_version_does_not_know_is_named(db: None) -> None:
    Destination.objects.create(name="Fine", connector="qubit")
    assert checks_system.check_connectors(databases=["default"]) == []
    Destination.objects.create(name="Of tomorrow", connector="acme")
    (error,) = checks_system.check_connectors(databases=["default"])
    assert error.id == "portal.E007" and "“acme”" in error.msg and "connectors/acme.py" in (error.hint or "")
    assert checks_system.check_connectors(databases=None) == []
