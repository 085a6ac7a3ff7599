"""What the README and the pages in docs/ say is so: links, environment, commands, words, and the vendor in one file."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import get_commands

from connectors import all_connectors
from connectors.base import VERSION, Connector, NotUnderstood, Payload, Response
from offline_portal import mapping
from offline_portal.checking import compile_plan

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOT_OURS = {"XDG_RUNTIME_DIR", "PATH", "DJANGO_SETTINGS_MODULE"}
READERS = {"flag", "number", "whole", "words", "key"}


def anchors(page: Path) -> set[str]:
    """What a link into a page may name, as GitHub makes it from headings."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not link.startswith(("https://", "http://")):
            name, _, anchor = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def variables() -> dict[str, Any]:
    """The environment variables that the settings read, with their defaults where those are plain."""
    found: dict[str, Any] = {}
    for path in (ROOT / "offline_portal").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            name, reader = node.args[0], node.func
            read = reader.attr in READERS and isinstance(reader.value, ast.Name) and reader.value.id == "env"
            read = read or (reader.attr == "get" and ast.unparse(reader.value) == "os.environ")
            if read and isinstance(name, ast.Constant):
                default = node.args[1].value if len(node.args) > 1 and isinstance(node.args[1], ast.Constant) else None
                found[name.value] = default
    return found


def test_every_variable_stands_in_the_readme_with_its_default() -> None:
    table = README.partition("### Environment")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    told = {}
    for row in rows:
        names, defaults = re.findall(r"`([A-Z_]+)`", row[1]), re.findall(r"`([^`]+)`", row[2])
        told |= dict(zip(names, defaults if len(defaults) == len(names) else [row[2]] * len(names), strict=True))
    read = variables()
    assert set(read) - NOT_OURS == set(told)
    for name, default in read.items():
        if isinstance(default, int | float) and not isinstance(default, bool):
            assert told[name] == f"{default:g}" or told[name] == str(default), name


def test_every_command_exists() -> None:
    ours = {name for name, app in get_commands().items() if app == "offline_portal"}
    django = {"migrate", "collectstatic", "check", "shell"}
    for page in PAGES:
        named = set(re.findall(r"manage\.py ([a-z_]+)", page.read_text()))
        assert named <= ours | django, page.name
    targets = set(re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        assert set(re.findall(r"(?:`|^    )make ([a-z0-9]+)", page.read_text(), re.MULTILINE)) <= targets, page.name


def test_the_readme_names_every_vendor_and_the_changelog_this_version() -> None:
    for connector in all_connectors().values():
        assert connector.name in README
    assert re.search(rf"^## {re.escape(VERSION)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_the_map_names_every_folder() -> None:
    folders = {path.name for path in (ROOT / "offline_portal").iterdir() if (path / "__init__.py").exists()}
    named = set(re.findall(r"`offline_portal/(\w+)/`", README))
    assert folders - {"management", "migrations", "access"} == named


def test_what_is_kept_has_its_word() -> None:
    """Models that a person meets; the helpers of storage are explained where they are used."""
    words = (ROOT / "docs" / "words.md").read_text()
    inner = {"DestinationSettings", "DestinationSecret", "RequestCopy", "AnswerCopy", "AuditHead", "Heartbeat",
             "IdempotencyKey", "Wakeup"}  # fmt: skip
    for model in apps.get_app_config("portal").get_models():
        if model.__name__ not in inner:
            spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", model.__name__).capitalize()
            assert re.search(rf"\b{spaced}\b", words), f"{model.__name__} is not in docs/words.md"


def test_the_tests_that_reliability_names_exist() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text()
    known = re.findall(r"def (test_\w+)", "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py")))
    for named in re.findall(r"`[^`]*`", page):
        for name in re.findall(r"\b(test_\w{12,}|…\w+)…?", named):
            part = name.removeprefix("…")
            assert any(part in one for one in known), name


@pytest.fixture
def acme() -> Connector:
    """The vendor in one file, as the README shows it."""
    [code] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict[str, Any] = {"__name__": "acme"}
    exec(code, names)
    return names["Acme"]()


def test_the_vendor_in_one_file_works(acme: Connector) -> None:
    header, *rows = acme.sample
    found = mapping.auto(acme, list(header), [list(row) for row in rows], None, {})
    plan = compile_plan(acme, found, list(header), {}, "UTC")
    good, bad = (plan.check(list(row), None) for row in rows)
    assert good.values == {"order": "A-1", "amount": "49.90"}
    assert [problem["field"] for problem in bad.problems] == ["amount"]
    payloads = [Payload(good.values)]
    request = acme.build(payloads, {"base_url": acme.default_base_url}, {"token": "s3cret"})
    assert (request.method, request.url) == ("POST", "https://api.acme.example/conversions")
    assert json.loads(request.body) == good.values
    assert "s3cret" in request.secret_texts
    assert acme.read(Response(200, {}, b'{"taken": true}'), payloads)[0].accepted
    with pytest.raises(NotUnderstood):
        acme.read(Response(200, {}, b"<html>"), payloads)
