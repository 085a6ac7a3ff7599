"""A row: its story, what is masked in it, and settling it where it is unknown."""

from __future__ import annotations

import pytest

from offline_portal.models import AuditEntry, Delivery, Send
from tests.screens.conftest import sample

SECRET, VISITOR = "acme", "6o2diu81w9o-0irxltk5b-u9t1cv4"


@pytest.fixture
def send(road) -> Send:
    return road.deliver(road.check(road.upload(sample("qubit")), road.destination("qubit")))


@pytest.fixture
def unknown(road) -> Delivery:
    road.emulator.set("qubit", cut="after_storing")
    send = road.deliver(road.check(road.upload(sample("qubit")), road.destination("qubit")))
    return Delivery.objects.filter(send=send, status="unknown").earliest("line")


@pytest.mark.parametrize("name", ["olivia", "adam", "audrey"])
def test_personal_values_are_masked_until_asked_and_asking_is_logged(send, browser, name):
    row, client = Delivery.objects.get(send=send, line=2), browser(name)
    page = client.get(f"/rows/{row.pk}").content.decode()
    assert VISITOR not in page and "6••••" in page and "C-20481" in page and f"/events/{SECRET}" not in page
    assert not AuditEntry.objects.filter(action="delivery.revealed").exists()
    page = client.post(f"/rows/{row.pk}").content.decode()
    assert page.count(VISITOR) >= 3 and f"/events/{SECRET}" not in page
    assert "hb1ntvmfpug-0iqmaqq7e-glmdos0" not in page, "other rows of the same request stay masked"
    entry = AuditEntry.objects.get(action="delivery.revealed")
    assert entry.actor == name and entry.object == f"delivery:{row.pk}"


def test_the_story_from_the_cell_to_the_answer(send, olivia):
    row = Delivery.objects.get(send=send, line=2)
    page = olivia.get(f"/rows/{row.pk}").content.decode()
    for part in ("Line 2 of “sales.csv” uploaded", "Checked", "Queued", "Request 1: answered with 200", row.receipt,
                 "with 20 other rows", "The vendor accepted this row by itself."):  # fmt: skip
        assert part in page, part


def test_before_it_is_sent_the_exact_request_is_shown_without_secrets(road, olivia):
    send = road.check(road.upload(sample("qubit")), road.destination("qubit"))
    row = Delivery.objects.get(send=send, line=2)
    page = olivia.get(f"/rows/{row.pk}").content.decode()
    assert "The request it will become" in page and "POST http" in page and "C-20481" in page
    assert VISITOR not in page and f"/events/{SECRET}" not in page
    problem = Delivery.objects.filter(send=send, verdict="problem").earliest("line")
    page = olivia.get(f"/rows/{problem.pk}").content.decode()
    assert "Why it cannot be sent" in page and "The request it will become" not in page


def test_an_unknown_row_says_what_each_choice_means(unknown, olivia, browser):
    page = olivia.get(f"/rows/{unknown.pk}").content.decode()
    assert "Qubit\ncounts it twice" in page or "Qubit counts it twice" in page
    assert "the weakest evidence there is" in page and "It stays unknown for good" in page
    assert (
        "Someone from marketing ops has to decide." in browser("audrey").get(f"/rows/{unknown.pk}").content.decode()
    )


@pytest.mark.parametrize(
    ("choice", "status", "evidence"),
    [("accepted", "accepted", "stated"), ("abandoned", "unknown", ""), ("resend", "queued", "")],
)
def test_a_person_settles_it(unknown, olivia, choice, status, evidence):
    answer = olivia.post(f"/rows/{unknown.pk}/resolve", {"as": choice, "reason": "seen there"}, follow=True)
    unknown.refresh_from_db()
    assert (unknown.status, unknown.evidence, unknown.resolved) == (status, evidence, choice)
    assert f"Resolved as {choice}: seen there" in answer.content.decode()


def test_without_a_reason_nothing_is_settled(unknown, olivia, browser):
    page = olivia.post(
        f"/rows/{unknown.pk}/resolve", {"as": "accepted", "reason": " "}, follow=True
    ).content.decode()
    assert "Say why" in page
    assert (
        browser("audrey").post(f"/rows/{unknown.pk}/resolve", {"as": "accepted", "reason": "x"}).status_code == 403
    )
    unknown.refresh_from_db()
    assert unknown.status == "unknown" and not unknown.resolved


def test_a_duplicate_names_the_earlier_row(send, road, olivia):
    again = road.check(road.upload(sample("qubit"), "again.csv"), send.destination)
    page = olivia.get(f"/sends/{again.pk}/check?show=duplicate").content.decode()
    first = Delivery.objects.get(send=send, line=2)
    assert f'href="/rows/{first.pk}"' in page and "line 2 of sales.csv" in page
