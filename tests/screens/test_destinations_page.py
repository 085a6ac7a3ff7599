"""Destinations: a form from the connector's declaration, secrets that go in and never come out."""

from __future__ import annotations

import pytest

from offline_portal.models import AuditEntry, Destination

SECRET = "tracking-id-9f83b2c1"
FORM = {"connector": "qubit", "name": "Qubit, shop", "live": "on", "settings.base_url": "https://offline.example.com",
        "settings.vertical": "ecommerce", "settings.source": "portal@1.0", "settings.rate": "7.5",
        "secrets.tracking_id": SECRET}  # fmt: skip


@pytest.fixture
def adam(browser):
    return browser("adam")


def test_an_admin_sets_one_up(db, adam):
    answer = adam.post("/destinations/new", FORM, follow=True)
    made, page = Destination.objects.get(), answer.content.decode()
    assert made.live and made.settings["rate"] == 7.5 and made.settings["vertical"] == "ecommerce"
    assert SECRET not in page and "…b2c1" in page and "Live" in page
    assert SECRET not in adam.get(f"/destinations/{made.pk}/change").content.decode()
    assert SECRET not in "".join(AuditEntry.objects.values_list("detail", flat=True))


def test_everything_wrong_is_told_at_its_field_and_nothing_is_stored(db, adam):
    wrong = FORM | {
        "name": "",
        "settings.base_url": "not an address",
        "settings.rate": "0",
        "secrets.tracking_id": "",
    }
    answer = adam.post("/destinations/new", wrong)
    page = answer.content.decode()
    assert answer.status_code == 422 and not Destination.objects.exists()
    for words in (
        "Give the destination a name.",
        "must be a web address",
        "must be above 0",
        "Tracking id is missing.",
    ):
        assert words in page, words
    assert SECRET not in adam.post("/destinations/new", FORM | {"name": ""}).content.decode()


def test_a_change_keeps_the_secret_that_is_left_empty(db, adam):
    adam.post("/destinations/new", FORM)
    made = Destination.objects.get()
    ciphertext = made.secret_set.get().ciphertext
    adam.post(f"/destinations/{made.pk}/change", FORM | {"name": "Renamed", "live": "", "secrets.tracking_id": ""})
    made.refresh_from_db()
    assert made.name == "Renamed" and not made.live and made.secret_set.get().ciphertext == ciphertext
    adam.post(f"/destinations/{made.pk}/change", FORM | {"secrets.tracking_id": "another-secret-0000"})
    assert made.secret_set.get().hint == "…0000"


def test_pause_open_and_archive(road, adam, olivia):
    place = road.destination("kissmetrics")
    adam.post(f"/destinations/{place.pk}/do/pause", {"reason": "Audit week."})
    place.refresh_from_db()
    assert place.paused and "Audit week." in olivia.get("/").content.decode()
    adam.post(f"/destinations/{place.pk}/do/open")
    send = road.check(road.upload("Email,Event\na@example.com,Purchased\n"), place)
    page = adam.post(f"/destinations/{place.pk}/do/archive", follow=True).content.decode()
    assert f"not finished: {send.pk}" in page
    olivia.post(f"/sends/{send.pk}/do/cancel")
    adam.post(f"/destinations/{place.pk}/do/archive")
    place.refresh_from_db()
    assert place.archived_at and not place.paused
    assert adam.post(f"/destinations/{place.pk}/do/nonsense").status_code == 404


def test_the_connection_is_tested_in_plain_words(road, adam):
    place = road.destination("qubit")
    page = adam.post(f"/destinations/{place.pk}/do/test", headers={"HX-Request": "true"}).content.decode()
    assert 'id="tested"' in page and ("It works" in page or "It does not work" in page)
    assert AuditEntry.objects.filter(action="destination.tested").count() == 1
    assert adam.post(f"/destinations/{place.pk}/do/test", follow=True).status_code == 200


@pytest.mark.parametrize("name", ["olivia", "audrey"])
def test_others_look_and_change_nothing(road, browser, name):
    place, client = road.destination("qubit"), browser(name)
    page = client.get(f"/destinations/{place.pk}").content.decode()
    assert "Archive" not in page and "Settings" in page
    for address in ("/destinations/new", f"/destinations/{place.pk}/change"):
        assert client.post(address, FORM).status_code == 403
    for act in ("pause", "archive", "test"):
        assert client.post(f"/destinations/{place.pk}/do/{act}").status_code == 403
    place.refresh_from_db()
    assert not place.paused and not place.archived_at
