"""A person at a browser, who notices everything that the browser complains about."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Response

PASSWORD = "offline-portal-demo"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

_TELL_OF_THE_POLICY = """document.addEventListener("securitypolicyviolation", (event) => console.error(
  `Content-Security-Policy: ${event.violatedDirective} ${event.blockedURI} in ${event.sourceFile}`));"""
_WHAT_AXE_FINDS = """async (tags) => (
  await axe.run(document, {runOnly: tags, resultTypes: ["violations"]})
).violations.map((one) => `${one.id}: ${one.help} (${one.nodes.length}×) ${one.nodes[0].html.slice(0, 200)}`)"""


class Visitor:
    """One person in a browser of their own, signed in. `complaints` should stay empty."""

    def __init__(
        self, browser: Browser, address: str, name: str, width: int = 1440, height: int = 900, look: str = "light",
        script: bool = True,
    ) -> None:
        self.name = name
        self.complaints: list[str] = []
        self.context = browser.new_context(
            base_url=address, viewport={"width": width, "height": height}, color_scheme=look, locale="en-GB",
            timezone_id="Europe/Berlin", java_script_enabled=script,
        )  # fmt: skip
        self.context.set_default_timeout(15_000)
        if script:
            self.context.add_init_script(_TELL_OF_THE_POLICY)
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda said: self._complain(said.type, said.text))
        self.page.on("pageerror", lambda error: self._complain("error", str(error)))
        self.page.on("response", self._look_at)
        self._sign_in()

    def open(self, path: str) -> Page:
        """Go to a page; it must be there."""
        answer = self.page.goto(path)
        assert answer is not None
        assert answer.status == 200, f"{path}: {answer.status}"
        return self.page

    def inaccessible(self) -> list[str]:
        """What axe finds on the page as it is, by the rules of WCAG 2.2 AA. Wants `axe_script`."""
        self.page.evaluate(axe_script() or "")
        return self.page.evaluate(_WHAT_AXE_FINDS, WCAG)

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        return self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def _sign_in(self) -> None:
        self.page.goto("/")
        self.page.get_by_label("Username").fill(self.name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.wait_for_url("**/")

    def _complain(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(f"{self.page.url}: {text}")

    def _look_at(self, answer: Response) -> None:
        if answer.status >= 400:
            self.complaints.append(f"{answer.request.method} {answer.url}: {answer.status}")


@cache
def axe_script() -> str:
    """axe-core, as the package axe-playwright-python brings it; empty where that is not installed."""
    found: Any = importlib.util.find_spec("axe_playwright_python")
    return Path(found.origin).with_name("axe.min.js").read_text() if found else ""
