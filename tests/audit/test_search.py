"""An auditor finds a row by what they have in hand, page by page."""

from __future__ import annotations

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from connectors import all_connectors
from connectors.base import Connector
from offline_portal import bulk
from offline_portal.audit import keys, search
from offline_portal.audit.search import BadCursor, find
from offline_portal.models import Delivery, Destination, Identifier, Send, Upload


def add_send(filename: str, lines: int, identifiers: dict[int, list[str]] | None = None, queued: bool = True) -> Send:
    """A queued Send of `lines` lines from line 2 on; `identifiers` by line."""
    olivia, _ = User.objects.get_or_create(username="olivia")
    destination, _ = Destination.objects.get_or_create(name="Shop", connector="qubit")
    upload = Upload.objects.create(filename=filename, sha256="0", bytes=1, format="csv", created_by=olivia)
    send = Send.objects.create(
        upload=upload, destination=destination, created_by=olivia, generation=2,
        queued_at=timezone.now() if queued else None,
    )  # fmt: skip
    ids = bulk.next_ids(Delivery, lines)
    status = "queued" if queued else None
    fields = ("id", "send_id", "generation", "line", "verdict", "status", "receipt")
    rows = [(pk, send.pk, 2, line, "ready", status, f"R{pk}") for line, pk in enumerate(ids, 2)]
    bulk.insert(Delivery, fields, rows)
    of_line = dict(enumerate(ids, 2))
    digests = [(search.digest(t), of_line[line]) for line, texts in (identifiers or {}).items() for t in texts]
    bulk.insert(Identifier, ("digest", "delivery_id"), digests)
    return send


def places(found: search.Found) -> list[tuple[str, int]]:
    return [(delivery.send.upload.filename, delivery.line) for delivery in found.deliveries]


@pytest.fixture
def sends(db: None) -> tuple[Send, Send]:
    first = add_send("Orders März.csv", 5, {3: ["O-1", "bob@bob.com"], 4: ["O-2", "bob@bob.com"]})
    return first, add_send("other.xlsx", 4, {2: ["O-1"], 5: ["Bob@Bob.com ", "x  y"]})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("O-1", [("other.xlsx", 2), ("Orders März.csv", 3)]),
        (" o-1 ", [("other.xlsx", 2), ("Orders März.csv", 3)]),
        ("BOB@bob.COM", [("other.xlsx", 5), ("Orders März.csv", 4), ("Orders März.csv", 3)]),
        ("X y", [("other.xlsx", 5)]),
        ("O-", []),
        ("", []),
        ("line 4", [("other.xlsx", 4), ("Orders März.csv", 4)]),
        ("Line 6", [("Orders März.csv", 6)]),
        ("other.xlsx line 6", []),
        ("orders märz.csv, line 6", [("Orders März.csv", 6)]),
        ("OTHER", [("other.xlsx", 5), ("other.xlsx", 4), ("other.xlsx", 3), ("other.xlsx", 2)]),
    ],
)
def test_what_is_found(sends: tuple[Send, Send], text: str, expected: list[tuple[str, int]]):
    assert places(find(text)) == expected


def test_a_receipt_finds_its_row(sends: tuple[Send, Send]):
    delivery = Delivery.objects.get(send=sends[0], line=3)
    assert places(find(f" R{delivery.pk} ")) == [("Orders März.csv", 3)]
    assert find(f"r{delivery.pk}").deliveries == []


def test_a_row_that_carries_the_same_text_twice_comes_once(db: None):
    send = add_send("a.csv", 1, {2: ["R", "R"]})
    Delivery.objects.filter(send=send).update(receipt="R")
    assert places(find("R")) == [("a.csv", 2)]


def test_a_row_is_found_by_what_its_payload_holds_a_hash_of(db: None, monkeypatch: pytest.MonkeyPatch):
    class Hashing(Connector):
        def search_forms(self, text: str) -> list[str]:
            return [f"hash of {text}", f"hash of {text.lower()}"]

    add_send("a.csv", 3, {2: ["hash of bob"], 3: ["hash of Bob", "Bob"]})
    assert places(find("Bobby")) == []
    monkeypatch.setattr(search, "all_connectors", lambda: {"one": Connector(), "other": Hashing()})
    assert places(find("Bob")) == [("a.csv", 3), ("a.csv", 2)]
    first = find("Bob", limit=1)
    assert places(first) == [("a.csv", 3)] and places(find("Bob", 1, first.next)) == [("a.csv", 2)]


def test_what_was_never_queued_is_not_found(db: None):
    add_send("draft.csv", 3, queued=False)
    assert find("line 2").deliveries == find("draft").deliveries == []


@pytest.mark.parametrize("text", ["same@person.com", "line 3", "file"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_show_everything_once(db: None, text: str, limit: int):
    for number in range(3):
        add_send(f"file{number}.csv", 3, {line: ["same@person.com"] for line in (2, 3, 4)})
    seen, cursor = [], None
    while True:
        found = find(text, limit, cursor)
        assert len(found.deliveries) <= limit
        seen += [delivery.pk for delivery in found.deliveries]
        if (cursor := found.next) is None:
            break
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) == (3 if text == "line 3" else 9)


@pytest.mark.parametrize("cursor", ["", "x", "id", "id.x", "id.1.2", "file.1", "id.-1", "id." + "9" * 30])
def test_a_foreign_cursor_is_refused(db: None, cursor: str):
    with pytest.raises(BadCursor):
        find("O-1", cursor=cursor)


def test_a_page_costs_a_fixed_number_of_queries(sends: tuple[Send, Send]):
    with CaptureQueriesContext(connection) as queries:
        for delivery in find("bob@bob.com").deliveries:
            assert delivery.send.upload.filename and delivery.send.destination
    hidden = {form for connector in all_connectors().values() for form in connector.search_forms("bob@bob.com")}
    assert len(queries) == 3 + len(hidden)
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {queries.captured_queries[0]['sql']}")
            assert "identifier_search" in str(cursor.fetchall())


def test_digests_are_keyed(settings: LazySettings):
    before = search.digest("bob@bob.com"), keys.duplicate_digester()(["a", {"b": 1}])
    settings.PORTAL_INDEX_KEY = "another key of more than thirty-two characters"
    after = search.digest("bob@bob.com"), keys.duplicate_digester()(["a", {"b": 1}])
    assert all(len(digest) == 16 for digest in before + after)
    assert len(set(before + after)) == 4


def test_the_same_parts_give_the_same_duplicate_key():
    same = keys.duplicate_digester()(["a", {"x": 1, "y": "2"}])
    assert keys.duplicate_digester()(("a", {"y": "2", "x": 1})) == same
    assert keys.duplicate_digester()(["a", {"x": "1", "y": "2"}]) != same
    assert keys.duplicate_digester()(["ab", "c"]) != keys.duplicate_digester()(["a", "bc"])
    assert search.digest("a") != keys.keyed("duplicate", "a")
