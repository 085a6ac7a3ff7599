"""The main job from a second terminal, beside a real run: file in, rows at the vendor, a summary that adds up."""

from __future__ import annotations

import json
import os
import pty
import re
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.emulator.testing import Emulator
from tests.embedded.conftest import ROOT, free_ports, wait_until
from tests.embedded.runs import Run
from tests.samples import SAMPLES, Sample

TO = "KISSmetrics (training)"
HEADER = "Email,Event,Date\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    run = Run(tmp_path_factory.mktemp("portal"), *free_ports(2))
    run.start()
    assert wait_until(run.is_up, 60), run.health()
    yield run
    run.end()


@pytest.fixture(scope="module")
def token(run: Run) -> str:
    done = run.command("token", "olivia")
    assert done.returncode == 0
    return done.stdout.strip()


def asked(run: Run, path: str, token: str) -> Any:
    """What the API answers, which must be 200."""
    address = f"http://127.0.0.1:{run.port}/api/v1{path}"
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200
        return json.load(answer)


@pytest.fixture
def sheet(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Three good rows that no other test sends."""
    path = tmp_path / "sales.csv"
    rows = (f"{number}-{request.node.name}@example.com,Bought,2026-01-0{number}\n" for number in (1, 2, 3))
    path.write_text(HEADER + "".join(rows))
    return path


def stored(run: Run) -> int:
    """Conversions in the emulator's ledger."""
    return len(json.loads(run.get(run.emulator_port, "/ledger.json?limit=10000")[1])["items"])


def numbers(said: str) -> dict[str, int]:
    """The summary's numbers by their word."""
    return {word: int(count) for word, count in re.findall(r"^  ([a-z ]+?) {2,}(\d+)", said, re.MULTILINE)}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.slug)
def test_a_sample_goes_to_the_vendor_and_each_bad_row_is_told(run: Run, token: str, sample: Sample) -> None:
    vendors = Emulator(f"http://127.0.0.1:{run.emulator_port}")
    file = str(run.folder / "samples" / f"{sample.slug}.csv")
    done = run.command("deliver", file, "--to", sample.destination, "--mapping", "auto", "--yes", "--wait")
    counts = numbers(done.stdout)
    assert done.returncode == 1, "rows with problems need a person"
    good = sample.good()
    assert counts == {"accepted": good.total(), "problem": len(sample.bad_lines), "in all": len(sample.rows)}
    assert "Traceback" not in done.stderr
    assert wait_until(lambda: len(vendors.ledger(sample.slug)) >= good.total(), 60)
    assert sample.held(vendors.ledger(sample.slug)) == sample.held(vendors.effective(sample.slug)) == good
    place = re.search(rf"http://localhost:{run.port}/sends/(\d+)", done.stdout)
    assert place
    sample.each_bad_row_says_why(asked(run, f"/sends/{place[1]}/rows?verdict=problem", token)["items"])


def test_when_all_is_accepted_it_is_0_and_the_json_says_so(run: Run, sheet: Path) -> None:
    done = run.command("deliver", str(sheet), "--to", TO.upper(), "--as", "oscar", "--yes", "--wait", "--json")
    assert done.returncode == 0, done.stderr
    send = json.loads(done.stdout)
    assert send["status"] == "finished"
    assert send["counts"]["accepted"] == send["counts"]["total"] == 3
    assert send["created_by"] == "oscar"


def test_without_waiting_it_is_queued(run: Run, sheet: Path) -> None:
    with sqlite3.connect(run.folder / "portal.sqlite3") as database:
        (number,) = database.execute("SELECT id FROM portal_destination WHERE name = ?", [TO]).fetchone()
    done = run.command("deliver", str(sheet), "--to", str(number), "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] in ("queueing", "queued", "sending", "finished")


def test_rows_that_were_sent_before_are_told_and_sent_only_when_asked(run: Run, sheet: Path) -> None:
    assert run.command("deliver", str(sheet), "--to", TO, "--yes", "--wait").returncode == 0
    again = run.command("deliver", str(sheet), "--to", TO, "--yes", "--wait")
    assert again.returncode == 1
    assert numbers(again.stdout) == {"duplicate": 3, "in all": 3}
    assert again.stderr.splitlines()[-1].startswith("No row is ready to be sent.")
    before = stored(run)
    all_the_same = run.command("deliver", str(sheet), "--to", TO, "--duplicates", "send", "--yes", "--wait")
    assert all_the_same.returncode == 0
    assert stored(run) == before + 3


def test_where_an_approval_is_demanded_it_says_so_and_is_1(run: Run, sheet: Path) -> None:
    demanded = "UPDATE portal_destination SET require_approval = ? WHERE name = ?"
    before = stored(run)
    with sqlite3.connect(run.folder / "portal.sqlite3") as database:
        database.execute(demanded, [True, TO])
    try:
        for more in ((), ("--wait",), ("--wait", "--json")):
            done = run.command("deliver", str(sheet), "--to", TO, "--yes", *more)
            assert done.returncode == 1
            assert f"Nothing has left yet: “{TO}” demands that somebody else" in done.stderr.splitlines()[-1]
        assert json.loads(done.stdout)["status"] == "awaiting_approval"
    finally:
        with sqlite3.connect(run.folder / "portal.sqlite3") as database:
            database.execute(demanded, [False, TO])
    assert stored(run) == before


def test_wrong_use_is_2_and_one_line(run: Run, sheet: Path) -> None:
    done = run.command("deliver", str(sheet), "--to", TO)
    assert done.returncode == 2
    assert done.stderr == "Nobody can be asked here: add --yes to send without asking.\n"


@pytest.mark.parametrize(("answer", "sent"), [("n", 0), ("y", 3)])
def test_on_a_terminal_it_asks_and_draws_a_bar(run: Run, sheet: Path, answer: str, sent: int) -> None:
    before = stored(run)
    said, code = _on_a_terminal(run, answer, str(sheet), "--to", TO, "--wait")
    assert "Send 3 rows to “KISSmetrics (training)” (test)? [y/N]" in said
    assert code == (0 if sent else 1)
    assert stored(run) == before + sent
    assert ("\r\033[KSending    [########################] 3 of 3 rows" in said) == bool(sent)


def _on_a_terminal(run: Run, answer: str, *arguments: str) -> tuple[str, int]:
    ours, theirs = pty.openpty()
    own = {"PORTAL_DATA": str(run.folder), "PORTAL_DEMO": "1", "REDIS_URL": "", "DATABASE_URL": ""}
    environment = {**os.environ, **own}
    command = [sys.executable, "manage.py", "deliver", *arguments]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as program:
        os.close(theirs)
        said = b""
        try:
            while block := os.read(ours, 4096):
                said += block
                if b"[y/N]" in block:
                    os.write(ours, answer.encode() + b"\n")
        except OSError:
            pass
    os.close(ours)
    return said.decode(), program.returncode


def test_a_token_opens_the_api_and_a_stranger_gets_none(run: Run, token: str) -> None:
    assert "items" in asked(run, "/sends", token)
    refused = run.command("token", "nobody")
    assert (refused.returncode, refused.stderr) == (2, "There is no person named 'nobody'.\n")


def test_the_other_commands_beside_it(run: Run) -> None:
    assert run.command("sweep").returncode == 0
    taken = run.command("emulator")
    assert taken.returncode == 2
    assert taken.stderr.startswith(f"Cannot listen on 127.0.0.1:{run.emulator_port}: ")
    assert run.command("worker", "everything").returncode == 2


def test_health_names_each_worker(run: Run) -> None:
    facts: dict[str, Any] = run.health()
    assert {worker["name"].partition("-")[0] for worker in facts["workers"]} == {"intake", "delivery"}
    assert all(worker["pid"] in run.programs().values() for worker in facts["workers"])
