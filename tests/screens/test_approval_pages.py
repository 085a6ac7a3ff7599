"""Asking for an approval, giving it, refusing it, and sending at a time: on the pages, without script."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from offline_portal import destinations
from offline_portal import people as persons
from offline_portal.delivery import release
from offline_portal.models import Approval, Destination, Send
from offline_portal.screens import acts
from offline_portal.screens.times import NotATime, chosen
from tests.screens.conftest import Page, sample


@pytest.fixture
def checked(road) -> Send:
    return road.check(road.upload(sample("qubit")), road.destination("qubit"))


@pytest.fixture
def guarded(checked) -> Send:
    """A checked send to a destination that demands an approval."""
    checked.destination.require_approval = True
    checked.destination.save()
    return checked


@pytest.fixture
def asked(guarded, olivia) -> Send:
    """The same, queued by olivia on the page."""
    olivia.post(f"/sends/{guarded.pk}/send", {"when": "now"})
    guarded.refresh_from_db()
    assert guarded.status == "awaiting_approval"
    return guarded


def later(**ahead: int) -> str:
    """A time from now on, in UTC, as the field gives it."""
    return (timezone.now() + timedelta(**ahead)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M")


def text(answer) -> str:
    """A page without its marks."""
    return " ".join(re.sub("<[^>]+>", " ", answer.content.decode()).split())


def test_step_five_says_who_has_to_approve(guarded, olivia, people):
    page = olivia.get(f"/sends/{guarded.pk}/send")
    assert "Ask for approval" in text(page) and "rows now" not in text(page)
    assert "Anyone in marketing ops, or an admin, but you: adam or oscar." in text(page)
    for name in ("adam", "oscar"):
        persons.disable(people[name], "root") if name == "oscar" else people[name].groups.clear()
    assert "There is nobody else" in text(olivia.get(f"/sends/{guarded.pk}/send"))


def test_whoever_asked_waits_and_others_are_told_on_their_first_page(asked, olivia, browser):
    page = olivia.get(f"/sends/{asked.pk}")
    assert "It waits for somebody else" in text(page) and "Approve" not in text(page)
    assert "Waiting for approval" not in text(olivia.get("/")) and "Awaiting approval" in text(olivia.get("/"))
    for name in ("oscar", "adam"):
        client = browser(name)
        home = client.get("/").content.decode()
        assert "Waiting for approval: sales.csv" in home and f'href="/sends/{asked.pk}"' in home
        page = text(client.get(f"/sends/{asked.pk}"))
        for fact in ("olivia asks for your approval", "4 with problems", "468.85 EUR", "First and last date 2 Nov",
                     "21 of 25", "as soon as it is approved", "Approve 21 rows"):  # fmt: skip
            assert fact in page, (name, fact)
    auditor = browser("audrey")
    assert "It waits for an approval" in text(auditor.get(f"/sends/{asked.pk}"))
    assert "Waiting for approval" not in text(auditor.get("/"))


@pytest.mark.parametrize("name", ["oscar", "adam"])
def test_another_person_approves(asked, browser, name):
    page = browser(name).post(f"/sends/{asked.pk}/decide/approve", {"reason": "as agreed"}, follow=True)
    asked.refresh_from_db()
    assert asked.status == "queueing" and "Approved." in text(page)
    assert Approval.objects.get().reason == "as agreed"


def test_a_no_needs_its_reason_and_whoever_asked_reads_it(asked, olivia, browser):
    oscar = browser("oscar")
    page = oscar.post(f"/sends/{asked.pk}/decide/reject", {"reason": "  "}, follow=True)
    asked.refresh_from_db()
    assert "Say why" in text(page) and asked.status == "awaiting_approval"
    oscar.post(f"/sends/{asked.pk}/decide/reject", {"reason": "Wrong <month>."})
    for address in ("check", "send"):
        page = olivia.get(f"/sends/{asked.pk}/{address}").content.decode()
        assert "Not approved by oscar. Wrong &lt;month&gt;." in page and Page(page).faults == [], address
    assert "sales.csv came back" in text(olivia.get("/"))
    assert "Not approved by oscar." in text(browser("adam").get(f"/sends/{asked.pk}"))


@pytest.mark.parametrize("name", ["olivia", "audrey"])
def test_nobody_else_decides(asked, browser, name):
    client = browser(name)
    for act in ("approve", "reject"):
        answer = client.post(f"/sends/{asked.pk}/decide/{act}", {"reason": "x"}, follow=True)
        if name == "olivia":
            assert "You queued this send yourself. Somebody else has to approve it." in text(answer)
        else:
            assert answer.status_code == 403
    asked.refresh_from_db()
    assert asked.status == "awaiting_approval"
    assert client.get(f"/sends/{asked.pk}/decide/approve").status_code in (403, 405)


@pytest.mark.parametrize("name", ["oscar", "adam"])
def test_an_approval_that_is_void_is_told_plainly(asked, browser, people, name):
    destinations.set_secrets(asked.destination, people["adam"], {"tracking_id": "another"})
    page = text(browser(name).post(f"/sends/{asked.pk}/decide/approve", follow=True))
    assert "were changed after it was queued." in page and "It was not sent." in page
    again = text(browser(name).post(f"/sends/{asked.pk}/decide/approve", follow=True))
    assert "This send does not wait for an approval." in again


def test_at_a_time_it_waits_in_both_zones_and_can_be_taken_back(checked, olivia, people):
    destinations.change(checked.destination, people["adam"], settings={"timezone": "Asia/Tokyo"})
    Send.objects.update(settings_version=Destination.objects.get().current)
    given = {"when": "later", "at": "2031-07-01T09:30", "zone": "Europe/Berlin"}
    for _click in range(2):
        assert olivia.post(f"/sends/{checked.pk}/send", given).url == f"/sends/{checked.pk}"
    checked.refresh_from_db()
    assert (checked.status, checked.scheduled_at) == ("scheduled", datetime(2031, 7, 1, 7, 30, tzinfo=UTC))
    olivia.cookies["zone"] = "Europe/Berlin"
    page = olivia.get(f"/sends/{checked.pk}")
    assert "Tuesday, 1 July 2031, 09:30 Europe/Berlin (your time zone)" in text(page)
    assert "Tuesday, 1 July 2031, 16:30 Asia/Tokyo (the destination’s time zone)" in text(page)
    assert Page(page.content.decode()).faults == []
    assert "at: 2031-07-01 09:30 CEST" in text(olivia.get(f"/sends/{checked.pk}/history"))
    olivia.post(f"/sends/{checked.pk}/do/take-back")
    page = text(olivia.get(f"/sends/{checked.pk}/send"))
    assert "Taken back by olivia." in page and "Tuesday, 1 July 2031, 09:30" in page
    olivia.post(f"/sends/{checked.pk}/send", {"when": "now"})
    checked.refresh_from_db()
    assert (checked.status, checked.scheduled_at) == ("queueing", None)
    assert "Only a send that waits" in text(olivia.post(f"/sends/{checked.pk}/do/take-back", follow=True))


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("2020-01-01T09:00", "Wednesday, 1 January 2020, 09:00 has passed already in Europe/Berlin."),
        ("", "Choose a day and a time."),
        ("tomorrow", "This is not a day and a time."),
        ("2031-02-30T09:00", "This is not a day and a time."),
        ("2031-02-20", "This is not a day and a time."),
        ("2031-02-20T09:00+09:00", "This is not a day and a time."),
        ("9999-12-31T23:59", None),
        ("0001-01-01T00:00", "This is not a day and a time."),
        ("2031-03-30T02:30", "There is no such time in Europe/Berlin"),
    ],
)
def test_a_time_that_does_not_do_sends_nothing(checked, olivia, at, words):
    given = {"when": "later", "at": at, "zone": "Europe/Berlin"}
    reading = text(olivia.get(f"/sends/{checked.pk}/when", given))
    answer = olivia.post(f"/sends/{checked.pk}/send", given)
    checked.refresh_from_db()
    if words is None:
        assert checked.status == "scheduled"
        return
    assert answer.status_code == 422 and checked.status == "checked" and checked.scheduled_at is None
    page = answer.content.decode()
    assert words in page and words in reading and Page(page).faults == []
    assert '<details class="card-body more" open>' in page


def test_an_hour_that_exists_twice_is_the_earlier_one():
    assert chosen("2031-10-26T02:30", "Europe/Berlin") == datetime(2031, 10, 26, 0, 30, tzinfo=UTC)
    with pytest.raises(NotATime):
        chosen(later(minutes=-1), "UTC")


def test_a_time_is_no_way_around_a_send_that_is_on_its_way(road, checked, olivia):
    road.queue(checked)
    for at in (later(days=1), "nonsense"):
        answer = olivia.post(f"/sends/{checked.pk}/send", {"when": "later", "at": at})
        assert answer.url == f"/sends/{checked.pk}"
    checked.refresh_from_db()
    assert checked.status == "queued" and checked.scheduled_at is None


def test_approved_it_waits_for_its_time(guarded, olivia, browser):
    olivia.post(f"/sends/{guarded.pk}/send", {"when": "later", "at": later(days=2)})
    oscar = browser("oscar")
    assert "(your time zone)" in text(oscar.get(f"/sends/{guarded.pk}"))
    assert "It starts by itself" in text(oscar.post(f"/sends/{guarded.pk}/decide/approve", follow=True))
    Send.objects.update(scheduled_at=timezone.now() - timedelta(minutes=1))
    assert release.release_due() == 0, "the time was part of what was approved"


def test_the_waiting_page_follows_the_decision(asked, olivia, browser):
    address = f"/sends/{asked.pk}/live?was=awaiting_approval"
    assert f'hx-get="{address}"' in olivia.get(f"/sends/{asked.pk}").content.decode()
    assert "HX-Refresh" not in olivia.get(address).headers
    browser("oscar").post(f"/sends/{asked.pk}/decide/approve")
    assert olivia.get(address).headers["HX-Refresh"] == "true"


def test_an_admin_demands_approval_in_the_form(checked, browser):
    adam, place = browser("adam"), checked.destination
    page = adam.get(f"/destinations/{place.pk}/change").content.decode()
    assert 'name="require_approval"' in page
    kept = {f"settings.{key}": value for key, value in place.settings.items()}
    adam.post(f"/destinations/{place.pk}/change", kept | {"name": place.name, "require_approval": "on"})
    place.refresh_from_db()
    assert place.require_approval
    assert "each send needs an approval" in text(adam.get(f"/destinations/{place.pk}"))
    adam.post(f"/destinations/{place.pk}/change", kept | {"name": place.name})
    place.refresh_from_db()
    assert not place.require_approval


def test_the_row_tells_of_the_decision(asked, browser):
    browser("oscar").post(f"/sends/{asked.pk}/decide/reject", {"reason": "no"})
    row = asked.deliveries.filter(verdict="ready").first()
    page = text(browser("oscar").get(f"/rows/{row.pk}"))
    assert "Approval asked for" in page and "Rejected before it left" in page


def test_every_act_in_the_log_has_words():
    written = set()
    for path in (Path(acts.__file__).parents[1]).rglob("*.py"):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            texts = [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
            if ast.unparse(call.func).rpartition(".")[2] in ("add", "log"):
                written |= {text for text in texts if re.fullmatch(r"[a-z]+\.[a-z_]+", text)}
    assert {"approval.asked", "send.scheduled", "send.withdrawn"} <= written
    written |= {"approval.approved", "approval.rejected"}
    assert written - set(acts._WORDS) == set()
