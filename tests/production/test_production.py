"""One portal as in production, from the first start to the restored backup. The tests build on each other, in order."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from connectors import get
from connectors.emulator.testing import Emulator
from offline_portal.sheets import sample_csv
from tests.production.conftest import DATABASE, Api, Production, postgres_programs, started_database, wait_until
from tests.samples import SAMPLES, Sample

WORDS = "four words in a row"
ROWS = 400


def deliver(api: Api, destination: str, filename: str, content: bytes) -> dict[str, Any]:
    """A file through the API, up to the queue."""
    upload = api("POST", "/uploads", files={"file": (filename, content)})
    wait_until(lambda: api("GET", f"/uploads/{upload['id']}")["status"] == "ready")
    send = api("POST", "/sends", {"upload": upload["id"], "destination": destination, "mapping": "auto"})
    wait_until(lambda: api("GET", f"/sends/{send['id']}")["status"] == "checked")
    return api("POST", f"/sends/{send['id']}/queue")


def finished(api: Api, send: dict[str, Any]) -> dict[str, Any]:
    def over() -> Any:
        found = api("GET", f"/sends/{send['id']}")
        return found if found["status"] == "finished" else None

    return wait_until(over, 30)


@pytest.fixture(scope="module")
def scripts(production: Production) -> list[str]:
    """Tokens of an admin and of somebody from marketing ops."""
    people = ["person", "ada", "--role", "admin"], ["person", "olivia", "--role", "ops"]
    return production.commands(*people, ["token", "ada"], ["token", "olivia"])[2:]


@pytest.fixture(scope="module")
def ada(production: Production, scripts: list[str]) -> Api:
    return production.api(scripts[0])


@pytest.fixture(scope="module")
def olivia(production: Production, scripts: list[str]) -> Api:
    return production.api(scripts[1])


def test_nothing_is_left_to_remark(production: Production) -> None:
    said = production.command("check", "--deploy", "--database", "default", "--fail-level", "WARNING")
    assert "no issues" in said


def test_a_missing_key_stops_every_program_in_one_line(production: Production) -> None:
    said = production.command("check", status=2, PORTAL_INDEX_KEY="")
    assert said.count("\n") == 1 and "PORTAL_INDEX_KEY is not set" in said


def test_all_programs_come_up_and_say_so(production: Production) -> None:
    browser = production.browser()

    def healthy() -> Any:
        with suppress(Exception):
            return browser.get("/api/v1/health").status_code == 200

    wait_until(healthy, 30)
    names = [one["name"].split("-")[0] for one in browser.get("/api/v1/health").json()["workers"]]
    assert sorted(names) == ["delivery", "delivery", "intake"]
    for part in ("web", "intake", "delivery", "sweeper"):
        done = subprocess.run(
            [sys.executable, "deploy/healthy.py", part], cwd=production.folder, env=production.environment, timeout=20
        )
        assert done.returncode == 0, part


def test_the_first_admin_comes_in_by_a_link(production: Production) -> None:
    state, link = production.command("person", "adam", "--role", "admin").splitlines()
    assert state == "adam: admin" and link.startswith("https://portal.example.com/account/first-password/")
    browser = production.browser()
    there = browser.get(link.removeprefix("https://portal.example.com")).headers["Location"]
    kept = browser.post(there, new_password1=WORDS, new_password2=WORDS)
    assert (kept.status_code, kept.headers["Location"]) == (302, "/account/login/")
    assert browser.post("/account/login/", login="adam", password=WORDS).status_code == 302
    page = browser.get("/people/")
    assert page.status_code == 200 and "adam" in page.text
    for cookie in ("sessionid", "csrftoken"):
        assert {"secure", "httponly"} < browser.attributes[cookie], browser.attributes
        assert any(one.startswith("samesite=") for one in browser.attributes[cookie])
    assert int(re.findall(r"max-age=(\d+)", page.headers["Strict-Transport-Security"])[0]) >= 365 * 24 * 3600
    assert "unsafe" not in page.headers["Content-Security-Policy"]


def test_static_files_are_named_by_their_content_and_kept_for_good(production: Production) -> None:
    browser = production.browser()
    page = browser.get("/account/login/").text
    files = re.findall(r'(?:href|src)="(/static/[^"#]+)', page)
    assert len(files) >= 5 and all(re.search(r"\.[0-9a-f]{12}\.\w+$", name) for name in files), files
    for name in set(files):
        answer = browser.get(name)
        assert answer.status_code == 200 and "immutable" in answer.headers["Cache-Control"], name
    assert browser.get("/static/css/tokens.css/../../manage.py").status_code == 404


def test_a_stranger_learns_nothing_from_an_error(production: Production) -> None:
    answer = production.browser().get("/nothing/here")
    assert answer.status_code == 404 and "Traceback" not in answer.text and "urlpatterns" not in answer.text
    bare = production.browser()
    bare._http.headers["Host"] = "evil.example.com"
    assert bare.get("/").status_code == 400


def accounts(emulator: Emulator) -> dict[str, tuple[dict[str, Any], dict[str, str]]]:
    """Settings and secrets of a destination at each vendor's stand-in."""
    ftp = emulator.doors()["ftp"]["port"]
    site = {"customer_site_id": "00000000-0000-0000-0000-000000000000", "origin": "https://www.example.com"}
    login = {"username": "portal", "password": "password-of-production"}
    return {
        "kissmetrics": ({}, {"api_key": "key-of-production"}),
        "kameleoon": ({"site_code": "f17c21u1ag", "identifier": "visitorCode"}, {}),
        "related_digital": (
            {"protocol": "ftp", "host": "127.0.0.1", "port": ftp, "path": "/offline", "timezone": "UTC"}, login
        ),
        "qubit": ({"vertical": "ecommerce", "source": "portal@1.0"}, {"tracking_id": "acme"}),
        "tracify": (site, {"token": "token-of-production"}),
    }  # fmt: skip


def test_five_samples_from_terminals_at_once_reach_five_vendors(
    production: Production, ada: Api, olivia: Api, emulator_process: Emulator
) -> None:
    emulator_process.clear()
    for slug, (settings, secrets) in accounts(emulator_process).items():
        if slug != "related_digital":
            settings |= {"rate": 2000, "base_url": emulator_process.base_url(slug)}
        ada("POST", "/destinations", {"name": slug, "connector": slug, "settings": settings, "secrets": secrets})
    with ThreadPoolExecutor(len(SAMPLES)) as terminals:
        sends = list(terminals.map(lambda sample: delivered(production, sample), SAMPLES))
    for sample, send in zip(SAMPLES, sends, strict=True):
        good, bad = sample.good(), len(sample.bad_lines)
        counts = {status: rows for status, rows in send["counts"].items() if rows}
        assert send["status"] == "finished"
        assert counts == {"total": len(sample.rows), "ready": good.total(), "problem": bad, "accepted": good.total()}
        wait_until(lambda: len(emulator_process.ledger(sample.slug)) >= good.total(), 60)  # noqa: B023
        assert sample.held(emulator_process.effective(sample.slug)) == good
        assert sample.held(emulator_process.ledger(sample.slug)) == good, "and nothing else"
        sample.each_bad_row_says_why(olivia("GET", f"/sends/{send['id']}/rows?verdict=problem")["items"])
    assert "holds" in production.command("verify_audit")


def delivered(production: Production, sample: Sample) -> dict[str, Any]:
    """The sample, sent by a command in a terminal of its own; it is 1 because of the bad rows."""
    file = production.folder / f"{sample.slug}.csv"
    file.write_bytes(sample_csv(get(sample.slug)))
    mapped = "--mapping", "auto", "--as", "olivia", "--yes", "--wait", "--json"
    said = production.command("deliver", str(file), "--to", sample.slug, *mapped, status=1)
    return json.loads(said.splitlines()[0])


def test_keys_change_while_workers_send(production: Production, olivia: Api, emulator_process: Emulator) -> None:
    """The web server still encrypts with the old key, the workers have both, and `rotate_secrets` runs in between."""
    both = f"{production.new_key},{production.old_key}"
    place = next(one for one in olivia("GET", "/destinations")["items"] if one["name"] == "kissmetrics")
    emulator_process.clear()
    emulator_process.set("kissmetrics", delay_ms=2000)
    lines = "".join(f"{number}@example.com,Bought,2026-10-01 10:00:00\n" for number in range(ROWS))
    send = deliver(olivia, place["id"], "many.csv", f"Email,Event,Date\n{lines}".encode())
    wait_until(lambda: olivia("GET", f"/sends/{send['id']}")["counts"]["sending"])
    said = production.command("rotate_secrets", PORTAL_ENCRYPTION_KEYS=both)
    stored = sum(len(secrets) for _settings, secrets in accounts(emulator_process).values())
    assert said.startswith(f"{stored} encrypted anew")
    under_way = olivia("GET", f"/sends/{send['id']}")["counts"]
    assert under_way["accepted"] < ROWS, "it must still be sending"
    emulator_process.set("kissmetrics")
    assert finished(olivia, send)["counts"]["accepted"] == ROWS
    assert len(emulator_process.effective("kissmetrics", "key-of-production")) == ROWS
    again, _ = production.commands(
        ["rotate_secrets"], ["check", "--database", "default"], PORTAL_ENCRYPTION_KEYS=production.new_key
    )
    assert again.startswith(f"0 encrypted anew, {stored}")
    refused = production.command("check", "--database", "default", status=1, PORTAL_ENCRYPTION_KEYS=production.old_key)
    assert "portal.E006" in refused


def test_a_restored_backup_holds_and_sends_nothing_by_itself(production: Production, tmp_path: Path) -> None:
    programs = postgres_programs()
    if programs is None:
        pytest.skip("no pg_dump on this machine")
    head, dump = tmp_path / "head.json", tmp_path / "portal.dump"
    head.write_text(production.command("verify_audit", "--json"))
    assert json.loads(head.read_text())["ok"]
    address = production.environment["DATABASE_URL"]
    subprocess.run([programs / "pg_dump", "-Fc", "-f", dump, address], check=True, timeout=30)
    later = tmp_path / "later.json"
    later.write_text(production.commands(["person", "nora", "--role", "auditor"], ["verify_audit", "--json"])[1])
    with started_database(address, f"{DATABASE}_restored") as restored:
        subprocess.run([programs / "pg_restore", "--no-owner", "-d", restored, dump], check=True, timeout=30)
        verify = "verify_audit", "--head"
        verified, gap, paused = production.commands(
            [*verify, str(head)], [*verify, str(later)], ["pause_all", "Restored."], DATABASE_URL=restored
        )
        assert "holds" in verified and f"{len(SAMPLES)} paused" in paused
        assert "does not hold" in gap and gap.endswith("ended with 1")
        production.commands(["sweep"], DATABASE_URL=restored)
        with psycopg.connect(restored) as there:
            noticed = there.execute("SELECT count(*) FROM portal_auditentry WHERE action = 'log.set_back'").fetchone()
        assert noticed == (1,), "the running portal's Redis knows that the log had come further"
        with psycopg.connect(restored) as there, psycopg.connect(address) as here:
            for table in ("portal_delivery", "portal_answer", "portal_row"):
                count = f"SELECT count(*) FROM {table}"
                assert there.execute(count).fetchone() == here.execute(count).fetchone() != (0,)
    secret = b"key-of-production"
    assert secret not in subprocess.run([programs / "pg_dump", address], check=True, capture_output=True).stdout


def test_programs_end_gently_when_told_and_leave_clean_logs(production: Production) -> None:
    begun = time.monotonic()
    codes = production.end()
    assert set(codes.values()) == {0} and time.monotonic() - begun < 15, codes
    logs = production.logs()
    assert "Traceback" not in logs
    for word in ("-of-production", "acme", WORDS, "@example.com", production.old_key, production.new_key):
        assert word not in logs, word
    assert json.loads((production.folder / "staticfiles" / "staticfiles.json").read_text())["paths"]
