"""The OpenAPI document, and the page on which people browse it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from offline_portal import checks
from offline_portal.api import errors
from offline_portal.delivery import control, release
from tests.api.conftest import Caller
from tests.api.test_roles import CALLS
from tests.conftest import PEOPLE

pytestmark = pytest.mark.django_db


def test_the_document_names_every_error_and_the_token() -> None:
    document = Caller(None).json("GET", "/openapi.json")
    assert document["components"]["securitySchemes"] == {"Bearer": {"type": "http", "scheme": "bearer"}}
    for path, calls in document["paths"].items():
        for method, call in calls.items():
            if path.endswith("/health"):
                assert "security" not in call
                continue
            assert call["security"] == [{"Bearer": []}], (method, path)
            assert {"400", "401", "403", "404", "409", "413", "422", "429"} < set(call["responses"])
            assert call["summary"] and call["description"]


def test_the_page_has_nothing_that_the_policy_would_block() -> None:
    response = Caller(None)("GET", "/docs")
    page = response.content.decode()
    assert response.status_code == 200
    assert "unsafe" not in response["Content-Security-Policy"]
    assert not re.search(r"<style|\sstyle=|\son\w+=|https?://", page)
    for attributes, inside in re.findall(r"<script([^>]*)>(.*?)</script>", page, re.DOTALL):
        assert "application/json" in attributes or not inside.strip()


def test_the_guide_names_every_call_with_its_roles() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    told = {
        call: set(roles.split(", ")) for call, roles in re.findall(r"^\| `([A-Z]+ /\S*)` \| (.+?) \|$", guide, re.M)
    }
    assert told == {call: {str(PEOPLE[name]) for name in names} for call, names in CALLS.items()}


def test_the_guide_names_every_code() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    sources = [
        *Path(errors.__file__).parent.glob("*.py"),
        Path(control.__file__),
        Path(release.__file__),
        *Path(checks.__file__).parent.glob("*.py"),
    ]
    raised = r'(?:Conflict|OwnSend|CannotCheck|NotEditable|answer|ApiError)\((?:\d+, )?\s*"([a-z_]+)"'
    found = {
        code
        for source in sources
        for code in re.findall(raised, source.read_text())
    }
    never_over_the_api = {"as", "reason", "statuses", "not_waiting"}
    assert len(found) > 20 and {code for code in found - never_over_the_api if f"`{code}`" not in guide} == set()
