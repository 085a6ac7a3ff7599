"""The main job in a real browser: a spreadsheet in, the good rows at the vendor, every row looked up afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from connectors.emulator.testing import Emulator
from tests.e2e.visitor import Visitor
from tests.embedded.conftest import wait_until
from tests.embedded.runs import Run
from tests.samples import BY_SLUG, SAMPLES, Sample

pytestmark = pytest.mark.browser
Visit = Callable[..., Visitor]
TO_THE_CHECK = re.compile("^Check ")
"""How many rows there are it says only once the file has been read."""


FILES = {"kissmetrics": "csv", "kameleoon": "xlsx", "related_digital": "csv", "qubit": "xlsx", "tracify": "xlsx"}
"""As what each sample is uploaded."""
each = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.slug)


@pytest.fixture(scope="module")
def olivia(visit: Visit) -> Visitor:
    return visit("olivia")


@pytest.fixture(scope="module")
def audrey(visit: Visit) -> Visitor:
    return visit("audrey")


@pytest.fixture(autouse=True)
def _nobody_complains(olivia: Visitor) -> Iterator[None]:
    yield
    assert olivia.complaints == []


@pytest.fixture(scope="module")
def sent(portal: Run) -> None:
    """The KISSmetrics sample has been sent, by a test before or else now."""
    portal.command("deliver", str(portal.folder / "samples" / "kissmetrics.csv"), "--to", "KISSmetrics (training)",
                   "--yes", "--wait")  # fmt: skip


def file_of(sample: Sample, portal: Run) -> Path:
    return portal.folder / "samples" / f"{sample.slug}.{FILES[sample.slug]}"


def to_the_check(page: Page, portal: Run, sample: Sample) -> None:
    """Steps 1 to 3, from the home page."""
    page.goto("/")
    page.get_by_role("link", name="New send").first.click()
    page.get_by_label("Drop a spreadsheet here").set_input_files(file_of(sample, portal))
    page.wait_for_url("**/recognised")
    expect(page.get_by_role("columnheader", name="Line")).to_be_visible()
    page.get_by_role("link", name="Choose columns").click()
    page.get_by_role("radio", name=sample.destination).check()
    page.get_by_role("button", name=TO_THE_CHECK).first.click()
    page.wait_for_url("**/check*")
    expect(page.get_by_text("Mend them here")).to_be_visible()


def tile(page: Page, name: str) -> int:
    """The number on a tile."""
    return int(page.locator(".tile", has_text=name).locator(".value").inner_text())


def finished(page: Page) -> None:
    expect(page.locator(".pill", has_text="Finished").first).to_be_visible(timeout=30_000)


@each
def test_a_sample_goes_through_the_five_steps(
    olivia: Visitor, audrey: Visitor, portal: Run, vendors: Emulator, sample: Sample
) -> None:
    vendors.clear()
    page, rows, bad = olivia.page, len(sample.rows), len(sample.bad_lines)
    to_the_check(page, portal, sample)
    assert (tile(page, "Ready"), tile(page, "Problem")) == (rows - bad, bad)

    for line in sample.bad_lines:
        reason = page.locator(f"#row-{line} .reasons li").first.inner_text()
        assert len(reason.split()) > 3, "a row with a problem says why"
        assert page.locator(f"#row-{line} td.bad").count() == 1, "and which cell it is"
    page.locator(f"#c-{sample.bad_lines[0]}-{sample.column}").fill(sample.mended[1])
    page.keyboard.press("Tab")
    expect(page.locator(f"#row-{sample.bad_lines[0]} .pill")).to_have_text("Ready")
    ready = rows - bad + 1
    assert tile(page, "Ready") == ready
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{ready} of {rows} rows are ready")
    page.get_by_role("link", name=f"Go on with {ready} rows").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text(f"Send {ready} rows")
    assert vendors.ledger(sample.slug) == [], "nothing leaves before the last step"
    page.get_by_role("button", name=f"Send {ready} rows").click()
    finished(page)
    file = file_of(sample, portal).name
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{file}: {ready} of {ready} accepted")
    assert tile(page, "Accepted") == ready
    assert wait_until(lambda: len(vendors.ledger(sample.slug)) >= ready, 60)
    assert sample.held(vendors.effective(sample.slug)) == sample.good(mended=True)
    assert len(vendors.ledger(sample.slug)) == ready, "and nothing else"
    page.get_by_role("link", name=f"{bad - 1} with problems").click()
    expect(page.get_by_role("row")).to_have_count(bad)
    audrey_finds(audrey, sample, file)


def audrey_finds(audrey: Visitor, sample: Sample, file: str) -> None:
    """One row, by what a customer would name; and what became of it."""
    page, (text, line) = audrey.page, sample.known_by
    page.goto("/audit/")
    page.get_by_role("searchbox").fill(text)
    page.get_by_role("searchbox").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text(text)
    there = page.locator("main tbody tr", has_text=file)
    expect(there).to_have_count(1)
    there.get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Line {line} of {file}: accepted")
    assert audrey.complaints == []


def test_the_same_file_again_is_announced_and_its_rows_stay_out(olivia: Visitor, portal: Run, sent: None) -> None:
    page = olivia.page
    page.goto("/sends/new")
    page.get_by_label("Drop a spreadsheet here").set_input_files(portal.folder / "samples" / "kissmetrics.csv")
    expect(page.get_by_text("This very file was here before")).to_be_visible()
    page.get_by_role("link", name="Choose columns").click()
    page.get_by_role("radio", name="KISSmetrics (training)").check()
    page.get_by_role("button", name=TO_THE_CHECK).first.click()
    expect(page.locator(".tile", has_text="Duplicate").locator(".value")).to_have_text("20")
    page.locator(".tile", has_text="Duplicate").click()
    expect(page.locator("#row-2")).to_contain_text("line 2 of kissmetrics.csv")


def test_a_file_that_is_none_is_refused_in_plain_words(olivia: Visitor) -> None:
    page = olivia.page
    page.goto("/sends/new")
    file = {"name": "sales.xlsx", "mimeType": "application/pdf", "buffer": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" * 50}
    page.get_by_label("Drop a spreadsheet here").set_input_files(file)  # type: ignore[arg-type]
    expect(page.get_by_role("alert").first).to_contain_text("“sales.xlsx” was not taken")
    # The browser itself notes in its console that the answer was 422.
    assert all("422" in complaint for complaint in olivia.complaints)
    olivia.complaints.clear()


def test_an_unknown_row_says_what_each_choice_means(olivia: Visitor, vendors: Emulator, portal: Run) -> None:
    vendors.set("qubit", cut={"value": "after_storing", "times": 1})
    page = olivia.page
    page.goto("/sends/new")
    text = "Visitor ID,Date,Amount,Currency,Order number\nlost-1,2026-11-04 10:00:00,10.00,EUR,LOST-1\n"
    file = {"name": "one.csv", "mimeType": "text/csv", "buffer": text.encode()}
    page.get_by_label("Drop a spreadsheet here").set_input_files(file)  # type: ignore[arg-type]
    page.get_by_role("link", name="Choose columns").click()
    page.get_by_role("radio", name="Qubit (training)").check()
    page.get_by_role("button", name=TO_THE_CHECK).first.click()
    page.get_by_role("link", name="Go on with 1 row").click()
    page.get_by_role("button", name="Send 1 row").click()
    finished(page)
    assert (tile(page, "Accepted"), tile(page, "Unknown")) == (0, 1)
    page.get_by_role("table").get_by_role("link").first.click()
    expect(page.get_by_text("Qubit counts it twice")).to_be_visible()
    page.get_by_role("radio", name=re.compile("It arrived")).check()
    page.get_by_label("Why").fill("Seen in Qubit's own report")
    page.get_by_role("button", name="Decide").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("accepted")
    expect(page.get_by_text("a person’s word").first).to_be_visible()
    vendors.clear()


def test_audrey_finds_as_many_rows_as_there_are_and_sees_nobody_plainly(audrey: Visitor, sent: None) -> None:
    page = audrey.page
    for text, rows in (("P-4102", 1), ("bob@bob.com", 2), ("nobody@example.com", 0)):
        page.goto("/audit/")
        page.get_by_role("searchbox").fill(text)
        page.get_by_role("searchbox").press("Enter")
        expect(page.get_by_role("heading", level=1)).to_contain_text(text)
        assert page.locator("main tbody tr", has_text="kissmetrics").count() == rows, text
    page.goto("/audit/?q=P-4102")
    page.locator("main tbody").get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Line 3 of kissmetrics.csv: accepted")
    for details in page.locator("main details").all():
        details.locator("summary").click()
    assert "alice.meyer@example.com" not in page.content()
    assert "alice.meyer%40example.com" not in page.content()
    expect(page.get_by_text("a" + "•" * 22).first).to_be_visible()
    page.get_by_role("button", name="Show personal values").click()
    expect(page.get_by_text("alice.meyer@example.com").first).to_be_visible()
    page.goto("/audit/?action=delivery.revealed")
    expect(page.locator("main tbody tr").first).to_contain_text("audrey")
    page.get_by_role("button", name="Check the chain now").click()
    expect(page.get_by_text("The chain holds")).to_be_visible()
    assert audrey.complaints == []


@pytest.mark.parametrize("name", ["audrey", "adam"])
def test_no_page_shows_a_person_plainly_to_who_did_not_ask(visit: Visit, sent: None, name: str) -> None:
    person = visit(name)
    for path in ("/", "/sends/", "/sends/1", "/sends/1?verdict=problem", "/sends/1/requests", "/sends/1/history",
                 "/rows/2", "/audit/", "/audit/?q=P-4103"):  # fmt: skip
        shown = person.open(path).content()
        assert re.findall(r"[\w.+-]+(?:@|%40)example\.\w+", shown) == [], path
    assert person.complaints == []


def test_adam_tests_a_connection_and_sees_no_secret(visit: Visit, vendors: Emulator) -> None:
    adam = visit("adam")
    page = adam.page
    page.goto("/destinations/")
    page.get_by_role("link", name="Qubit (training)").click()
    page.get_by_role("button", name="Test the connection").click()
    expect(page.locator("#tested")).to_contain_text("It works")
    vendors.set("qubit", status=401)
    page.get_by_role("button", name="Test the connection").click()
    expect(page.locator("#tested")).to_contain_text("does not let us in")
    vendors.clear()
    page.get_by_role("link", name="Change").click()
    expect(page.get_by_label("Tracking ID")).to_have_value("")
    assert adam.complaints == []


@pytest.mark.parametrize("sample", [BY_SLUG["kissmetrics"], BY_SLUG["qubit"]], ids=lambda sample: sample.slug)
def test_the_five_steps_need_no_script(visit: Visit, portal: Run, sample: Sample) -> None:
    oscar = visit("oscar", script=False)
    page = oscar.page
    page.goto("/sends/new")
    page.get_by_label("Drop a spreadsheet here").set_input_files(file_of(sample, portal))
    page.get_by_role("button", name="Take it in").click()
    page.get_by_role("link", name="Choose columns").click()
    page.get_by_role("radio", name=sample.destination).check()
    page.get_by_role("button", name="Show its fields").click()
    page.get_by_label("Rows sent before").select_option("send")
    page.get_by_role("button", name=TO_THE_CHECK).first.click()
    for _look in range(200):
        if not page.get_by_role("link", name="Look again").count():
            break
        page.wait_for_timeout(100)
        page.get_by_role("link", name="Look again").click()
    page.get_by_role("link", name=re.compile("^Go on with")).click()
    page.get_by_role("button", name=re.compile("^Send 2")).click()
    for _look in range(200):
        if page.locator(".pill", has_text="Finished").count():
            break
        page.wait_for_timeout(200)
        page.reload()
    assert tile(page, "Accepted") == len(sample.rows) - len(sample.bad_lines)
    assert oscar.complaints == []
