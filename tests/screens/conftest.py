"""Browsers of the people, and a reader of pages that sees what a careful reviewer would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from django.contrib.auth.models import User
from django.test import Client

from connectors import get
from offline_portal import checks
from offline_portal.intake import store
from offline_portal.models import Send
from offline_portal.sheets import sample_csv

VOID = {"input", "meta", "link", "br", "hr", "img", "path", "rect", "circle", "line", "use"}


@pytest.fixture
def browser(people: dict[str, User]) -> Callable[[str], Client]:
    """A signed-in browser of a person."""

    def signed_in(name: str) -> Client:
        client = Client()
        client.force_login(people[name])
        return client

    return signed_in


@pytest.fixture
def olivia(browser: Callable[[str], Client]) -> Client:
    return browser("olivia")


def work(send: Send) -> Send:
    """What the intake worker would do for a send by now."""
    store.read(send.upload_id)
    checks.run(send.pk)
    send.refresh_from_db()
    return send


def sample(slug: str) -> str:
    """The sample spreadsheet of a vendor, as text."""
    return sample_csv(get(slug)).decode("utf-8-sig")


class Page(HTMLParser):
    """What is wrong with a page: inline code, unlabelled fields, repeated ids, tables without caption or heads."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.ids: Counter[str] = Counter()
        self.labelled: set[str] = set()
        self.fields: list[tuple[str, str, bool]] = []
        self.headings = 0
        self.tables: list[dict[str, bool]] = []
        self.open: list[str] = []
        self.buttons: list[dict[str, object]] = []
        self.feed(html)
        self.close()
        self._judge()

    def handle_starttag(self, tag: str, pairs: list[tuple[str, str | None]]) -> None:
        attrs = dict(pairs)
        if tag not in VOID:
            self.open.append(tag)
        if attrs.get("id"):
            self.ids[str(attrs["id"])] += 1
        self.faults += [f"<{tag} {name}>" for name in attrs if name == "style" or name.startswith(("on", "hx-on"))]
        if tag == "style" or (tag == "script" and "src" not in attrs and attrs.get("type") != "application/json"):
            self.faults.append(f"inline <{tag}>")
        if any(str(attrs.get(name)).startswith("javascript:") for name in ("href", "action")):
            self.faults.append("javascript: address")
        if tag == "label" and attrs.get("for"):
            self.labelled.add(str(attrs["for"]))
        if tag in ("input", "select", "textarea") and attrs.get("type") != "hidden":
            named = "aria-label" in attrs or "label" in self.open
            self.fields.append((str(attrs.get("id")), str(attrs.get("name")), named))
        if tag == "h1":
            self.headings += 1
        if tag == "table":
            self.tables.append({"caption": False, "head": False})
        if tag == "caption":
            self.tables[-1]["caption"] = True
        if tag == "th" and "scope" in attrs:
            self.tables[-1]["head"] = True

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> closes <{self.open[-1] if self.open else 'nothing'}>")
            return
        self.open.pop()

    def _judge(self) -> None:
        self.faults += [f"id {name} stands {times} times" for name, times in self.ids.items() if times > 1]
        self.faults += [
            f"field {name} has no label"
            for key, name, named in self.fields
            if not named and key not in self.labelled
        ]
        if self.headings != 1:
            self.faults.append(f"{self.headings} h1")
        self.faults += ["a table without caption" for table in self.tables if not table["caption"]]
        self.faults += ["a table without header cells" for table in self.tables if not table["head"]]
