"""Step 1 in a real browser: a file travels whenever it was chosen, and only then."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect

from tests.e2e.visitor import Visitor

pytestmark = pytest.mark.browser
Visit = Callable[..., Visitor]
FILE = {"name": "early.csv", "mimeType": "text/csv", "buffer": b"Email,Event\nann@example.com,Purchased\n"}


def test_a_file_chosen_before_the_script_is_there_travels_all_the_same(visit: Visit) -> None:
    olivia = visit("olivia")
    page, held = olivia.page, list[Route]()
    page.route("**/drop*.js", lambda route: held.append(route))
    page.goto("/sends/new", wait_until="commit")
    page.get_by_label("Drop a spreadsheet here").set_input_files(FILE)  # type: ignore[arg-type]
    while not held:
        page.wait_for_timeout(20)
    held[0].continue_()
    page.wait_for_url("**/recognised")
    assert olivia.complaints == []


def test_going_back_to_the_file_takes_in_nothing_again(visit: Visit) -> None:
    olivia = visit("olivia")
    page = olivia.open("/sends/new")
    page.get_by_label("Drop a spreadsheet here").set_input_files(FILE)  # type: ignore[arg-type]
    page.wait_for_url("**/recognised")
    page.go_back()
    expect(page.get_by_text("Drop a spreadsheet here")).to_be_visible()
    page.wait_for_timeout(500)
    assert page.url.endswith("/sends/new")
    assert olivia.complaints == []
