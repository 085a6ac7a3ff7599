"""The guide to adding a vendor, done: its blocks, put together in a copy of the project, pass the contract test."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from connectors import all_connectors

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "adding-a-vendor.md").read_text()
CODE, CASES = "connectors/bellhook.py", "tests/connectors/bellhook.json"


def blocks() -> dict[str, str]:
    """The files that the guide builds: of each the blocks in their order."""
    found: dict[str, str] = {}
    for name, text in re.findall(r"^```\w+ (\S+)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL):
        found[name] = found.get(name, "") + text
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project in which no vendor has been added yet."""
    vendors = {Path(inspect.getfile(type(connector))).name for connector in all_connectors().values()}
    for name in ("connectors", "offline_portal"):
        left_out = shutil.ignore_patterns("__pycache__", "emulator", *vendors)
        shutil.copytree(ROOT / name, tmp_path / name, ignore=left_out)
    (tmp_path / "tests" / "connectors").mkdir(parents=True)
    for name in ("pyproject.toml", "tests/environment.py", "tests/connectors/test_contract.py"):
        shutil.copy2(ROOT / name, tmp_path / name)
    return tmp_path


def contract(project: Path, files: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The contract test with these files written."""
    for name, text in files.items():
        (project / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "tests/connectors/test_contract.py", "-p", "no:cacheprovider"]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120)


def test_the_guide_builds_a_vendor_that_passes_the_contract_test(project: Path) -> None:
    files = blocks()
    assert set(files) == {CODE, CASES}
    done = contract(project, files)
    assert done.returncode == 0, done.stdout[-6000:]
    assert re.search(r"\d\d passed", done.stdout), done.stdout
    checked = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"), CODE], cwd=project,
        capture_output=True, text=True,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout


def test_the_contract_test_would_find_a_connector_that_guesses(project: Path) -> None:
    files = blocks()
    careless = files[CODE].replace("if stored is True:", "if stored:")
    leaking = careless.replace('sent, body, (secrets["secret"],)', 'sent | {"X-Secret": secrets["secret"]}, body')
    assert files[CODE] != careless != leaking
    done = contract(project, files | {CODE: leaking})
    assert done.returncode == 1
    failed = set(re.findall(r"test_contract\.py::(\w+)", done.stdout))
    assert "test_the_answer_means_exactly_this" in failed
    assert "test_secrets_are_named_so_that_they_can_be_masked" in failed


def test_the_cases_of_the_guide_are_whole() -> None:
    cases = json.loads(blocks()[CASES])
    assert {"settings", "secrets", "build", "read", "check", "keys", "probes", "sample"} <= set(cases)
