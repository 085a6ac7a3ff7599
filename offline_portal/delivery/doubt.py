"""Rows of which an earlier attempt may have arrived: never called surely not arrived, and not repeated for ever.

A row is in doubt when one of its Attempts brought no usable answer; where a repeat is harmless it is queued again all
the same. That it is harmless rests on the vendor remembering the row's key. None says for how long it does (see
docs/reliability.md); the portal trusts it for a day.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from connectors.base import Connector
from offline_portal import bulk, claims
from offline_portal.audit import chain
from offline_portal.delivery import counting
from offline_portal.delivery.hold import Hold
from offline_portal.delivery.readback import asking
from offline_portal.delivery.verdict import BROKEN_CONNECTION, WAIT_503
from offline_portal.models import Attempt, Batch, Delivery, Outcome, Send

REPEATED_FOR = timedelta(hours=24)
"""So long after the first lost answer a row is repeated by itself; then it is `unknown`."""
TOO_LATE = (
    "An answer was lost more than 24 hours ago. The vendor may have forgotten the key by which it knows a repeat, so "
    "the portal does not send the row again by itself."
)
_NOT_TAKEN = (
    "never_sent", "held_up", "blocked", "http_429", WAIT_503, "http_413", *map("http_{}".format, BROKEN_CONNECTION),
)  # fmt: skip
_REFUSED = ("refused", "http_400", "http_422")


def in_doubt(rows: Collection[int], connector: Connector) -> set[int]:
    """Those of these deliveries of which an earlier attempt may have arrived."""
    return set(_lost(connector).filter(delivery__in=rows).values_list("delivery_id", flat=True)) if rows else set()


def end_what_is_too_old(hold: Hold) -> int:
    """Make the rows of a claimed Batch `unknown` that are in doubt for too long; returns how many. Raises ClaimLost.

    Only this Batch and its attempts count: a row that a person had sent again is in a new one. Files are not repeated
    before the server was looked at (see `connectors.files`).
    """
    old = Attempt.objects.filter(batch=hold.batch, readback=None, started_at__lt=timezone.now() - REPEATED_FOR)
    if hold.connector.transport == "file" or not old.exists():
        return 0
    with transaction.atomic():
        claims.keep(Batch, hold.batch, hold.fence)
        mine = {"delivery__batch": hold.batch, "delivery__status": Delivery.Status.QUEUED}
        lost = _lost(hold.connector).filter(attempt__in=old, **mine)
        ids = list(lost.values_list("delivery", flat=True).distinct())
        values = {"status": "unknown", "code": "too_late", "message": TOO_LATE}
        ended = bulk.set_by_ids(Delivery, values, ids, "status = 'queued'")
        if ended:
            sought = asking.ask_for_unknown(Send.objects.get(pk=hold.send), ids)
            counting.move(hold.send, {"queued": -ended, "unknown": ended} | sought)
            chain.add("portal", "send.doubt_ended", f"send:{hold.send}", {"rows": ended, "batch": hold.batch})
    return ended


def _lost(connector: Connector) -> QuerySet[Outcome]:
    """Outcomes that say no more than that the row may have arrived."""
    known = (*_NOT_TAKEN, *_REFUSED) if connector.refusal_is_total else _NOT_TAKEN
    surely_not = Q(code__in=known) | Q(code__startswith="http_3") | Q(code__startswith="ftp_")
    return Outcome.objects.filter(Q(status="unknown") | Q(status="queued") & ~surely_not)
