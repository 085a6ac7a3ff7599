"""Every page, by each role, wide and narrow, light and dark: nothing missing, nothing blocked, nothing inaccessible."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.e2e.visitor import Visitor, axe_script
from tests.embedded.runs import Run

pytestmark = pytest.mark.browser
Visit = Callable[..., Visitor]

PAGES = {
    "olivia": (
        "/", "/sends/", "/sends/1", "/sends/1/requests", "/sends/1/history", "/rows/1", "/audit/?q=P-4101",
        "/mappings/", "/sends/new", "/sends/WAITING/file", "/sends/WAITING/recognised", "/sends/WAITING/columns",
        "/sends/WAITING/check", "/sends/WAITING/check?show=ready", "/sends/WAITING/send",
    ),
    "audrey": ("/", "/sends/1", "/rows/1", "/audit/", "/audit/?action=send.queued", "/account/2fa/",
               "/account/logout/", "/tokens/", "/help/statuses"),
    "adam": ("/destinations/", "/destinations/1", "/destinations/new", "/destinations/new?connector=qubit",
             "/destinations/1/change", "/health/", "/account/password/change/", "/people/", "/people/new", "/people/1"),
}  # fmt: skip
WINDOWS = {"wide": {"width": 1440, "height": 900}, "narrow, dark": {"width": 390, "height": 844, "look": "dark"}}
EYES = (("olivia", "wide"), ("olivia", "narrow, dark"), ("audrey", "narrow, dark"), ("adam", "wide"))


@pytest.fixture(scope="module")
def waiting(visit: Visit, portal: Run) -> str:
    """The number of a send that waits at the check. Another one, send 1, is over: a test before made it, or this."""
    sample = portal.folder / "samples" / "kissmetrics.csv"
    portal.command("deliver", str(sample), "--to", "KISSmetrics (training)", "--yes", "--wait")
    page = visit("olivia").page
    page.goto("/sends/new")
    page.get_by_label("Drop a spreadsheet here").set_input_files(sample)
    page.get_by_role("link", name="Choose columns").click()
    page.get_by_role("radio", name="KISSmetrics (training)").check()
    page.get_by_label("Rows sent before").select_option("send")
    page.get_by_role("button", name=re.compile("^Check ")).first.click()
    expect(page.get_by_text("Mend them here")).to_be_visible()
    return page.url.partition("/sends/")[2].partition("/")[0]


@pytest.mark.parametrize(("name", "window"), EYES)
def test_every_page(visit: Visit, waiting: str, name: str, window: str) -> None:
    person = visit(name, **WINDOWS[window])
    wrong = []
    for path in PAGES[name]:
        page = person.open(path.replace("WAITING", waiting))
        expect(page.locator(".htmx-request")).to_have_count(0)
        wrong += [f"{path}: {found}" for found in (*person.complaints, *looked_over(person))]
        person.complaints.clear()
    assert not wrong, "\n".join(wrong)


def looked_over(person: Visitor) -> list[str]:
    """What is wrong with the page that a person has before them."""
    page, wrong = person.page, []
    if page.locator("h1").count() != 1:
        wrong.append("not exactly one heading of the first level")
    if person.overflow() > 0:
        wrong.append(f"{person.overflow()} pixels wider than the window")
    if not all(page.get_by_role("navigation", name="Main").get_by_role("link").all_inner_texts()):
        wrong.append("a link of the main navigation has no word")
    return wrong + (person.inaccessible() if axe_script() else [])


def test_axe_was_there() -> None:
    if not axe_script():
        pytest.skip("axe-core is not installed: pip install axe-playwright-python")


@pytest.mark.parametrize(("name", "path", "status"), [("audrey", "/sends/new", 403), ("olivia", "/nothing", 404)])
def test_what_is_not_there_or_not_for_you_is_said_in_the_same_look(
    visit: Visit, name: str, path: str, status: int
) -> None:
    person = visit(name)
    answer = person.page.goto(path)
    assert answer is not None
    assert answer.status == status
    expect(person.page.get_by_role("heading", level=1)).to_be_visible()
    assert "Traceback" not in person.page.content()
    expect(person.page.get_by_role("link").first).to_be_visible()


def test_the_look_can_be_switched_and_stays(visit: Visit) -> None:
    olivia = visit("olivia")
    page = olivia.open("/")
    switch = page.get_by_role("button", name="Look:").first
    switch.click()
    expect(switch).to_contain_text("light")
    switch.click()
    expect(switch).to_contain_text("dark")
    page = olivia.open("/sends/")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert olivia.complaints == []
