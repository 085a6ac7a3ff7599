"""What would leave, in one place: rows, sums by currency, first and last date, and what stays out."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.urls import reverse

import connectors
from connectors.base import Connector
from offline_portal.models import Delivery, Send
from offline_portal.screens.times import in_zones
from offline_portal.screens.viewer import grouped

SUMMED_UP_TO = 200_000
"""Rows that are added up for the summary; of longer sends the first so many, and the page says so."""
_SUMMED_AT_ONCE = 5_000
"""Up to so many rows the sums come with the page; of longer sends they follow it."""


def facts(send: Send, rows_at: str) -> dict[str, Any]:
    """Template context of `sends/facts.html`; `rows_at` is the address of the rows by verdict, up to the verdict."""
    connector = connectors.get(send.destination.connector)
    return {
        "connector": connector,
        "left_out": _left_out(send, rows_at),
        "totals": summed(send, connector) if send.ready <= _SUMMED_AT_ONCE else None,
        "starts": in_zones(send.scheduled_at, send.destination) if send.scheduled_at else [],
    }


def to_review(send: Send) -> dict[str, Any]:
    """The same facts for somebody who cannot change the rows."""
    return facts(send, reverse("send", args=[send.pk]) + "?verdict=")


def summed(send: Send, connector: Connector) -> dict[str, Any]:
    """Sums by currency and the first and last moment of the ready rows."""
    keys = {
        name: next((one.key for one in connector.fields if one.role == name), "")
        for name in ("amount", "currency", "time")
    }
    sums: dict[str, Decimal] = defaultdict(Decimal)
    first = last = ""
    counted = 0
    ready = Delivery.objects.filter(send=send, generation=send.generation, verdict="ready").order_by("line")
    for text in ready.values_list("payload", flat=True)[:SUMMED_UP_TO].iterator(chunk_size=5_000):
        values = json.loads(text or "{}")
        counted += 1
        if (amount := values.get(keys["amount"])) not in (None, ""):
            try:
                sums[str(values.get(keys["currency"], ""))] += Decimal(str(amount))
            except InvalidOperation:
                continue
        if moment := values.get(keys["time"]):
            first, last = min(first or moment, moment), max(last, moment)
    return {
        "sums": sorted((currency, str(total)) for currency, total in sums.items()),
        "counted": counted,
        "partly": counted < send.ready,
        "first": _moment(first),
        "last": _moment(last),
    }


def _left_out(send: Send, rows_at: str) -> list[tuple[str, str]]:
    words = (
        ("problem", send.problem, "with problems"),
        ("duplicate", send.duplicate, "sent before or twice in the file"),
        ("excluded", send.excluded, "left out by a person"),
    )
    return [(f"{grouped(count)} {why}", rows_at + verdict) for verdict, count, why in words if count]


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
