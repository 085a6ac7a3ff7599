"""Bulk writes: the same results on SQLite and PostgreSQL."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.db.transaction import TransactionManagementError

from offline_portal import bulk
from offline_portal.models import AnswerCopy, Delivery, Heartbeat, IdempotencyKey, Row, SentKey, Token

pytestmark = pytest.mark.django_db
AT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def rows_of(upload: int, lines: range) -> list[tuple]:
    return [(upload, line, f'["cell {line}"]', None) for line in lines]


def insert_rows(lines: range) -> int:
    return bulk.insert(Row, ("upload_id", "line", "cells", "problems"), rows_of(1, lines))


def test_insert_stores_every_row_and_counts():
    assert insert_rows(range(2, 2502)) == 2500
    assert Row.objects.count() == 2500
    row = Row.objects.get(line=7)
    assert (row.upload_id, row.cells, row.problems) == (1, '["cell 7"]', None)


def test_insert_takes_a_generator_and_nothing():
    assert bulk.insert(Row, ("upload_id", "line", "cells"), ((1, n, "[]") for n in range(5))) == 5
    assert bulk.insert(Row, ("upload_id", "line", "cells"), iter(())) == 0


def test_unnamed_columns_get_their_defaults():
    fields = ("send_id", "generation", "line", "verdict", "duplicate_key")
    bulk.insert(Delivery, fields, [(1, 3, 2, "ready", b"\x00" * 16), (1, 3, 3, "problem", None)])
    first, second = Delivery.objects.order_by("line")
    assert (first.evidence, first.part, first.status, first.wire_key) == ("", 0, None, None)
    assert bytes(first.duplicate_key) == b"\x00" * 16
    assert second.duplicate_key is None


def test_constant_defaults_are_written_safely(monkeypatch: pytest.MonkeyPatch):
    answer = IdempotencyKey._meta.get_field("answer")
    monkeypatch.setattr(answer, "default", "it's; --")
    monkeypatch.delattr(answer, "_get_default")
    olivia = User.objects.create(username="olivia")
    bulk.insert(IdempotencyKey, ("user_id", "key", "call", "body_digest"), [(olivia.id, "k", "c", "d")])
    found = IdempotencyKey.objects.get()
    assert (found.answer, found.status) == ("it's; --", None)
    assert datetime.now(UTC) - found.created_at < timedelta(minutes=1)


def test_a_column_without_default_must_be_named():
    with pytest.raises(ValueError, match=r"Delivery\.line"):
        bulk.insert(Delivery, ("send_id", "verdict"), [(1, "ready")])


def test_moments_and_json_are_translated():
    local = AT.astimezone(timezone(timedelta(hours=5)))
    bulk.insert(Heartbeat, ("name", "at", "detail"), [("a", local, {"n": [1, None]}), ("b", AT, {})])
    a, b = Heartbeat.objects.order_by("name")
    assert a.at == b.at == AT
    assert a.detail == {"n": [1, None]}


def test_odd_text_survives():
    texts = ['"', "\\", "\\N", "a\tb\nc\rd", "\u2028", "𝕏", "", "\\.", "1'2"]
    bulk.insert(Row, ("upload_id", "line", "cells"), [(1, n, text) for n, text in enumerate(texts)])
    assert list(Row.objects.order_by("line").values_list("cells", flat=True)) == texts


def test_nul_in_text_does_not_break_a_write():
    fields = ("salt", "headers", "body", "size")
    bulk.insert(AnswerCopy, fields, [(b"\0" * 16, "{}", "a\0b", 3)])
    expected = "a\ufffdb" if connection.vendor == "postgresql" else "a\0b"
    assert AnswerCopy.objects.get().body == expected


def test_a_broken_rule_is_djangos_error_and_leaves_nothing():
    with pytest.raises(IntegrityError), transaction.atomic():
        bulk.insert(Row, ("upload_id", "line", "cells"), [(1, 1, "[]"), (1, 1, "[]")])
    assert Row.objects.count() == 0


def test_insert_ignoring_counts_what_was_really_inserted():
    fields = ("destination_id", "key", "delivery_id", "forced")
    first = [(1, bytes([n] * 16), n, False) for n in range(10)]
    assert bulk.insert_ignoring(SentKey, fields, first) == 10
    again = [(1, bytes([n] * 16), 100 + n, False) for n in range(5, 15)]
    assert bulk.insert_ignoring(SentKey, fields, again) == 5
    assert bulk.insert_ignoring(SentKey, fields, again) == 0
    late = SentKey.objects.filter(delivery_id__gte=100).values_list("delivery_id", flat=True)
    assert set(late) == set(range(110, 115))
    assert bulk.insert_ignoring(SentKey, fields, [(1, bytes([3] * 16), 7, True)]) == 1


def test_insert_ignoring_ignores_nothing_but_uniqueness():
    with pytest.raises(IntegrityError), transaction.atomic():
        bulk.insert_ignoring(SentKey, ("destination_id", "key", "delivery_id"), [(None, b"k", 1)])


def test_insert_ignoring_within_one_call():
    same = [(1, b"k" * 16, n, False) for n in range(3)]
    assert bulk.insert_ignoring(SentKey, ("destination_id", "key", "delivery_id", "forced"), same) == 1
    assert SentKey.objects.get().delivery_id == 0


def test_next_ids_are_used_by_nobody_else():
    fields = ("id", "send_id", "line", "verdict")
    ids = bulk.next_ids(Delivery, 100)
    assert len(set(ids)) == 100 and list(ids) == sorted(ids)
    bulk.insert(Delivery, fields, [(id_, 1, n, "ready") for n, id_ in enumerate(ids)])
    own = Delivery.objects.create(send_id=1, line=1000, verdict="ready")
    assert own.id > max(ids)
    more = bulk.next_ids(Delivery, 3)
    assert min(more) > own.id
    assert Delivery.objects.create(send_id=1, line=1001, verdict="ready").id > max(more)
    assert list(bulk.next_ids(Delivery, 0)) == []


def test_next_ids_heed_rows_that_were_inserted_with_their_ids():
    if connection.vendor != "sqlite":
        pytest.skip("a PostgreSQL sequence knows only what it gave out")
    Delivery.objects.create(id=5000, send_id=1, line=1, verdict="ready")
    assert bulk.next_ids(Delivery, 2) == range(5001, 5003)


@pytest.fixture
def deliveries() -> list[int]:
    ids = bulk.next_ids(Delivery, 3000)
    fields = ("id", "send_id", "line", "verdict", "status")
    bulk.insert(Delivery, fields, [(id_, 1, id_, "ready", "queued") for id_ in ids])
    return list(ids)


def test_set_by_ids_changes_only_what_still_fits(deliveries: list[int]):
    queued = ("status = %s", ("queued",))
    assert bulk.set_by_ids(Delivery, {"status": "sending", "batch_id": 4}, deliveries[:1500], *queued) == 1500
    assert bulk.set_by_ids(Delivery, {"status": "failed"}, deliveries, *queued) == 1500
    assert Delivery.objects.filter(status="sending", batch_id=4).count() == 1500
    assert bulk.set_by_ids(Delivery, {"status": "failed"}, []) == 0


def test_set_by_ids_with_an_expression(deliveries: list[int]):
    assignments = {"tries": bulk.Sql("tries + 1"), "receipt": None, "code": "x"}
    assert bulk.set_by_ids(Delivery, assignments, deliveries[:2]) == 2
    assert bulk.set_by_ids(Delivery, {"tries": bulk.Sql("tries + 1")}, deliveries[:1]) == 1
    found = Delivery.objects.order_by("id").values_list("tries", "code")[:3]
    assert list(found) == [(2, "x"), (1, "x"), (0, "")]


def test_set_each_gives_each_row_its_own_values(deliveries: list[int]):
    rows = [(i, "accepted", f"receipt {i}" if i % 2 else None, b"k%15d" % i) for i in deliveries]
    fields = ("status", "receipt", "duplicate_key")
    assert bulk.set_each(Delivery, fields, iter(rows), "status = %s", ("queued",)) == 3000
    for delivery in Delivery.objects.filter(id__in=deliveries[:4]):
        assert delivery.receipt == (f"receipt {delivery.id}" if delivery.id % 2 else None)
        assert bytes(delivery.duplicate_key) == b"k%15d" % delivery.id
    assert bulk.set_each(Delivery, fields, rows, "status = %s", ("queued",)) == 0
    assert bulk.set_each(Delivery, fields, []) == 0


def test_moments_in_updates():
    olivia = User.objects.create(username="olivia")
    token = Token.objects.create(user=olivia, digest="d", hint="h")
    assert bulk.set_by_ids(Token, {"last_used_at": AT}, [token.id]) == 1
    assert bulk.set_each(Token, ("revoked_at",), [(token.id, AT + timedelta(seconds=9))]) == 1
    token.refresh_from_db()
    assert (token.last_used_at, token.revoked_at) == (AT, AT + timedelta(seconds=9))


@pytest.mark.django_db(transaction=True)
def test_nothing_is_written_outside_a_transaction():
    with pytest.raises(TransactionManagementError):
        insert_rows(range(1))


@pytest.mark.skipif(not os.environ.get("DATABASE_URL"), reason="needs PostgreSQL")
def test_runs_on_the_database_that_was_asked_for():
    assert connection.vendor == "postgresql"


@pytest.mark.parametrize("rows", [1, 49, 50, 51, 99, 100, 101])
def test_rows_that_share_a_statement_all_arrive_in_order(rows: int):
    fields = ("id", "upload_id", "line", "cells", "problems")
    with transaction.atomic():
        ids = bulk.next_ids(Row, rows)
        given = [(pk, 1, line, f'["{line}"]', None if line % 2 else "[]") for line, pk in enumerate(ids, start=2)]
        assert bulk.insert(Row, fields, given) == rows
    assert list(Row.objects.order_by("line").values_list(*fields)) == given
