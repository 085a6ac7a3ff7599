"""Step 4 in a real browser: the grid can be read, and what stands beside it follows each cell that is mended."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.visitor import Visitor
from tests.embedded.runs import Run

pytestmark = pytest.mark.browser
Visit = Callable[..., Visitor]

CUT_CELLS = """[...document.querySelectorAll("[data-grid] .cell")]
  .filter((cell) => cell.scrollWidth > cell.clientWidth).map((cell) => cell.value)"""


@pytest.fixture(scope="module")
def checked(visit: Visit, portal: Run) -> str:
    """The address of a send at the check."""
    page = visit("olivia").page
    page.goto("/sends/new")
    page.get_by_label("Drop a spreadsheet here").set_input_files(portal.folder / "samples" / "kissmetrics.csv")
    page.get_by_role("link", name="Choose columns").click()
    page.get_by_role("radio", name="KISSmetrics (training)").check()
    page.get_by_label("Rows sent before").select_option("send")
    page.get_by_role("button", name=re.compile("^Check ")).first.click()
    expect(page.get_by_text("Mend them here")).to_be_visible()
    return page.url.partition("?")[0]


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("show", ["problem", "ready"])
def test_no_cell_is_cut(visit: Visit, checked: str, width: int, show: str) -> None:
    olivia = visit("olivia", width=width)
    page = olivia.open(f"{checked}?show={show}")
    assert page.evaluate(CUT_CELLS) == []
    assert olivia.overflow() == 0
    if show == "problem":
        assert width_of(page, "td.reason") < width / 2


def width_of(page: Page, selector: str) -> float:
    box = page.locator(selector).first.bounding_box()
    assert box
    return box["width"]


def test_what_is_wrong_follows_the_cell(visit: Visit, checked: str) -> None:
    olivia = visit("olivia")
    page = olivia.open(f"{checked}?show=problem")
    kinds = page.locator("#wrong li")
    expect(kinds).to_have_count(4)
    page.locator("#c-8-0").fill("mended@example.com")
    page.locator("#c-8-0").press("Tab")
    expect(kinds).to_have_count(3)
    expect(page.locator("#wrong")).not_to_contain_text("Email:")
    expect(page.get_by_role("heading", level=1)).to_have_text("21 of 25 rows are ready")
    assert olivia.complaints == []
