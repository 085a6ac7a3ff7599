"""A destination with a long past: what sending a million rows leaves behind, written at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction

from offline_portal import bulk
from offline_portal.audit.keys import duplicate_digester
from offline_portal.models import Delivery, Send, SentKey, Upload
from tests.bench.portal import Portal

_KIND = "ecBasketTransactionSummary"
_AT_ONCE = 50_000


def give_past(portal: Portal, destination: Any, rows: int, orders: Sequence[str]) -> None:
    """Let `rows` deliveries have been accepted at `destination`, those of the order numbers `orders` among them."""
    upload = Upload.objects.create(
        filename="past.csv", sha256="0" * 64, bytes=1, file="none", format="csv", status="ready", rows=rows,
        created_by=portal.olivia,
    )
    send = Send.objects.create(
        upload=upload, destination=destination, settings_version=destination.current, created_by=portal.olivia,
        status="finished", generation=1, total=rows, ready=rows, accepted=rows,
    )
    names = [*orders, *(f"past-{number}" for number in range(rows - len(orders)))]
    for start in range(0, rows, _AT_ONCE):
        _deliver(send, start + 2, names[start : start + _AT_ONCE])
    assert Delivery.objects.filter(send=send).count() == SentKey.objects.filter(destination=destination).count() == rows
    with connection.cursor() as cursor:
        # What SQLite's owner, or PostgreSQL's autovacuum, has done by the time that a past is so long.
        cursor.execute("ANALYZE")


def _deliver(send: Send, first_line: int, names: Sequence[str]) -> None:
    with transaction.atomic():
        ids = bulk.next_ids(Delivery, len(names))
        digest = duplicate_digester()
        keys = [digest([_KIND, name]) for name in names]
        bulk.insert(
            Delivery,
            ("id", "send_id", "generation", "line", "verdict", "payload", "duplicate_key", "status", "wire_key"),
            (
                (number, send.pk, 1, line, "ready", f'{{"transaction_id":"{name}"}}', key, "accepted", name)
                for line, (number, name, key) in enumerate(zip(ids, names, keys, strict=True), start=first_line)
            ),
        )
        bulk.insert(
            SentKey, ("destination_id", "key", "delivery_id", "forced"),
            ((send.destination_id, key, number, False) for number, key in zip(ids, keys, strict=True)),
        )
