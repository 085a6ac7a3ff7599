"""A new send in five steps, without any script: what a person does and what the portal then knows."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from offline_portal.models import AuditEntry, Delivery, Mapping, Send, Upload
from tests.screens.conftest import sample, work


def upload(client: Client, text: str, name: str = "shop.csv") -> Send:
    answer = client.post("/sends/new", {"file": SimpleUploadedFile(name, text.encode())})
    assert answer.status_code == 302 and answer.url.endswith("/recognised"), answer.content.decode()[:2000]
    return Send.objects.latest("pk")


def fields(**columns: str) -> dict[str, str]:
    return {f"column:{key}": value for key, value in columns.items()}


QUBIT = fields(visitor_id="0", timestamp="1", transaction_id="2", value="3", currency="4", url="5")


@pytest.fixture
def checked(road, olivia) -> Send:
    """A send at step four: 25 rows of the sample, some with problems."""
    place = road.destination("qubit")
    send = upload(olivia, sample("qubit"))
    olivia.post(f"/sends/{send.pk}/columns", QUBIT | {"to": place.pk, "shown_for": place.pk, "go": "1"})
    return work(send)


def test_from_the_file_to_the_vendor(checked, road, olivia):
    assert checked.status == "checked" and checked.ready and checked.problem
    page = olivia.get(f"/sends/{checked.pk}/check").content.decode()
    assert f"{checked.ready} of 25 rows are ready" in page and "Visitor id is empty" in page

    bad = Delivery.objects.get(send=checked, verdict="problem", problems__contains='"code":"missing"')
    answer = olivia.post(f"/sends/{checked.pk}/check/{bad.line}", {"cell:0": "abc-def-ghi", "show": "problem"})
    assert answer.status_code == 302 and answer.url.endswith("/check?show=problem")
    ready = checked.ready + 1
    checked.refresh_from_db()
    assert checked.ready == ready

    page = olivia.get(f"/sends/{checked.pk}/send").content.decode()
    assert f"Send {ready} rows" in page and "Test: they do not count" in page
    for _click in range(3):
        assert olivia.post(f"/sends/{checked.pk}/send").url == f"/sends/{checked.pk}"
    assert Send.objects.count() == 1 and AuditEntry.objects.filter(action="send.queueing").count() == 1
    from offline_portal.delivery import queue

    queue.run(checked.pk)
    road.shift(checked)
    assert checked.status == "finished" and checked.accepted == ready
    assert len(road.emulator.effective("qubit")) == ready
    page = olivia.get(f"/sends/{checked.pk}").content.decode()
    assert f"{ready} of {ready} accepted" in page and "row by row" in page


def test_a_file_that_is_none_is_told_why_and_leaves_nothing(road, olivia):
    answer = olivia.post("/sends/new", {"file": SimpleUploadedFile("report.csv", b"%PDF-1.7 not a table")})
    page = answer.content.decode()
    assert answer.status_code == 422 and "report.csv” was not taken" in page and "PDF" in page
    assert not Upload.objects.exists() and not Send.objects.exists()
    assert olivia.post("/sends/new").status_code == 422


def test_a_file_beyond_the_limit_is_413(road, olivia, settings):
    settings.PORTAL_MAX_UPLOAD_MB = 1
    big = SimpleUploadedFile("big.csv", b"a,b\n" + b"1,2\n" * 300_000)
    answer = olivia.post("/sends/new", {"file": big})
    assert answer.status_code == 413 and "at most 1 MB are taken" in answer.content.decode()
    assert not Upload.objects.exists()


def test_the_limits_are_told_before_the_upload(people, olivia):
    page = olivia.get("/sends/new").content.decode()
    assert "At most 200 MB, 1,048,576 rows and 500 columns" in page and "/samples/qubit.xlsx" in page


def test_a_guess_is_changed_and_the_rows_follow(road, olivia):
    send = upload(olivia, "name;amount\nA;1,5\nB;2,5\n")
    assert Upload.objects.get().columns == ["name", "amount"]
    guesses = {"encoding": "utf-8", "delimiter": ",", "header_line": "1"}
    page = olivia.post(f"/sends/{send.pk}/recognised", guesses, follow=True).content.decode()
    assert "name;amount" in page and Send.objects.count() == 1
    page = olivia.post(
        f"/sends/{send.pk}/recognised", guesses | {"delimiter": ";", "header_line": "0"}, follow=True
    )
    assert "Column A" in page.content.decode()


def test_reading_a_checked_file_anew_begins_a_new_send_and_queues_nothing_stale(checked, olivia):
    guesses = {"encoding": "utf-8", "delimiter": "tab", "header_line": "1"}
    answer = olivia.post(f"/sends/{checked.pk}/recognised", guesses)
    fresh = Send.objects.latest("pk")
    assert fresh.pk != checked.pk and answer.url == f"/sends/{fresh.pk}/recognised"
    checked.refresh_from_db()
    assert checked.status == "cancelled" and fresh.status == "draft"


def test_the_same_bytes_are_announced(checked, olivia):
    again = upload(olivia, sample("qubit"), "another name.csv")
    page = olivia.get(f"/sends/{again.pk}/recognised").content.decode()
    assert "This very file was here before" in page and f'href="/sends/{checked.pk}"' in page


def test_a_required_field_cannot_be_missed(road, olivia):
    place = road.destination("qubit")
    send = upload(olivia, sample("qubit"))
    chosen = {key: value for key, value in QUBIT.items() if key != "column:visitor_id"}
    answer = olivia.post(f"/sends/{send.pk}/columns", chosen | {"to": place.pk, "shown_for": place.pk, "go": "1"})
    page = answer.content.decode()
    assert answer.status_code == 422 and "1 field needs your decision" in page
    assert "Visitor id is required: choose a column or a fixed value." in page and 'aria-invalid="true"' in page
    send.refresh_from_db()
    assert send.status == "draft" and send.destination is None


def test_the_portal_proposes_columns_and_shows_how_values_are_read(road, olivia):
    place = road.destination("qubit", values={"timezone": "Europe/Berlin"})
    send = upload(olivia, sample("qubit"))
    page = olivia.get(f"/sends/{send.pk}/columns?to={place.pk}").content.decode()
    assert "2 November 2026, 09:12 Europe/Berlin" in page and "Same name." in page


def test_a_match_is_kept_under_a_name_and_used_again(road, olivia):
    place = road.destination("qubit")
    send = upload(olivia, sample("qubit"))
    form = QUBIT | {"to": place.pk, "shown_for": place.pk, "decimal:value": ".", "go": "1", "save_as": "Shop"}
    assert olivia.post(f"/sends/{send.pk}/columns", form).status_code == 302
    saved = Mapping.objects.get()
    assert saved.name == "Shop" and saved.fields["value"] == {"column": "Amount", "decimal": "."}
    other = upload(olivia, sample("qubit"), "next.csv")
    chosen = {"to": place.pk, "shown_for": place.pk, "saved": "Shop", "shown_saved": ""}
    page = olivia.post(f"/sends/{other.pk}/columns", chosen).content.decode()
    assert '<option value="3" selected>Amount</option>' in page


def test_a_row_is_left_out_and_taken_back(checked, olivia):
    line = Delivery.objects.filter(send=checked, verdict="ready").earliest("line").line
    olivia.post(f"/sends/{checked.pk}/check/{line}/exclude", {"excluded": "yes"})
    assert Send.objects.get().excluded == 1
    answer = olivia.post(
        f"/sends/{checked.pk}/check/{line}/exclude", {"excluded": "no"}, headers={"HX-Request": "true"}
    )
    page = answer.content.decode()
    assert (
        Send.objects.get().excluded == 0 and f'id="row-{line}"' in page and 'id="tiles" hx-swap-oob="true"' in page
    )


def test_problems_are_grouped_and_one_click_shows_a_kind(checked, olivia):
    page = olivia.get(f"/sends/{checked.pk}/check?show=problem").content.decode()
    assert "What is wrong" in page and "code=not_a_currency&amp;column=Currency" in page
    only = olivia.get(
        f"/sends/{checked.pk}/check?show=problem&code=not_a_currency&column=Currency"
    ).content.decode()
    assert only.count('<tr id="row-') == 1 and page.count('<tr id="row-') == checked.problem


def test_nothing_is_edited_once_it_is_on_its_way(checked, olivia):
    from offline_portal.delivery import queue

    olivia.post(f"/sends/{checked.pk}/send")
    queue.run(checked.pk)
    line = Delivery.objects.filter(send=checked, verdict="problem").earliest("line").line
    olivia.post(f"/sends/{checked.pk}/check/{line}", {"cell:0": "late"})
    assert not checked.edits.exists()
    for step in ("file", "recognised", "columns", "check", "send"):
        assert olivia.get(f"/sends/{checked.pk}/{step}").url == f"/sends/{checked.pk}"


def test_a_send_is_continued_where_it_was_left(checked, road, olivia):
    draft = upload(olivia, "a,b\n1,2\n", "other.csv")
    assert olivia.get(f"/sends/{draft.pk}").url == f"/sends/{draft.pk}/columns"
    assert olivia.get(f"/sends/{checked.pk}").url == f"/sends/{checked.pk}/check"
    assert olivia.get(f"/sends/{draft.pk}/check").url == f"/sends/{draft.pk}/columns"
    assert olivia.get(f"/sends/{draft.pk}/send").url == f"/sends/{draft.pk}/columns"


def test_while_it_is_checked_the_page_asks_again_until_it_is_done(road, olivia):
    place = road.destination("qubit")
    send = upload(olivia, sample("qubit"))
    olivia.post(f"/sends/{send.pk}/columns", QUBIT | {"to": place.pk, "shown_for": place.pk, "go": "1"})
    htmx = {"HX-Request": "true"}
    waiting = olivia.get(f"/sends/{send.pk}/check?wait=1", headers=htmx)
    assert waiting.status_code == 200 and "Reading the file" in waiting.content.decode()
    work(send)
    assert olivia.get(f"/sends/{send.pk}/check?wait=1", headers=htmx).headers["HX-Refresh"] == "true"


def test_the_sum_and_the_dates_are_told_before_sending(checked, olivia):
    facts = olivia.get(f"/sends/{checked.pk}/summary").content.decode()
    assert "GBP" in facts and "EUR" in facts and "First and last date" in facts
