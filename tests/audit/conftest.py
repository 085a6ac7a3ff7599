"""A small, whole log to tamper with."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.db import connection, transaction

from offline_portal import bulk
from offline_portal.audit import chain, groups, triggers
from offline_portal.models import Answer, AnswerCopy, Attempt, AuditEntry, Outcome, RequestCopy

AT = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)
HEADERS = '{"User-Agent": "Portal"}'


@pytest.fixture
def log(db: None) -> None:
    """Nine entries."""
    with transaction.atomic():
        for number in range(1, 10):
            chain.add("olivia", "send.queued", f"send:{number}", {"rows": number, "file": "Käufe.csv"})


@pytest.fixture
def tamper(db: None) -> Callable[..., None]:
    """Run SQL as somebody who owns the database: the triggers do not stop them."""

    def run(*statements: str) -> None:
        triggers.remove()
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        triggers.install()

    return run


@pytest.fixture
def group(db: None) -> list[int]:
    """Three requests of two rows each, answered and on record: entry 1 and 2. Ids of the attempts."""
    return add_group(3)


def add_group(count: int, deliveries_each: int = 2) -> list[int]:
    """Requests as delivery stores them, with their two audit entries."""
    with transaction.atomic():
        ids = list(bulk.next_ids(Attempt, count))
        attempts, copies, answers, outcomes = [], [], [], []
        salt = os.urandom(16)
        copy = bulk.next_ids(AnswerCopy, 1)[0]
        answer_digest = groups.salted(salt, groups.answer_text("{}", "GIF89a"))
        for id_ in ids:
            rows = list(range(id_ * 10, id_ * 10 + deliveries_each))
            request = ("POST", f"https://v.example/{id_}", HEADERS, f"body {id_}")
            request_digest = groups.salted(salt, groups.request_text(*request))
            attempts.append((id_, 1, 1, "worker", "1.0", AT, str(rows), request_digest))
            copies.append((id_, salt, *request, 6))
            answers.append((id_, AT, 200, "", "", copy, answer_digest))
            outcomes += [(id_, row, "accepted", "row", "", "Größe 1\tok", f"r{row}") for row in rows]
        bulk.insert(Attempt, groups.ATTEMPT, attempts)
        bulk.insert(RequestCopy, ("attempt_id", "salt", "method", "url", "headers", "body", "size"), copies)
        columns = ("id", "salt", "headers", "body", "truncated", "size")
        bulk.insert(AnswerCopy, columns, [(copy, salt, "{}", "GIF89a", False, 6)])
        bulk.insert(Answer, groups.ANSWER, answers)
        bulk.insert(Outcome, groups.OUTCOME, reversed(outcomes))
        counts = {"accepted": len(outcomes)}
        chain.add_many(
            [
                ("portal", groups.ATTEMPTS, "send:1", {"attempts": ids, "digest": groups.digest(attempts)}),
                ("portal", groups.OUTCOMES, "send:1",
                 {"attempts": ids, "outcomes": counts, "digest": groups.digest(answers, outcomes)}),
            ]
        )  # fmt: skip
    return ids


def entries() -> list[AuditEntry]:
    return list(AuditEntry.objects.order_by("seq"))
