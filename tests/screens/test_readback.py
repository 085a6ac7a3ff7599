"""What the pages say of rows that are looked up at the vendor."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from offline_portal import destinations
from offline_portal.models import AuditEntry, Delivery, Readback, Send
from tests.conftest import Road
from tests.delivery.looking import settled, unknown_row, verified, visits_end, where
from tests.delivery.test_kameleoon_road import HEADER, visitors
from tests.screens.conftest import Page


def text_of(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    html = answer.content.decode()
    assert Page(html).faults == []
    return " ".join(re.sub("<[^>]+>", " ", html).split())


def row_page(client: Client, **which: object) -> str:
    return text_of(client, f"/rows/{Delivery.objects.filter(**which).earliest('pk').pk}")


@pytest.fixture
def delivered(road: Road) -> Send:
    """Three rows that are delivered, and looked for in nine minutes."""
    return road.deliver(road.check(road.upload(visitors(3)), verified(road, readback_after=9)), 1)


def test_before_the_first_look_the_row_says_when_it_comes(delivered: Send, olivia: Client) -> None:
    page = row_page(olivia, send=delivered)
    due = timezone.localtime(Readback.objects.earliest("pk").due_at)
    assert "The portal looks it up at Kameleoon First at" in page and f"{due:%H:%M}" in page
    assert "Looked up at Kameleoon: 3 rows still being looked for." in text_of(olivia, f"/sends/{delivered.pk}")


def test_a_look_stands_on_the_timeline_with_request_and_answer(road: Road, delivered: Send, olivia: Client) -> None:
    destinations.change(delivered.destination, road.people["adam"], settings={"readback_every": 8})  # type: ignore[arg-type]
    Readback.objects.update(due_at=timezone.now())
    road.shift(delivered, 2)
    page = row_page(olivia, send=delivered)
    assert "Look 1 at the vendor: not found there" in page and "GET http" in page and "previousVisits" in page
    assert "Not found at Kameleoon yet Looks again at" in page
    visits_end(road)
    Readback.objects.update(due_at=timezone.now())
    send = settled(road, delivered)
    page = row_page(olivia, send=send)
    assert "Look 2 at the vendor: found there, so it is confirmed" in page and "read back" in page
    assert "Request 1: answered with 204" in page and "Attempts 1" in page
    assert "Looks again" not in page and "yet" not in page
    assert "Looked up at Kameleoon: 3 rows confirmed." in text_of(olivia, f"/sends/{send.pk}")
    assert "GET http" in text_of(olivia, f"/sends/{send.pk}/requests")


def test_what_was_not_found_is_counted_listed_and_explained(road: Road, olivia: Client) -> None:
    road.emulator.set("kameleoon", lose=True)
    send = settled(road, road.deliver(road.check(road.upload(visitors(2)), verified(road, readback_tries=1)), 2))
    page = text_of(olivia, f"/sends/{send.pk}")
    assert "Looked up at Kameleoon: 2 rows not found there" in page
    page = text_of(olivia, f"/sends/{send.pk}?readback=not_found")
    assert "Rows that were looked up at the vendor in vain." in page and page.count("Accepted delivered") == 2
    assert "No such row is here" in text_of(olivia, f"/sends/{send.pk}?readback=not_available")
    assert "Personal values are masked" in text_of(olivia, f"/sends/{send.pk}?readback=nonsense")
    page = row_page(olivia, send=send)
    assert "Not found at Kameleoon in one look" in page and "That does not prove that it is missing." in page


def test_not_available_is_said_of_row_send_and_destination(road: Road, olivia: Client) -> None:
    road.emulator.set("kameleoon", visitor_forbidden=True)
    place = verified(road)
    send = settled(road, road.deliver(road.check(road.upload(visitors(2)), place), 2))
    page = text_of(olivia, f"/sends/{send.pk}")
    assert "2 rows that could not be looked up" in page and "lets nobody of this account look" in page
    page = row_page(olivia, send=send)
    assert "Reading back is not available at Kameleoon" in page and "(403)" in page
    page = text_of(olivia, f"/destinations/{place.pk}")
    assert "Kameleoon lets nobody look up what it has stored" in page and "Rows are sent as before" in page


def test_an_unknown_row_says_that_it_is_being_looked_up(road: Road, olivia: Client, settings) -> None:
    settings.PORTAL_RETRY_LIMIT = 1
    send = unknown_row(road, where(road, readback_after=9), visitors(1))
    page = row_page(olivia, send=send)
    assert "The portal looks it up at Kameleoon" in page and "You may also wait" in page
    Readback.objects.update(due_at=timezone.now() - timedelta(minutes=1))
    assert "as soon as the pace allows" in row_page(olivia, send=send)
    assert "The portal is looking them up" in text_of(olivia, "/")


def test_while_nobody_looks_the_pages_say_why(road: Road, delivered: Send, olivia: Client) -> None:
    adam, place = road.people["adam"], delivered.destination
    destinations.change(place, adam, settings={"verify": False})  # type: ignore[arg-type]
    assert "Reading back is switched off at the destination." in row_page(olivia, send=delivered)
    page = text_of(olivia, f"/sends/{delivered.pk}")
    assert "Reading back is switched off at the destination. Only unknown rows are looked up." in page
    destinations.change(place, adam, paused=True)  # type: ignore[arg-type]
    assert "The destination is paused. Until that changes nobody looks." in row_page(olivia, send=delivered)
    assert "3 rows waiting to be looked up. The destination is paused." in text_of(olivia, f"/sends/{delivered.pk}")


@pytest.mark.parametrize("name", ["olivia", "adam", "audrey"])
def test_what_an_answer_tells_of_others_is_masked(road: Road, browser, name: str) -> None:
    road.emulator.set("kameleoon", feature_experimentation=True)
    place = verified(road, feature_experimentation=True)
    # An earlier row of the same visitor, by another send.
    other = HEADER + "visitor-1,777,1.00,,2026-11-17 09:00:00,Emma Peel\n"
    road.deliver(road.check(road.upload(other, "other.csv"), place), 1)
    send = settled(road, road.deliver(road.check(road.upload(visitors(2)), place), 2))
    row, client = Delivery.objects.get(send=send, line=3), browser(name)
    page = client.get(f"/rows/{row.pk}").content.decode()
    assert "found there" in page and "Emma Peel" not in page and "visitor-1" not in page and "E••••••••" in page
    page = client.post(f"/rows/{row.pk}").content.decode()
    assert "visitor-1" in page and "Emma Peel" not in page, "it is not of this row"
    assert AuditEntry.objects.filter(action="delivery.revealed").count() == 1


def test_the_last_step_says_what_accepted_will_mean(road: Road, olivia: Client) -> None:
    for place, words in ((where(road, "plain"), "An admin can have rows looked up there afterwards"),
                         (verified(road, "looked up"), "Rows are looked up at Kameleoon afterwards")):  # fmt: skip
        send = road.check(road.upload(visitors(2), f"{place.name}.csv"), place)
        assert words in text_of(olivia, f"/sends/{send.pk}/send")


def test_what_a_look_was_refused_stands_in_the_history_in_words(road: Road, browser) -> None:
    road.emulator.set("kameleoon", visitor_forbidden=True)
    settled(road, road.deliver(road.check(road.upload(visitors(1)), verified(road)), 2))
    assert "was not let look up at the vendor what it has stored" in text_of(browser("audrey"), "/audit/")
