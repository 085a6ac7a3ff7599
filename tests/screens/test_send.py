"""The page of a send, its acts, and the files to take away."""

from __future__ import annotations

import io

import openpyxl
import pytest

from offline_portal.models import Send
from tests.screens.conftest import sample

ROWS = 40


def spreadsheet(first: str = "ana") -> str:
    lines = [f"{first}{number}@example.com,Purchased,2026-10-05 09:00:{number:02}" for number in range(ROWS)]
    return "Email,Event,Date\n" + "\n".join(lines) + "\n"


@pytest.fixture
def queued(road) -> Send:
    return road.queue(road.check(road.upload(spreadsheet()), road.destination("kissmetrics")))


def test_pause_resume_cancel(queued, olivia):
    page = olivia.get(f"/sends/{queued.pk}").content.decode()
    assert f"{ROWS} rows lined up" in page and "Pause" in page and f"{ROWS} rows will not be sent" in page
    for act, status in (("pause", "paused"), ("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled")):
        assert olivia.post(f"/sends/{queued.pk}/do/{act}").status_code == 302
        queued.refresh_from_db()
        assert queued.status == status
    page = olivia.get(f"/sends/{queued.pk}").content.decode()
    assert "Cancelled by olivia." in page and "What was not accepted" in page


def test_an_act_that_the_state_does_not_allow_is_told_plainly(queued, olivia):
    page = olivia.post(f"/sends/{queued.pk}/do/resume", follow=True).content.decode()
    olivia.post(f"/sends/{queued.pk}/do/cancel")
    page = olivia.post(f"/sends/{queued.pk}/do/resume", follow=True).content.decode()
    assert "Only a paused send can be resumed." in page
    assert olivia.post(f"/sends/{queued.pk}/do/nonsense").status_code == 404
    assert olivia.get(f"/sends/{queued.pk}/do/cancel").status_code == 405


@pytest.mark.parametrize("name", ["adam", "audrey"])
def test_only_marketing_ops_act(queued, browser, name):
    client = browser(name)
    assert client.post(f"/sends/{queued.pk}/do/cancel").status_code == 403
    assert client.post(f"/sends/{queued.pk}/retry", {"statuses": "failed"}).status_code == 403
    queued.refresh_from_db()
    assert queued.status == "queued"
    assert "Cancel this send" not in client.get(f"/sends/{queued.pk}").content.decode()


def test_the_live_part_tells_the_pace_and_reloads_the_page_at_the_end(queued, road, olivia):
    htmx = {"HX-Request": "true"}
    earlier = f"/sends/{queued.pk}/live?since=1&settled=0"
    part = olivia.get(earlier, headers=htmx).content.decode()
    assert "measuring the pace" in part and f"0 of {ROWS} rows have a result" in part
    road.shift(queued)
    assert queued.status == "finished"
    assert olivia.get(earlier, headers=htmx).headers["HX-Refresh"] == "true"
    for nonsense in ("since=x&settled=y", "since=&settled=", "since=nan", "since=inf", ""):
        assert olivia.get(f"/sends/{queued.pk}/live?{nonsense}").status_code == 204


def test_what_was_rejected_is_sent_again_on_demand(road, olivia):
    road.emulator.set("qubit", fail_every=2)
    send = road.deliver(road.check(road.upload(sample("qubit")), road.destination("qubit")))
    road.emulator.clear()
    page = olivia.get(f"/sends/{send.pk}").content.decode()
    assert send.rejected and f"{send.rejected} rejected: only if the cause is gone" in page
    olivia.post(f"/sends/{send.pk}/retry", {"statuses": "rejected", "reason": "mended"})
    road.shift(send)
    assert send.status == "finished" and send.rejected == 0 and send.accepted == send.ready
    page = olivia.post(f"/sends/{send.pk}/retry", {"statuses": "failed"}, follow=True).content.decode()
    assert "There is no row that could be retried." in page


def test_rows_that_were_not_part_of_it_are_told_and_shown(road, olivia, browser):
    send = road.deliver(road.check(road.upload(sample("qubit")), road.destination("qubit")))
    page = olivia.get(f"/sends/{send.pk}").content.decode()
    assert f"{send.problem} with problems" in page
    rows = olivia.get(f"/sends/{send.pk}?verdict=problem").content.decode()
    assert "Visitor id is empty" in rows and "6o2diu81w9o" not in rows
    assert "k4z9s0l5evn-0kx307v2c-j1y6u8p" in rows
    masked = browser("audrey").get(f"/sends/{send.pk}?verdict=problem").content.decode()
    assert "k4z9s0l5evn-0kx307v2c-j1y6u8p" not in masked and "k••••" in masked and "C-20493" in masked


def test_requests_and_history(road, olivia):
    send = road.deliver(road.check(road.upload(sample("qubit")), road.destination("qubit")))
    requests = olivia.get(f"/sends/{send.pk}/requests").content.decode()
    assert "POST" in requests and ">200<" in requests.replace("\n", "") and "acme" not in requests
    history = olivia.get(f"/sends/{send.pk}/history").content.decode()
    assert "had the ready rows sent" in history and "send.checked" in history


def test_rows_with_problems_as_a_workbook(road, olivia):
    text = sample("qubit").replace("C-20486", '"=HYPERLINK(""http://x"")"')
    send = road.check(road.upload(text), road.destination("qubit"))
    answer = olivia.get(f"/sends/{send.pk}/problems.xlsx")
    assert 'filename="problems-sales.xlsx"' in answer.headers["Content-Disposition"]
    sheet = openpyxl.load_workbook(io.BytesIO(answer.content)).active
    heads = [cell.value for cell in sheet[1]]
    assert heads[-2:] == ["Line", "Reason"] and sheet.max_row == send.problem + 1
    first = dict(zip(heads, sheet[2], strict=True))
    assert first["Line"].value == 7 and first["Reason"].value.startswith("Visitor id is empty")
    assert first["Visitor ID"].comment.text.startswith("Visitor id is empty")
    assert first["Order number"].value.startswith("=HYPERLINK") and first["Order number"].data_type == "s"


def test_the_list_finds_sends_by_status_destination_name_and_day(road, olivia):
    send = road.deliver(road.check(road.upload(spreadsheet(), "october.csv"), road.destination("kissmetrics")))
    road.upload(spreadsheet("bob"), "november.csv")
    day = send.queued_at.date().isoformat()
    for query in ("status=finished", f"destination={send.destination_id}", "q=octo", f"day={day}", ""):
        assert "october.csv" in olivia.get(f"/sends/?{query}").content.decode(), query
    for query in ("status=draft", "destination=99999", "q=xyz", "day=2001-01-01"):
        assert "No send fits" in olivia.get(f"/sends/?{query}").content.decode(), query


def test_pages_go_on_by_key(road, olivia, monkeypatch):
    from offline_portal.screens import send as page_of

    monkeypatch.setattr(page_of, "A_PAGE", 15)
    send = road.deliver(road.check(road.upload(spreadsheet()), road.destination("kissmetrics")))
    seen, address = [], f"/sends/{send.pk}"
    while address:
        page = olivia.get(address)
        seen += [delivery.line for delivery, _shape in page.context["rows"]]
        address = f"/sends/{send.pk}{page.context['next']}" if page.context["next"] else ""
    assert seen == list(range(2, ROWS + 2))
