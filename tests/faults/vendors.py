"""The vendors of the fault tests: three that know a repeat by its key, one that does not; and the sums after a run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from offline_portal.audit import chain
from offline_portal.models import Answer, Attempt, AuditEntry, Delivery, Destination, Outcome, Row, Send
from tests.conftest import Road
from tests.delivery.test_road import counts

ROWS = 6
AGENT = "Mozilla/5.0 (X11; Linux) Very/7.7"


@dataclass(frozen=True)
class Vendor:
    """What a test must know of a vendor. `key`: it counts a repeat of these rows once."""

    slug: str
    key: bool
    evidence: str
    rows_a_request: int
    header: str
    line: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)

    def sheet(self, rows: int = ROWS, first: int = 1) -> str:
        """A file of so many rows."""
        lines = (self.line.format(n=n, minute=n // 60 % 60, second=n % 60) for n in range(first, first + rows))
        return "\n".join([self.header, *lines]) + "\n"

    def where(self, road: Road, name: str = "", **values: Any) -> Destination:
        """A destination at the emulator."""
        return road.destination(self.slug, name, {**self.settings, **values}, **self.secrets)

    def requests(self, rows: int = ROWS) -> int:
        """How many requests so many rows take."""
        return -(-rows // self.rows_a_request)


KISSMETRICS = Vendor(
    "kissmetrics", True, "delivered", 1, "Email,Event,Date",
    "person{n}@example.com,Purchased,2026-10-05 09:{minute:02}:{second:02}", secrets={"api_key": "key-of-kissmetrics"},
)  # fmt: skip
TRACIFY = Vendor(
    "tracify", True, "batch", 100, "Type,Date,Email,IP,User agent,Order ID,Amount,Currency",
    f"purchase,2026-10-05 09:{{minute:02}}:{{second:02}},person{{n}}@example.com,198.51.100.7,{AGENT},T-{{n}},5.50,EUR",
    {"customer_site_id": "00000000-0000-0000-0000-000000000000", "origin": "https://www.yourwebsite.com",
     "url": "https://www.yourwebsite.com/offline"}, {"token": "token-of-tracify"},
)  # fmt: skip
KAMELEOON = Vendor(
    "kameleoon", True, "delivered", 1000, "Visitor code,Goal ID,Revenue,Date",
    "visitor-{n},36151,5.50,2026-11-18 09:{minute:02}:{second:02}",
    {"site_code": "f17c21u1ag", "identifier": "visitorCode"}, {"client_id": "", "client_secret": ""},
)  # fmt: skip
QUBIT = Vendor(
    "qubit", False, "row", 100, "Visitor ID,Date,Value,Currency,Transaction ID",
    "visitor-{n},2026-10-05 09:{minute:02}:{second:02},5.50,EUR,order-{n}",
    secrets={"tracking_id": "tracking-id-of-qubit"},
)  # fmt: skip
VENDORS = (KISSMETRICS, TRACIFY, KAMELEOON, QUBIT)
WITH_KEY = (KISSMETRICS, TRACIFY, KAMELEOON)
WITHOUT_KEY = (QUBIT,)


def name(vendor: Vendor) -> str:
    """For the ids of tests."""
    return vendor.slug


def audit(action: str) -> list[dict[str, Any]]:
    """What the audit log says of such acts, in order."""
    return [json.loads(entry.detail) for entry in AuditEntry.objects.filter(action=action).order_by("seq")]


def sums_hold(send: Send) -> Send:
    """No row is lost or in two states, none is left on the wire, every attempt has its answer and is in the log."""
    send.refresh_from_db()
    rows = Delivery.objects.filter(send=send, generation=send.generation)
    by_status = Counter(rows.filter(verdict="ready").values_list("status", flat=True))
    assert dict(by_status) == counts(send)
    assert rows.count() == Row.objects.filter(upload=send.upload).count() == send.total
    assert send.sending == 0
    attempts = Attempt.objects.filter(batch__send=send)
    assert not attempts.filter(answer=None).exists()
    carried = Counter(pk for text in attempts.values_list("deliveries", flat=True) for pk in json.loads(text))
    assert carried == Counter(dict(rows.filter(attempt_count__gt=0).values_list("pk", "attempt_count")))
    assert Outcome.objects.filter(attempt__batch__send=send).count() == sum(carried.values())
    assert chain.verify().ok
    return send


def errors(send: Send) -> list[str]:
    """What happened on the wire, attempt by attempt; empty where an answer came."""
    return list(Answer.objects.filter(attempt__batch__send=send).order_by("attempt").values_list("error", flat=True))


def statuses(send: Send) -> list[int | None]:
    """What was answered, attempt by attempt."""
    return list(Answer.objects.filter(attempt__batch__send=send).order_by("attempt").values_list("status", flat=True))


def once_at_the_vendor(road: Road, vendor: Vendor, rows: int = ROWS) -> None:
    """Each row counts there, and counts once."""
    found = Counter(json.dumps(entry["key"], sort_keys=True) for entry in road.emulator.effective(vendor.slug))
    assert (len(found), set(found.values())) == (rows, {1})
