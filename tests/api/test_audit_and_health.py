"""The log as auditors read it, and the health of the parts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from offline_portal.audit import chain
from offline_portal.audit.canonical import entry_hash
from offline_portal.models import AuditEntry
from tests.api.conftest import Caller

pytestmark = pytest.mark.django_db


@pytest.fixture
def entries(callers: dict[str, Caller]) -> None:
    with transaction.atomic():
        chain.add_many(
            (f"person{n % 2}", "send.queued" if n % 3 else "send.paused", f"send:{n}", {"n": n}) for n in range(9)
        )


def test_entries_come_newest_first_in_pages(audrey: Caller, entries: None) -> None:
    seen: list[int] = []
    cursor = ""
    while cursor is not None:
        page = audrey.json("GET", f"/audit?limit=4{cursor and f'&cursor={cursor}'}")
        seen += [entry["seq"] for entry in page["items"]]
        cursor = page["next"]
    assert seen == list(AuditEntry.objects.order_by("-seq").values_list("seq", flat=True))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("actor=person0&limit=100", 5), ("action=send.paused", 3), ("object=send:7", 1), ("action=send", 0),
        ("actor=person1&action=send.queued", 3), ("actor=nobody", 0),
    ],
)  # fmt: skip
def test_filters(audrey: Caller, entries: None, query: str, found: int) -> None:
    assert len(audrey.json("GET", f"/audit?{query}")["items"]) == found


def test_a_span_of_time(audrey: Caller, entries: None) -> None:
    now = timezone.now()
    later, before = (now + timedelta(hours=1)).isoformat(), (now - timedelta(hours=1)).isoformat()
    assert len(audrey.json("GET", "/audit", QUERY_STRING=f"from={quoted(before)}&to={quoted(later)}")["items"]) >= 9
    assert audrey.json("GET", "/audit", QUERY_STRING=f"from={quoted(later)}")["items"] == []
    assert audrey.json("GET", "/audit?to=2020-01-01")["items"] == []


def test_a_reader_can_recompute_the_hash(audrey: Caller, entries: None) -> None:
    from offline_portal.audit.canonical import canonical

    for entry in audrey.json("GET", "/audit?limit=5")["items"]:
        fields = (
            entry["seq"],
            entry["at"],
            entry["actor"],
            entry["action"],
            entry["object"],
            canonical(entry["detail"]),
        )
        assert entry_hash(*fields, entry["previous"]) == entry["hash"]


def test_health_needs_no_token_and_is_503_without_workers(callers: dict[str, Caller]) -> None:
    facts = callers["stranger"].json("GET", "/health", status=503)
    assert set(facts) == {"database", "redis", "workers", "sweeper", "version"}
    assert facts["database"] == "ok" and facts["sweeper"] == {"ok": False, "last_pass": None}


def quoted(moment: str) -> str:
    return moment.replace("+", "%2B")
