"""What holds after every fault: the file, the portal, its log and the vendor's ledger tell the same story."""

from __future__ import annotations

import json
from collections import Counter

from django.db.models import Count

from offline_portal.audit import chain
from offline_portal.models import Answer, Attempt, AuditEntry, Batch, Delivery, Outcome, Row, Send
from tests.conftest import Road
from tests.faults.programs import until

STATUSES = ("queued", "sending", "accepted", "rejected", "unknown", "failed", "cancelled")


def tally(send: Send) -> dict[str, int]:
    """Rows by status as the deliveries themselves say, the counters of the Send agreeing."""
    send.refresh_from_db()
    mine = Delivery.objects.filter(send=send, generation=send.generation)
    found = dict(mine.exclude(status=None).values_list("status").annotate(Count("pk")))
    assert found == {name: count for name in STATUSES if (count := getattr(send, name))}
    return found


def must_be_sound(road: Road, send: Send) -> dict[str, int]:
    """The counts of a Send that is over, after everything about them was compared."""
    found = tally(send)
    rows = Row.objects.filter(upload=send.upload).count()
    assert rows == send.total == Delivery.objects.filter(send=send, generation=send.generation).count()
    assert sum(found.values()) == send.ready, "each ready row is in exactly one state"
    assert not found.get("sending")
    # The last row is written a moment before its Batch is given back.
    held = Batch.objects.filter(send=send, lease_until__isnull=False)
    until(lambda: not held.exists(), "nobody holds a Batch any more")
    connector = send.destination.connector
    ledger = road.emulator.ledger(connector)
    repeats = Counter(json.dumps(entry["key"]) for entry in ledger if entry["verdict"] == "effective")
    assert not [key for key, times in repeats.items() if times > 1], "nothing counts twice"
    if connector == "qubit":
        assert road.emulator.counts("qubit")["repeated"] == 0, "nothing without a key is sent twice"
    assert found.get("accepted", 0) <= len(repeats) <= found.get("accepted", 0) + found.get("unknown", 0) + _open(found)
    assert Attempt.objects.filter(batch__send=send).count() == Answer.objects.filter(attempt__batch__send=send).count()
    assert Outcome.objects.filter(attempt__batch__send=send).count() == sum(
        len(json.loads(ids)) for ids in Attempt.objects.filter(batch__send=send).values_list("deliveries", flat=True)
    )
    verified = chain.verify()
    assert verified.ok, verified.reason
    log = "".join(AuditEntry.objects.values_list("detail", flat=True))
    assert "@example.com" not in log and "key-0001" not in log
    return found


def _open(found: dict[str, int]) -> int:
    return found.get("queued", 0) + found.get("failed", 0)
