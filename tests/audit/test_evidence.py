"""The evidence of a send: all of its story, verified without the portal, and nobody plainly in it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors import get
from offline_portal.audit import evidence
from offline_portal.delivery import control
from offline_portal.models import AuditEntry, Delivery, RequestCopy, Send
from offline_portal.sheets import sample_csv
from tests.audit.packages import change, unpacked, verify
from tests.conftest import Road


def taken(send: Send, folder: Path) -> Path:
    return unpacked(evidence.of_send(send, "audrey"), folder)


@pytest.fixture
def sent(road: Road) -> Send:
    """The sample of Qubit, of which one answer was lost, and then accepted by a person's word."""
    there = road.destination("qubit")
    send = road.deliver(road.check(road.upload(sample_csv(get("qubit"))), there))
    road.emulator.set("qubit", cut="after_storing", times=1)
    text = "Visitor ID,Date,Amount,Currency,Order number\nlost-visitor,2026-11-04 10:00:00,10.00,EUR,LOST-1\n"
    lost = road.deliver(road.check(road.upload(text, "lost.csv"), there))
    control.resolve(Delivery.objects.get(send=lost), "accepted", "seen there", road.olivia)
    send.refresh_from_db()
    return send


@pytest.fixture
def folder(sent: Send, tmp_path: Path) -> Path:
    return taken(sent, tmp_path / "evidence")


def test_it_verifies_itself_and_says_how_much_it_could(sent: Send, folder: Path) -> None:
    code, said = verify(folder)
    assert code == 0, said
    assert f"Send {sent.pk}: 1 requests, 1 answers, 21 outcomes, 1 recomputed, 1 masked, 0 not kept." in said
    rows = list(csv.DictReader((folder / "rows.csv").open(encoding="utf-8", newline="")))
    assert len(rows) == 25 and sum(row["status"] == "accepted" for row in rows) == 21
    assert len({row["digest"] for row in rows if row["digest"]}) == 21
    assert AuditEntry.objects.filter(action="audit.exported", object=f"send:{sent.pk}", actor="audrey").count() == 1


def test_nobody_is_plainly_in_it_nor_can_be_tried(folder: Path) -> None:
    whole = "".join(path.read_text() for path in folder.iterdir())
    for row in get("qubit").sample[1:]:
        assert not row[0] or row[0] not in whole
    salt = bytes(RequestCopy.objects.earliest("attempt").salt).hex()
    assert salt not in whole, "with the salt anybody could try what stands under the mask"


def test_a_persons_word_is_evidence_too(sent: Send, tmp_path: Path) -> None:
    lost = Send.objects.latest("pk")
    folder = taken(lost, tmp_path / "lost")
    assert verify(folder)[0] == 0
    assert '"delivery.resolved"' in (folder / "chain.jsonl").read_text()


def test_a_send_that_never_left_has_a_story_too(road: Road, tmp_path: Path) -> None:
    send = road.check(road.upload(sample_csv(get("qubit"))), road.destination("qubit"))
    assert verify(taken(send, tmp_path / "evidence"))[0] == 0


def test_rows_in_flight_do_not_break_it(road: Road, tmp_path: Path) -> None:
    road.emulator.set("qubit", cut="after_storing")
    send = road.deliver(road.check(road.upload(sample_csv(get("qubit"))), road.destination("qubit")))
    assert send.unknown == 21
    assert verify(taken(send, tmp_path / "evidence"))[0] == 0


CHANGES: list[tuple[str, Callable[[list[Any]], object], str]] = [
    ("attempts.jsonl", lambda lines: lines[0]["attempts"][0].update(worker="another"), "an attempt that entry"),
    ("attempts.jsonl", lambda lines: lines[0]["attempts"].pop(), "covers other attempts"),
    ("attempts.jsonl", lambda lines: lines.pop(), "is missing"),
    ("attempts.jsonl", lambda lines: lines.append(lines[0]), "holds what no entry covers"),
    ("outcomes.jsonl", lambda lines: lines[0]["outcomes"][0].update(receipt="x"), "an answer or an outcome"),
    ("outcomes.jsonl", lambda lines: lines[0]["outcomes"][0].update(status="rejected"), "counts other outcomes"),
    ("outcomes.jsonl", lambda lines: lines[0]["answers"][0].update(status=500), "an answer or an outcome"),
    ("outcomes.jsonl", lambda lines: lines[0]["answers"][0]["copy"].update(body="x"), "the answer to attempt"),
    ("outcomes.jsonl", lambda lines: lines.pop(), "is missing"),
]


@pytest.mark.parametrize(("name", "how", "words"), CHANGES)
def test_it_says_where_it_was_changed(
    folder: Path, name: str, how: Callable[[list[Any]], object], words: str
) -> None:
    change(folder / name, how)
    code, said = verify(folder)
    assert code == 1 and name in said and words in said, said


@pytest.mark.parametrize(
    ("before", "after", "words"), [(",ready,accepted,", ",ready,failed,", "no outcome says so"), ("\n", "\n\n", "rows")]
)
def test_a_row_that_says_something_else_shows(folder: Path, before: str, after: str, words: str) -> None:
    path = folder / "rows.csv"
    path.write_text(path.read_text().replace(before, after, 1))
    code, said = verify(folder)
    assert code == 1 and words in said


def test_without_its_facts_it_does_not_hold(folder: Path) -> None:
    facts = json.loads((folder / "send.json").read_text())
    facts["upload"]["sha256"] = "0" * 64
    (folder / "send.json").write_text(json.dumps(facts, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
    assert verify(folder) == (1, "It does not hold: send.json was changed after it was exported.\n")
    (folder / "send.json").unlink()
    assert verify(folder)[0] == 1
