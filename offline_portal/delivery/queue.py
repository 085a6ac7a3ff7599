"""From a checked Send to Batches that workers may claim: wire keys, claims on duplicates, identifiers."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

import connectors
from connectors.base import Connector
from offline_portal import bulk, claims
from offline_portal.audit import chain
from offline_portal.audit.search import digest
from offline_portal.collector import looking_between
from offline_portal.delivery import batches
from offline_portal.delivery.counting import finish_if_over
from offline_portal.models import Batch, Delivery, Destination, Identifier, Send, SentKey
from offline_portal.wake import wake

CHUNK = 10_000


class Waiting(NamedTuple):
    """A ready Delivery that has no Batch yet."""

    id: int
    line: int
    payload: str
    duplicate_key: bytes


def run(send_id: int) -> None:
    """Worker: make Batches in resumable chunks, then flip the Send to `queued` in one last transaction."""
    fence = claims.take(Send, send_id, status=Send.Status.QUEUEING)
    if fence is None:
        return
    send = Send.objects.select_related("destination", "settings_version").get(pk=send_id)
    connector = connectors.get(send.destination.connector)  # type: ignore[union-attr]
    try:
        for chunk in looking_between(iter(partial(_next_chunk, send), [])):
            with transaction.atomic():
                _queue_chunk(send, fence, connector, chunk)
        _flip(send, fence)
    except claims.ClaimLost:
        return


def _next_chunk(send: Send) -> list[Waiting]:
    found = Delivery.objects.filter(
        send=send.pk, generation=send.generation, verdict="ready", line__gt=send.reached_line
    ).order_by("line").values_list("pk", "line", "payload", "duplicate_key")[:CHUNK]
    return [Waiting(pk, line, payload, bytes(key)) for pk, line, payload, key in found]


def _queue_chunk(send: Send, fence: int, connector: Connector, chunk: list[Waiting]) -> None:
    lost = _claim_keys(send, chunk)
    claims.keep(
        Send, send.pk, fence, reached_line=chunk[-1].line,
        ready=F("ready") - len(lost), duplicate=F("duplicate") + len(lost),
    )
    kept = [waiting for waiting in chunk if waiting.id not in lost]
    values = {waiting.id: json.loads(waiting.payload) for waiting in kept}
    _set_wire_keys(connector, values)
    bulk.insert(Identifier, ("digest", "delivery_id"), _identifiers(connector, values))
    _fill_batches(send, connector, kept)
    send.reached_line = chunk[-1].line


def _claim_keys(send: Send, chunk: list[Waiting]) -> set[int]:
    """Claim the duplicate keys; the ids of the rows that lost a race to another Send, now `duplicate`."""
    rows = sorted((waiting.duplicate_key, waiting.id) for waiting in chunk)
    fields = ("destination_id", "key", "delivery_id", "forced")
    claimed = bulk.insert_ignoring(SentKey, fields, ((send.destination_id, key, pk, False) for key, pk in rows))
    if claimed == len(chunk):
        return set()
    lost = _losers(send, chunk)
    if send.duplicates == "send":
        by_id = {waiting.id: waiting.duplicate_key for waiting in chunk}
        bulk.insert(SentKey, fields, ((send.destination_id, by_id[pk], pk, True) for pk in lost))
        return set()
    bulk.set_each(Delivery, ("verdict", "duplicate_of"), ((pk, "duplicate", first) for pk, first in lost.items()))
    return set(lost)


def _losers(send: Send, chunk: list[Waiting]) -> dict[int, int]:
    """{delivery: the delivery that holds its key} for those of the chunk whose key another one holds."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT d.id, s.delivery_id FROM portal_delivery d JOIN portal_sentkey s"
            " ON s.destination_id = %s AND s.key = d.duplicate_key AND NOT s.forced"
            " WHERE d.send_id = %s AND d.generation = %s AND d.verdict = 'ready'"
            " AND d.line BETWEEN %s AND %s AND s.delivery_id <> d.id",
            [send.destination_id, send.pk, send.generation, chunk[0].line, chunk[-1].line],
        )
        return dict(cursor.fetchall())


def _set_wire_keys(connector: Connector, values: dict[int, dict[str, Any]]) -> None:
    keys = ((pk, connector.wire_key(row, _random_digits)) for pk, row in values.items())
    bulk.set_each(Delivery, ("wire_key",), ((pk, key) for pk, key in keys if key is not None))


def _random_digits(count: int) -> str:
    return secrets.token_hex((count + 1) // 2)[:count]


def _identifiers(connector: Connector, values: dict[int, dict[str, Any]]) -> Iterator[tuple[bytes, int]]:
    for pk, row in values.items():
        for found in {digest(text) for _kind, text in connector.identifiers(row)}:
            yield found, pk


def _fill_batches(send: Send, connector: Connector, rows: Sequence[Waiting]) -> None:
    """Put rows into Batches in order of line, topping up the last one first."""
    position = 0
    last = Batch.objects.filter(send=send.pk).order_by("-number").first()
    while position < len(rows):
        if last is None or last.rows >= connector.rows_a_batch:
            last = batches.make(send, last.number + 1 if last else 1)
        part = rows[position : position + connector.rows_a_batch - last.rows]
        Delivery.objects.filter(
            send=send.pk, generation=send.generation, verdict="ready", line__gte=part[0].line, line__lte=part[-1].line
        ).update(status=Delivery.Status.QUEUED, batch=last)
        last.rows += len(part)
        last.save(update_fields=["rows"])
        position += len(part)


def _flip(send: Send, fence: int) -> None:
    """Everything is in its place: from here on workers may claim its Batches."""
    with transaction.atomic():
        now = timezone.now()
        # Held, or somebody might open it in this moment, and this Send would stand still for ever.
        where = Destination.objects.select_for_update().get(pk=send.destination_id)
        # While it is queueing only a person who paused it gives a Send a reason.
        paused_by_hand = Send.objects.select_for_update().values_list("reason", flat=True).get(pk=send.pk)
        reason = paused_by_hand or (where.reason if where.paused else "")
        status = Send.Status.PAUSED if paused_by_hand or where.paused else Send.Status.QUEUED
        held = where.paused and not paused_by_hand
        if not claims.give_back(
            Send, send.pk, fence, status=status, reason=reason, held=held, queued=F("ready"), queued_at=now
        ):
            raise claims.ClaimLost
        ready = Send.objects.values_list("ready", flat=True).get(pk=send.pk)
        finish_if_over(send.pk)
        chain.add("portal", "send.queued", f"send:{send.pk}", {"rows": ready})
        wake("delivery", "shift")
