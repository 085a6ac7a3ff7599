"""Lists, page by page: what the screens and the API show of sends, rows, deliveries and the audit log.

Pages are found by key and not by offset, so that the last page of a million rows is as quick as the first.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.db.models import BooleanField, Exists, Model, OuterRef, QuerySet
from django.db.models.expressions import RawSQL

from offline_portal import checks, problem_kinds
from offline_portal.models import AuditEntry, Delivery, Readback, Row, Send, Upload

Item = TypeVar("Item")
Found = TypeVar("Found", bound=Model)

UNCHECKED = "unchecked"
VERDICTS = (UNCHECKED, *Delivery.Verdict.values)
_NOT_ACCEPTED = ("rejected", "unknown", "failed", "cancelled")


@dataclass(frozen=True)
class Page(Generic[Item]):
    """Some items of a list, and the key behind which the next page begins; None on the last page."""

    items: list[Item]
    next: int | None


@dataclass(frozen=True)
class SendRow:
    """One line of a Send's file as it stands now: cells with their edits, and what checking says of it."""

    line: int
    cells: dict[str, str]
    verdict: str = UNCHECKED
    payload: dict[str, Any] | None = None
    problems: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    duplicate_of: Delivery | None = None
    delivery: Delivery | None = None


def page(found: QuerySet[Found], after: int | None, limit: int, key: str = "pk", down: bool = False) -> Page[Found]:
    """At most `limit` (1 or more) things behind `after` in order of `key`; with `down` from the newest on."""
    if after is not None:
        found = found.filter(**{f"{key}__{'lt' if down else 'gt'}": after})
    items = list(found.order_by(f"-{key}" if down else key)[: limit + 1])
    more = len(items) > limit
    return Page(items[:limit], getattr(items[limit - 1], key) if more else None)


def sends(status: str | None = None, destination: int | None = None, upload: int | None = None) -> QuerySet[Send]:
    """Sends with what a list shows of them."""
    found = Send.objects.select_related("destination", "upload", "created_by")
    wanted = {"status": status, "destination": destination, "upload": upload}
    return found.filter(**{key: value for key, value in wanted.items() if value is not None})


def audit_entries(
    action: str | None = None, actor: str | None = None, object: str | None = None,
    start: datetime | None = None, end: datetime | None = None,
) -> QuerySet[AuditEntry]:  # fmt: skip
    """Audit entries from `start` on and before `end`; `action`, `actor` and `object` as they stand there."""
    wanted = {"action": action, "actor": actor, "object": object, "at__gte": start, "at__lt": end}
    return AuditEntry.objects.filter(**{key: value for key, value in wanted.items() if value is not None})


def upload_rows(upload: Upload, after: int | None, limit: int) -> Page[tuple[int, dict[str, str]]]:
    """Lines of an upload as (line, {column: text}), as far as they have been read."""
    found = page(Row.objects.filter(upload=upload), after, limit, key="line")
    return Page([(row.line, _named(upload.columns, row.cells)) for row in found.items], found.next)


def send_deliveries(send: Send, status: str | None, after: int | None, limit: int) -> Page[Delivery]:
    """What left or is to leave for the vendor, in order of line; empty before the send is queued."""
    found = _deliveries(send).exclude(status=None)
    if status is not None:
        found = found.filter(status=status)
    if status in _NOT_ACCEPTED:
        found = found.filter(_said(f"status IN ({', '.join(map(repr, _NOT_ACCEPTED))})"))
    return _of_send(send, page(found.select_related("readback"), after, limit, key="line"))


def in_vain(send: Send, state: str, after: int | None, limit: int) -> Page[Delivery]:
    """Rows that the vendor did not show (`not_found`), or that nobody could look up (`not_available`); by their ids."""
    readbacks = Readback.objects.filter(_said("state IN ('not_found', 'not_available')"), send=send, state=state)
    found = page(readbacks.select_related("delivery"), after, limit)
    for one in found.items:
        one.delivery.readback = one
    return _of_send(send, Page([one.delivery for one in found.items], found.next))


def _of_send(send: Send, found: Page[Delivery]) -> Page[Delivery]:
    for delivery in found.items:
        delivery.send = send
    return found


def deliveries() -> QuerySet[Delivery]:
    """Everything that left or is to leave for a vendor."""
    return Delivery.objects.exclude(status=None).select_related("send__destination__current", "readback")


def send_rows(
    send: Send, verdict: str | None, after: int | None, limit: int, kind: tuple[str, str] | None = None
) -> Page[SendRow]:
    """The lines of a send in order; with one of VERDICTS only those. While it is checked, the rest is `unchecked`.

    With a `kind`, (code, column or empty), only lines that have such a problem.
    """
    if verdict in (None, UNCHECKED):
        found = _unchecked(send, after) if verdict else Row.objects.filter(upload=send.upload_id)
        rows = page(found, after, limit, key="line")
        lines = [row.line for row in rows.items]
        return Page(_send_rows(send, lines, rows.items, _deliveries_at(send, lines)), rows.next)
    wanted = _deliveries(send).filter(verdict=verdict)
    if verdict != Delivery.Verdict.READY:
        wanted = wanted.filter(_said("NOT (verdict = 'ready')"))
    if kind is not None:
        wanted = wanted.filter(problem_kinds.of_kind(*kind))
    judged = page(wanted, after, limit, key="line")
    lines = [delivery.line for delivery in judged.items]
    rows_there = Row.objects.filter(upload=send.upload_id, line__in=lines).order_by("line")
    return Page(_send_rows(send, lines, list(rows_there), judged.items), judged.next)


def send_row(send: Send, line: int) -> SendRow | None:
    """One line of a send; None where the file has no such line."""
    return next(iter(send_rows_at(send, [line])), None)


def send_rows_at(send: Send, lines: Sequence[int]) -> list[SendRow]:
    """These lines of a send, in order; lines that the file does not have are left out."""
    rows = list(Row.objects.filter(upload=send.upload_id, line__in=lines).order_by("line"))
    there = [row.line for row in rows]
    return _send_rows(send, there, rows, _deliveries_at(send, there))


def _said(condition: str) -> RawSQL:
    """The condition of a partial index, word for word: SQLite uses the index only where a query repeats it."""
    return RawSQL(condition, (), output_field=BooleanField())  # noqa: S611 (a constant)


def _deliveries(send: Send) -> QuerySet[Delivery]:
    return Delivery.objects.filter(send=send.pk, generation=send.generation)


def _deliveries_at(send: Send, lines: Sequence[int]) -> list[Delivery]:
    if not lines:
        return []
    return list(_deliveries(send).filter(line__in=lines))


def _unchecked(send: Send, after: int | None) -> QuerySet[Row]:
    if send.total and not send.unchecked:
        return Row.objects.none()
    judged = Delivery.objects.filter(send=send.pk, generation=send.generation, line=OuterRef("line"))
    # Checking goes line by line, so nothing above the line reached is left.
    start = send.reached_line if send.status == Send.Status.CHECKING else 0
    return Row.objects.filter(~Exists(judged), upload=send.upload_id, line__gt=start)


def _send_rows(send: Send, lines: Sequence[int], rows: Sequence[Row], deliveries: Sequence[Delivery]) -> list[SendRow]:
    cells = checks.cells_of(send, [(row.line, row.cells) for row in rows])
    judged = {delivery.line: delivery for delivery in deliveries}
    earlier_ids = {delivery.duplicate_of for delivery in deliveries if delivery.duplicate_of}
    earlier = Delivery.objects.select_related("send__upload").in_bulk(earlier_ids)
    return [_send_row(line, cells.get(line, {}), judged.get(line), earlier) for line in lines]


def _send_row(line: int, cells: dict[str, str], judged: Delivery | None, earlier: dict[int, Delivery]) -> SendRow:
    if judged is None:
        return SendRow(line, cells)
    return SendRow(
        line, cells, judged.verdict,
        payload=json.loads(judged.payload) if judged.payload else None,
        problems=json.loads(judged.problems) if judged.problems else [],
        warnings=json.loads(judged.warnings) if judged.warnings else [],
        duplicate_of=earlier.get(judged.duplicate_of or 0),
        delivery=judged,
    )  # fmt: skip


def _named(columns: list[str], cells: str) -> dict[str, str]:
    return dict(zip(columns, json.loads(cells), strict=False))
