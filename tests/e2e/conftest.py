"""The portal as a person meets it: all its programs on free ports, and the Chromium of this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from connectors.emulator.testing import Emulator
from tests.e2e.visitor import Visitor
from tests.embedded.conftest import free_ports, wait_until
from tests.embedded.runs import Run
from tests.production.conftest import started_database

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-quic", "--no-first-run"]


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where the Chromium is."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no Chromium is found: none of {', '.join(NAMES)} is on the PATH")
    return found


@pytest.fixture(scope="package")
def stores() -> Iterator[dict[str, str]]:
    """Where the portal keeps things: embedded, or with two delivery workers on the PostgreSQL of DATABASE_URL."""
    given = os.environ.get("DATABASE_URL", "")
    if not given.startswith("postgres"):
        yield {}
        return
    with started_database(given, f"browsed_{os.getpid()}") as address:
        yield {"DATABASE_URL": address, "WORKERS": "2"}


@pytest.fixture(scope="package")
def portal(chromium: str, stores: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A portal with its demonstration account, started as `make run` starts it."""
    run = Run(tmp_path_factory.mktemp("portal"), *free_ports(2), **stores)
    run.start()
    try:
        assert wait_until(run.is_up, 60), run.health()
        yield run
    finally:
        run.end()


@pytest.fixture(scope="package")
def vendors(portal: Run) -> Emulator:
    """The stand-ins of the vendors in that portal, with their ledger."""
    return Emulator(f"http://127.0.0.1:{portal.emulator_port}")


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """For one module at a time: while it is open, no other test of this program could run an event loop."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def visit(browser: Browser, portal: Run) -> Iterator[Callable[..., Visitor]]:
    """`visit("olivia", width=390, …)`: a person at a browser of their own, signed in."""
    visitors: list[Visitor] = []

    def visit(name: str, **options: object) -> Visitor:
        visitors.append(Visitor(browser, f"http://localhost:{portal.port}", name, **options))
        return visitors[-1]

    yield visit
    for visitor in visitors:
        visitor.context.close()
