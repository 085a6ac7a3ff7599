"""How each thing looks in JSON: one function a shape, shared by the API, the command line and the screens."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import connectors
from connectors.base import Connector, Field
from offline_portal.audit.canonical import moment as as_hashed
from offline_portal.delivery.readback import asking
from offline_portal.history import Moment
from offline_portal.listing import SendRow
from offline_portal.models import Answer, Attempt, AuditEntry, Delivery, Destination, Mapping, Send, Upload
from offline_portal.redaction import mask, mask_in, mask_values

Shape = dict[str, Any]
READBACK = ("looking", "confirmed", "not_found", "not_available")
COUNTS = (
    "total", "unchecked", "ready", "problem", "duplicate", "excluded",
    "queued", "sending", "accepted", "rejected", "unknown", "failed", "cancelled",
)  # fmt: skip


def moment(at: datetime | None) -> str | None:
    """A moment in ISO 8601, UTC, ending in Z."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


def field_shape(field: Field) -> Shape:
    """A field, setting or secret as its connector declares it."""
    return {
        "key": field.key, "label": field.label, "type": field.type, "required": field.required, "help": field.help,
        "aliases": list(field.aliases), "choices": [asdict(choice) for choice in field.choices],
        "personal": field.personal, "example": field.example,
    }  # fmt: skip


def connector_shape(connector: Connector) -> Shape:
    """A connector: what its destinations and its mappings are made of."""
    return {
        "slug": connector.slug, "name": connector.name, "docs": connector.docs,
        "settings": [field_shape(field) for field in connector.settings],
        "secrets": [field_shape(field) for field in connector.secrets],
        "fields": [field_shape(field) for field in connector.fields],
    }  # fmt: skip


def destination_shape(destination: Destination) -> Shape:
    """A destination; of its secrets only whether they are set, and how they end."""
    hints = {secret.key: secret.hint for secret in destination.secret_set.all()}
    declared = [field.key for field in connectors.get(destination.connector).secrets]
    return {
        "id": str(destination.pk), "name": destination.name, "connector": destination.connector,
        "settings": destination.settings,
        "secrets": {key: {"set": key in hints, "hint": hints.get(key)} for key in declared},
        "live": destination.live, "paused": destination.paused, "reason": destination.reason or None,
        "waits_until": moment(destination.waits), "require_approval": destination.require_approval,
        "retention_days": destination.retention_days,
    }  # fmt: skip


def upload_shape(upload: Upload) -> Shape:
    """An upload, and how its file was understood."""
    return {
        "id": str(upload.pk), "filename": upload.filename, "sha256": upload.sha256, "bytes": upload.bytes,
        "status": upload.status, "format": upload.format, "encoding": upload.encoding or None,
        "delimiter": upload.delimiter or None, "sheet": upload.sheet or None, "sheets": upload.sheets,
        "header_line": upload.header_line, "columns": upload.columns, "rows": upload.rows,
        "problems": upload.problems, "reason": upload.reason or None,
    }  # fmt: skip


def mapping_shape(mapping: Mapping) -> Shape:
    """A saved mapping, its newest version."""
    return {
        "id": str(mapping.pk), "name": mapping.name, "connector": mapping.connector, "version": mapping.version,
        "fields": mapping.fields, "created_by": mapping.created_by.get_username(),
        "created_at": moment(mapping.created_at),
    }  # fmt: skip


def send_shape(send: Send) -> Shape:
    """A send with its counts, which add up at every moment."""
    return {
        "id": str(send.pk), "upload": str(send.upload_id),
        "destination": None if send.destination_id is None else str(send.destination_id),
        "mapping": send.mapping, "status": send.status, "counts": {name: getattr(send, name) for name in COUNTS},
        "created_by": send.created_by.get_username(), "created_at": moment(send.created_at),
        "queued_at": moment(send.queued_at), "scheduled_at": moment(send.scheduled_at),
        "finished_at": moment(send.finished_at), "reason": send.reason or None,
        "readback": {name: getattr(send, f"readback_{name}") for name in READBACK},
    }  # fmt: skip


def row_shape(row: SendRow, connector: Connector | None, shown: Collection[str] | None) -> Shape:
    """A line of a send. `shown`: the only columns to show plainly; None shows all."""
    cells, payload = row.cells, row.payload
    if shown is not None:
        cells = masked_cells(cells, shown)
        payload = mask_values(payload, connector) if payload and connector else payload
    return {
        "line": row.line, "verdict": row.verdict, "cells": cells, "payload": payload, "problems": row.problems,
        "warnings": row.warnings + _similar(row, connector), "duplicate_of": _earlier(row.duplicate_of),
    }  # fmt: skip


def delivery_shape(delivery: Delivery, reveal: bool = False) -> Shape:
    """A row on its way; personal values masked unless `reveal`. Wants what `readbacks.standing_of` wants."""
    connector = connectors.get(delivery.send.destination.connector)  # type: ignore[union-attr]
    values = json.loads(delivery.payload) if delivery.payload else {}
    hidden = [] if reveal else [values]
    found = connector.identifiers(values) if values else []
    identifier = found[0][1] if found else None
    key, identifier, receipt, message = (
        mask_in(text, hidden, connector) if text else None
        for text in (delivery.wire_key, identifier, delivery.receipt, delivery.message)
    )
    return {
        "id": str(delivery.pk), "send": str(delivery.send_id), "line": delivery.line, "status": delivery.status,
        "evidence": delivery.evidence or None, "key": key, "identifier": identifier, "receipt": receipt,
        "code": delivery.code or None, "message": message,
        "warnings": json.loads(delivery.warnings) if delivery.warnings else [],
        "attempt_count": delivery.attempt_count, "resolved": delivery.resolved or None,
        "readback": readback_shape(delivery),
    }  # fmt: skip


def readback_shape(delivery: Delivery) -> Shape | None:
    """Where looking up the row at the vendor stands; null where nobody ever looked."""
    found = asking.standing_of(delivery)
    return found and {"state": found.state.value, "next_at": moment(found.next_at), "tries": found.tries}


def audit_shape(entry: AuditEntry) -> Shape:
    """An audit entry, its moment written as it was hashed."""
    return {
        "seq": entry.seq, "at": as_hashed(entry.at), "actor": entry.actor, "action": entry.action,
        "object": entry.object, "detail": json.loads(entry.detail), "previous": entry.previous, "hash": entry.hash,
    }  # fmt: skip


def attempt_shape(attempt: Attempt, veil: Callable[[str], str]) -> Shape:
    """One request and what came back, texts under `veil`. A body over 64 kB is not kept: then `body` is null."""
    answer: Answer | None = getattr(attempt, "answer", None)
    came = answer.copy if answer else None
    request = attempt.copy
    return {
        "started": moment(attempt.started_at), "ended": moment(answer.ended_at) if answer else None,
        "request": {
            "method": request.method, "url": veil(request.url), "headers": json.loads(request.headers),
            "body": veil(request.body) if request.body is not None else None,
        },
        "response": None if answer is None or answer.status is None else {
            "status": answer.status, "headers": json.loads(came.headers) if came else {},
            "body": veil(came.body) if came else None, "truncated": came.truncated if came else False,
        },
        "error": (answer.error or None) if answer else None,
    }  # fmt: skip


def moment_shape(found: Moment) -> Shape:
    """One line of a timeline."""
    return {"at": moment(found.at), "what": found.what, "who": found.who}


def masked_cells(cells: dict[str, str], shown: Collection[str]) -> dict[str, str]:
    """Cells with all but the columns `shown` masked."""
    return {column: text if column in shown else mask(text) for column, text in cells.items()}


def _earlier(delivery: Delivery | None) -> Shape | None:
    """The row that was first: where it stands, and what became of it."""
    if delivery is None:
        return None
    return {
        "delivery": str(delivery.pk), "send": str(delivery.send_id), "line": delivery.line,
        "filename": delivery.send.upload.filename, "status": delivery.status,
    }  # fmt: skip


def _similar(row: SendRow, connector: Connector | None) -> list[Shape]:
    """A warning of an earlier line that the vendor may take for this one."""
    line = row.delivery.similar_line if row.delivery else None
    if line is None or connector is None:
        return []
    message = f"Line {line}: {connector.similar_warning}"
    return [{"field": "", "column": None, "code": "similar", "message": message}]
