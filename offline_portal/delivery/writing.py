"""The two transactions of sending: Attempts before the bytes leave, Answers and Outcomes after they came.

Both stand under the fence of the Batch: whoever lost the claim writes nothing. Lock order everywhere: Batch,
Deliveries, Send, chain head last.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from connectors.base import Connector, ConnectorError, Request, Response
from offline_portal import bulk, claims
from offline_portal.audit import chain, groups
from offline_portal.delivery import alarms, counting, doubt, exchanges
from offline_portal.delivery.exchanges import Shared
from offline_portal.delivery.hold import Hold, QueuedRow
from offline_portal.delivery.readback import asking
from offline_portal.delivery.verdict import RowVerdict, Verdict
from offline_portal.models import Batch, Delivery, Outcome, SentKey

Entry = tuple[str, str, str, dict[str, Any]]
"""An audit entry to add: actor, action, object, detail."""

_MAY_SEND = """
SELECT 1 FROM portal_send JOIN portal_destination ON portal_destination.id = destination_id
WHERE portal_send.id = %s AND status IN ('queued', 'sending') AND NOT paused
AND (waits_until IS NULL OR waits_until <= %s)
"""
_REFUSED_AGAIN = "An earlier try brought no usable answer and may have arrived; sent again, the row was refused."


class RowsGone(Exception):
    """Rows that were to be sent are no longer queued (a person cancelled): read the Batch anew."""


@dataclass
class Parcel:
    """Rows that share one request, and what becomes of them."""

    rows: list[QueuedRow]
    request: Request
    attempt: int = 0
    response: Response | None = None
    error: ConnectorError | None = None
    ended_at: datetime | None = None
    verdict: Verdict | None = None


@dataclass
class Book:
    """What one worker writes about one Batch."""

    hold: Hold
    worker: str = field(default_factory=claims.worker_name)
    _shared: Shared = field(default_factory=dict)

    def turn(self, landed: Sequence[Parcel], parcels: Sequence[Parcel]) -> bool:
        """One transaction: write what `landed` brought, and begin `parcels`.

        Returns whether `parcels` may leave; False when the Send or its Destination was stopped meanwhile. Raises
        ClaimLost, or RowsGone (then nothing of the turn was written).
        """
        shared = dict(self._shared)
        with transaction.atomic():
            self._keep_claim()
            change: Counter[str] = Counter()
            entries = [self._settle(landed, change, shared)] if landed else []
            begun = bool(parcels) and self._may_send()
            if begun:
                entries.append(self._begin(parcels, change))
            counting.move(self.hold.send, change)
            alarms.after(self.hold, landed)
            chain.add_many(entries)
        self._shared = shared
        return begun

    def _keep_claim(self) -> None:
        """As `claims.keep`, in a statement that is not built anew for every turn."""
        if not bulk.set_by_ids(
            Batch, {"lease_until": claims.lease_end()}, [self.hold.batch], "fence = %s", [self.hold.fence]
        ):
            raise claims.ClaimLost(f"Batch {self.hold.batch} has another owner")

    def _may_send(self) -> bool:
        now = connection.ops.adapt_datetimefield_value(timezone.now())
        with connection.cursor() as cursor:
            cursor.execute(_MAY_SEND, [self.hold.send, now])
            return cursor.fetchone() is not None

    def _begin(self, parcels: Sequence[Parcel], change: Counter[str]) -> Entry:
        ids = [row.id for parcel in parcels for row in parcel.rows]
        begun = bulk.set_by_ids(
            Delivery, {"status": "sending", "attempt_count": bulk.Sql("attempt_count + 1")}, ids, "status = 'queued'"
        )
        if begun != len(ids):
            raise RowsGone
        change.update(queued=-begun, sending=begun)
        begin = [(parcel, self.hold.batch, [row.id for row in parcel.rows]) for parcel in parcels]
        attempts = exchanges.begin(begin, self.hold.fence, self.worker)
        detail = {"attempts": [attempt[0] for attempt in attempts], "digest": groups.digest(attempts)}
        return "portal", groups.ATTEMPTS, f"send:{self.hold.send}", detail

    def _settle(
        self, landed: Sequence[Parcel], change: Counter[str], shared: Shared
    ) -> Entry:
        answers = exchanges.end(landed, shared)
        outcomes: list[tuple[Any, ...]] = []
        verdicts: list[tuple[QueuedRow, RowVerdict]] = []
        for parcel in landed:
            for row, verdict in zip(parcel.rows, _final(parcel, self.hold.connector), strict=True):
                verdicts.append((row, verdict))
                outcomes.append((
                    parcel.attempt, row.id, verdict.status, verdict.evidence, verdict.code, verdict.message,
                    verdict.receipt,
                ))
        bulk.insert(Outcome, groups.OUTCOME, outcomes)
        self._split(landed)
        _set_statuses(verdicts, landed, change)
        change.update(asking.ask(self.hold, verdicts, timezone.now()))
        detail = {
            "attempts": [parcel.attempt for parcel in landed],
            "outcomes": dict(Counter(outcome[2] for outcome in outcomes)),
            "digest": groups.digest(answers, outcomes),
        }
        return "portal", groups.OUTCOMES, f"send:{self.hold.send}", detail

    def _split(self, landed: Sequence[Parcel]) -> None:
        for parcel in landed:
            if parcel.verdict and parcel.verdict.split:
                middle = len(parcel.rows) // 2
                first = Batch.objects.values_list("next_part", flat=True).get(pk=self.hold.batch)
                Batch.objects.filter(pk=self.hold.batch).update(next_part=F("next_part") + 2)
                for part, rows in ((first, parcel.rows[:middle]), (first + 1, parcel.rows[middle:])):
                    bulk.set_by_ids(Delivery, {"part": part}, [row.id for row in rows])


def _final(parcel: Parcel, connector: Connector) -> list[RowVerdict]:
    """The verdicts, as far as they hold in the light of earlier tries."""
    verdict: Verdict = parcel.verdict  # type: ignore[assignment]
    last = {row.id for row in parcel.rows if row.tries + 1 >= settings.PORTAL_RETRY_LIMIT} if verdict.again else set()
    pairs = list(zip(parcel.rows, verdict.rows, strict=True))
    ended = last | {row.id for row, found in pairs if found.status == "rejected"}
    if not ended:
        return verdict.rows
    doubtful = doubt.in_doubt(ended, connector)
    return [_end(found, row.id in doubtful) if row.id in ended else found for row, found in pairs]


def _end(found: RowVerdict, doubtful: bool) -> RowVerdict:
    """The verdict on a row that was refused, or tried often enough.

    An earlier try of a `doubtful` one may have arrived: it is neither `rejected` nor `failed`, or another file might
    bring it there once more.
    """
    if found.status == "rejected" and doubtful:
        return replace(found, status="unknown", message=f"{_REFUSED_AGAIN} {found.message}"[:500])
    if found.status == "queued":
        message = f"Given up after {settings.PORTAL_RETRY_LIMIT} tries. {found.message}"[:500]
        return replace(found, status="failed" if found.never_arrived and not doubtful else "unknown", message=message)
    return found


def _set_statuses(
    verdicts: Sequence[tuple[QueuedRow, RowVerdict]], landed: Sequence[Parcel], change: Counter[str]
) -> None:
    """Bring the deliveries up to date: alike ones by id list, those with a receipt of their own one by one."""
    tried = {row.id for parcel in landed if parcel.verdict and parcel.verdict.again for row in parcel.rows}
    alike: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    single: list[tuple[Any, ...]] = []
    for row, found in verdicts:
        if found.receipt is None:
            alike[found.status, found.evidence, found.code, found.message, row.id in tried].append(row.id)
        else:
            single.append((row.id, found.status, found.evidence, found.code, found.message, found.receipt))
    for (status, evidence, code, message, again), ids in alike.items():
        values: dict[str, Any] = {"status": status, "evidence": evidence, "code": code, "message": message}
        if again and status == "queued":
            values["tries"] = bulk.Sql("tries + 1")
        _moved(change, status, bulk.set_by_ids(Delivery, values, ids, "status = 'sending'"))
    by_status: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for values_ in single:
        by_status[values_[1]].append(values_)
    for status, rows in by_status.items():
        fields = ("status", "evidence", "code", "message", "receipt")
        _moved(change, status, bulk.set_each(Delivery, fields, rows, "status = 'sending'"))
    freed = [row.id for row, found in verdicts if found.status in ("rejected", "failed")]
    if freed:
        SentKey.objects.filter(delivery__in=freed).delete()


def _moved(change: Counter[str], status: str, rows: int) -> None:
    change["sending"] -= rows
    change[status] += rows

