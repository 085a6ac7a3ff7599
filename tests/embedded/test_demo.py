"""The demonstration account: complete, and never in the way of what a person has changed."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from openpyxl import load_workbook

from connectors import all_connectors
from connectors.base import Connector
from offline_portal import destinations, secrets, sheets
from offline_portal.access.roles import roles_of
from offline_portal.audit.chain import verify
from offline_portal.embedded import demo
from offline_portal.models import Destination

VENDORS = list(all_connectors().values())


@pytest.fixture
def loaded(db: None, settings: LazySettings, tmp_path: Path) -> Path:
    settings.PORTAL_DATA = tmp_path
    settings.EMULATOR_PORT, settings.EMULATOR_FTP_PORT = 8900, 8921
    demo.load()
    return tmp_path


def assert_at_emulator(destination: Destination, vendor: Connector, port: int, ftp_port: int) -> None:
    if vendor.transport == "file":
        assert (destination.settings["host"], destination.settings["port"]) == ("127.0.0.1", ftp_port)
        return
    assert destination.settings["base_url"] == f"http://127.0.0.1:{port}/{vendor.slug}"
    assert destination.settings["rate"] == 2000


def test_people_can_sign_in_with_their_roles(loaded: Path) -> None:
    found = {user.username: set(roles_of(user)) for user in User.objects.all() if user.check_password(demo.PASSWORD)}
    assert found == {"olivia": {"ops"}, "oscar": {"ops"}, "adam": {"admin"}, "audrey": {"auditor"}}


def test_every_vendor_has_a_destination_at_the_emulator(loaded: Path) -> None:
    for vendor in VENDORS:
        destination = Destination.objects.get(connector=vendor.slug)
        assert_at_emulator(destination, vendor, 8900, 8921)
        assert not destination.live
        assert set(secrets.unseal(destination)) >= {field.key for field in vendor.secrets if field.required is True}
    assert verify().ok


def test_loading_again_changes_nothing_that_a_person_changed(loaded: Path) -> None:
    adam = User.objects.get(username="adam")
    User.objects.get(username="olivia").groups.clear()
    first = Destination.objects.get(connector=VENDORS[0].slug)
    destinations.change(first, adam, name="Mine", settings={"rate": 5})
    sample = loaded / "samples" / f"{VENDORS[0].slug}.csv"
    sample.write_text("mine")
    for vendor in VENDORS[1:]:
        destinations.archive(Destination.objects.get(connector=vendor.slug), adam)
    demo.load()
    first.refresh_from_db()
    assert (first.name, first.settings["rate"]) == ("Mine", 5)
    assert Destination.objects.count() == len(VENDORS)
    assert not roles_of(User.objects.get(username="olivia"))
    assert sample.read_text() == "mine"


def test_a_training_destination_follows_the_emulator_to_another_port(loaded: Path, settings: LazySettings) -> None:
    settings.EMULATOR_PORT, settings.EMULATOR_FTP_PORT = 8999, 8998
    demo.load()
    for vendor in VENDORS:
        assert_at_emulator(Destination.objects.get(connector=vendor.slug), vendor, 8999, 8998)


def test_a_training_destination_that_was_pointed_elsewhere_stays(loaded: Path, settings: LazySettings) -> None:
    adam = User.objects.get(username="adam")
    destination = Destination.objects.get(connector=VENDORS[0].slug)
    destinations.change(destination, adam, settings={"base_url": "http://127.0.0.1:1234/somewhere/else"})
    settings.EMULATOR_PORT = 8999
    demo.load()
    destination.refresh_from_db()
    assert destination.settings["base_url"] == "http://127.0.0.1:1234/somewhere/else"


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.slug)
def test_the_samples_hold_what_the_connector_declares(vendor: Connector) -> None:
    declared = [list(row) for row in vendor.sample]
    assert len(declared) > 5
    assert list(csv.reader(io.StringIO(sheets.sample_csv(vendor).decode("utf-8-sig")))) == declared
    sheet = load_workbook(io.BytesIO(sheets.sample_xlsx(vendor))).active
    assert [["" if cell is None else cell for cell in row] for row in sheet.values] == declared
