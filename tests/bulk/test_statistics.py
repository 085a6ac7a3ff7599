"""PostgreSQL's statistics are always older than the rows that are being sent: no plan may hang on them."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction

from offline_portal import bulk
from offline_portal.bulk_backends import PostgreSQL
from offline_portal.models import Delivery

pytestmark = pytest.mark.django_db
PAST, SENDING = 20_000, 4_000
WIDE = "x" * 1800


@pytest.fixture
def sending() -> list[int]:
    """Deliveries under way, of which the statistics know nothing: they were gathered between two Sends."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite keeps no such statistics")
    fields = ("send_id", "generation", "line", "verdict", "payload", "status")
    with transaction.atomic():
        bulk.insert(Delivery, fields, ((1, 1, line, "ready", WIDE, "accepted") for line in range(PAST)))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE portal_delivery")
    with transaction.atomic():
        bulk.insert(Delivery, fields, ((2, 1, line, "ready", WIDE, "sending") for line in range(SENDING)))
    return list(Delivery.objects.filter(send_id=2).values_list("id", flat=True))


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows, or pairs of rows, each step of each update looked at."""
    steps: list[int] = []

    class Explaining(psycopg.Cursor):
        def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            super().execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", params, **options)
            plan = self.fetchone()[0]
            steps.extend(_steps((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]))
            return self

    monkeypatch.setattr(PostgreSQL, "_cursor", lambda self: Explaining(self.connection.connection))
    return steps


def _steps(plan: dict[str, Any]) -> list[int]:
    removed = sum(plan.get(f"Rows Removed by {what}", 0) for what in ("Filter", "Join Filter"))
    mine = (plan["Actual Rows"] + removed) * plan["Actual Loops"]
    return [mine, *(step for inner in plan.get("Plans", []) for step in _steps(inner))]


def test_each_row_is_looked_for_once(sending: list[int], looked_at: list[int]):
    with transaction.atomic():
        answers = ((pk, "accepted", "row", "200", "taken", f"r{pk}") for pk in sending)
        fields = ("status", "evidence", "code", "message", "receipt")
        bulk.set_each(Delivery, fields, answers, "status = 'sending'")
    assert Delivery.objects.filter(status="sending").count() == 0
    assert max(looked_at) <= 2 * (PAST + SENDING)


def test_rows_are_looked_for_by_their_ids(sending: list[int], looked_at: list[int]):
    with transaction.atomic():
        bulk.set_by_ids(Delivery, {"status": "accepted"}, sending[:50], "status = 'sending'")
    assert Delivery.objects.filter(status="sending").count() == SENDING - 50
    assert max(looked_at) <= 2 * 50
