"""What was stored of requests, answers and outcomes cannot be changed, taken away or added to without it showing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest
from django.db import transaction

from offline_portal.audit import chain, groups, stored
from offline_portal.models import AnswerCopy, AuditEntry, Outcome, RequestCopy

from .conftest import AT, add_group

Tamper = Callable[..., None]


def test_an_untouched_group_holds(group: list[int]):
    result = chain.verify()
    assert result.ok and result.checked == 2, result.reason


def test_a_stranger_recomputes_a_digest_from_the_documentation(group: list[int]):
    detail = json.loads(AuditEntry.objects.get(seq=2).detail)
    copy = AnswerCopy.objects.get()
    answer = [AT.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), 200, "", "", copy.pk]
    digest = hashlib.sha256(bytes(copy.salt) + (copy.headers + "\n" + copy.body).encode()).hexdigest()
    answers = [[id_, *answer, digest] for id_ in sorted(group)]
    rows = [(id_, id_ * 10 + n) for id_ in sorted(group) for n in range(2)]
    outcomes = [[id_, row, "accepted", "row", "", "Größe 1\tok", f"r{row}"] for id_, row in rows]
    text = json.dumps([answers, outcomes], separators=(",", ":"), ensure_ascii=False)
    assert detail["digest"] == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("statement", "seq", "words"),
    [
        ("UPDATE portal_outcome SET status = 'rejected' WHERE delivery_id = {row}", 2, "was changed"),
        ("UPDATE portal_outcome SET receipt = NULL WHERE delivery_id = {row}", 2, "was changed"),
        ("UPDATE portal_outcome SET message = message || ' ' WHERE delivery_id = {row}", 2, "was changed"),
        ("UPDATE portal_outcome SET attempt_id = 99999 WHERE delivery_id = {row}", 2, "covers 6 outcomes"),
        ("DELETE FROM portal_outcome WHERE delivery_id = {row}", 2, "covers 6 outcomes"),
        ("UPDATE portal_answer SET status = 500 WHERE attempt_id = {id}", 2, "was changed"),
        ("UPDATE portal_answer SET ended_at = '2026-03-01 12:00:01+00' WHERE attempt_id = {id}", 2, "was changed"),
        ("DELETE FROM portal_answer WHERE attempt_id = {id}", 2, "was changed"),
        ("UPDATE portal_attempt SET worker = 'another' WHERE id = {id}", 1, "was changed"),
        ("UPDATE portal_attempt SET deliveries = '[]' WHERE id = {id}", 1, "was changed"),
        ("UPDATE portal_attempt SET deliveries = '{{' WHERE id = {id}", 1, "was changed"),
        ("DELETE FROM portal_attempt WHERE id = {id}", 1, "is gone"),
        ("UPDATE portal_requestcopy SET body = 'milder' WHERE attempt_id = {id}", 1, "stored request of attempt"),
        ("UPDATE portal_requestcopy SET url = url || '?' WHERE attempt_id = {id}", 1, "stored request of attempt"),
        ("UPDATE portal_answercopy SET body = 'OK'", 2, "stored answer to attempt"),
    ],
)
def test_a_change_names_the_entry_that_covers_it(
    group: list[int], tamper: Tamper, statement: str, seq: int, words: str
):
    tamper(statement.format(id=group[1], row=group[1] * 10))
    result = chain.verify()
    assert (result.ok, result.first_bad, result.code) == (False, seq, "outcomes_changed")
    assert words in result.reason


def test_what_was_added_past_the_log_shows(group: list[int]):
    Outcome.objects.create(attempt_id=77777, delivery_id=1, status="accepted")
    result = chain.verify()
    assert (result.ok, result.first_bad, result.code) == (False, None, "not_covered")
    assert "7 outcomes" in result.reason and "6 outcomes" in result.reason


def test_an_outcome_added_to_a_covered_attempt_shows(group: list[int]):
    Outcome.objects.create(attempt_id=group[0], delivery_id=group[0] * 10, status="accepted")
    assert chain.verify().first_bad == 2


def test_of_two_changes_the_first_is_named(group: list[int], tamper: Tamper):
    add_group(1)
    outcome = f"UPDATE portal_outcome SET status = 'rejected' WHERE attempt_id = {group[0]}"
    tamper(outcome, "UPDATE portal_auditentry SET actor = 'x' WHERE seq = 4")
    assert chain.verify().first_bad == 2


def test_an_entry_that_covers_nothing_is_bad(db: None):
    with transaction.atomic():
        chain.add("portal", groups.OUTCOMES, "send:1", {"attempts": []})
    assert chain.verify().first_bad == 1


def test_what_was_erased_is_not_a_change(group: list[int]):
    RequestCopy.objects.filter(attempt=group[0]).delete()
    RequestCopy.objects.filter(attempt=group[1]).update(body=None)
    AnswerCopy.objects.all()._raw_delete("default")
    assert chain.verify().ok


def test_many_groups_are_compared_in_portions(db: None, monkeypatch: pytest.MonkeyPatch, tamper: Tamper):
    monkeypatch.setattr(stored, "_ROWS_AT_ONCE", 7)
    ids = [add_group(2)[0] for _ in range(10)]
    assert chain.verify().ok
    tamper(f"UPDATE portal_outcome SET code = 'x' WHERE delivery_id = {ids[6] * 10}")
    assert chain.verify().first_bad == 14


def test_an_attempt_in_flight_is_covered_before_it_ends(group: list[int]):
    with transaction.atomic():
        row = (900, 1, 1, "w", "1", AT, "[1]", b"d" * 32)
        groups_detail = {"attempts": [900], "digest": groups.digest([row])}
        from offline_portal import bulk
        from offline_portal.models import Attempt

        bulk.insert(Attempt, groups.ATTEMPT, [row])
        chain.add("portal", groups.ATTEMPTS, "send:1", groups_detail)
    assert chain.verify().ok


def test_the_digest_does_not_depend_on_order_or_on_the_database():
    rows = [(2, 1, "a\0b", None, b"\x01"), (1, 9, "", "x", memoryview(b"\x02"))]
    assert groups.digest(rows) == groups.digest(reversed(rows))
    assert groups.digest(rows) == groups.digest([(2, 1, "a\ufffdb", None, b"\x01"), rows[1]])
    assert groups.digest(rows) != groups.digest(rows, [])
