"""A row: from the cell in the file to the last answer, and settling it where it is unknown."""

from __future__ import annotations

import contextlib
import json
from typing import Any, NamedTuple

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

import connectors
from connectors.base import Connector, Payload
from offline_portal import history, listing, redaction
from offline_portal.access.roles import EVERYONE, OPS, role
from offline_portal.api.shapes import attempt_shape
from offline_portal.audit import chain
from offline_portal.delivery import control
from offline_portal.delivery.states import Conflict
from offline_portal.models import Attempt, Delivery, Outcome
from offline_portal.screens import readback, tones
from offline_portal.screens.acts import told
from offline_portal.screens.check import heads
from offline_portal.screens.steps import is_open, shown_cells

_ICONS = (
    ("Line", "sheet"),
    ("Left out", "minus-circle"),
    ("Taken back", "undo"),
    ("Checked", "check-circle"),
    ("Sent on", "send"),
    ("Queued", "clock"),
    ("Approval asked", "people"),
    ("Approved", "check-circle"),
    ("Rejected before", "cross-circle"),
    ("Set to start", "calendar"),
    ("Send taken back", "undo"),
    ("Send paused", "pause"),
    ("Send resumed", "play"),
    ("Send cancelled", "stop"),
    ("Rows queued", "retry"),
    ("Resolved", "question"),
    ("Personal", "eye"),
    ("“", "edit"),
)
_LONGEST_BODY = 20_000


class Exchange(NamedTuple):
    """A request and what came back, as texts to show."""

    name: str
    """Of this exchange on the page."""
    request: str
    answer: str
    status: int | None
    error: str
    rows: int


class Node(NamedTuple):
    """One thing on the timeline."""

    at: Any
    tone: str
    icon: str
    what: str
    who: str
    exchange: Exchange | None = None


@role(*EVERYONE)
@require_http_methods(["GET", "POST"])
def row(request: HttpRequest, pk: int) -> HttpResponse:
    """The story of a row. A POST shows personal values plainly, and is logged."""
    delivery = _find(pk)
    reveal = request.method == "POST"
    if reveal:
        with transaction.atomic():
            what = {"deliveries": [delivery.pk]}
            chain.add(request.user.get_username(), "delivery.revealed", f"delivery:{delivery.pk}", what)
    return render(request, "rows/row.html", _context(request, delivery, reveal))


@role(OPS)
@require_POST
def resolve(request: HttpRequest, pk: int) -> HttpResponse:
    """Settle an unknown row by a person's decision."""
    try:
        control.resolve(_find(pk), request.POST.get("as", ""), request.POST.get("reason", ""), request.user)
    except Conflict as conflict:
        messages.warning(request, conflict.message)
    return redirect("row", pk)


def _find(pk: int) -> Delivery:
    found = Delivery.objects.select_related(
        "send__destination__current", "send__upload__created_by", "send__settings_version", "batch", "readback"
    )
    delivery = found.filter(pk=pk).first()
    if delivery is None or delivery.send.destination is None:
        raise Http404("There is no such row.")
    return delivery


def _context(request: HttpRequest, delivery: Delivery, reveal: bool) -> dict[str, Any]:
    send = delivery.send
    connector = connectors.get(send.destination.connector)
    values = json.loads(delivery.payload) if delivery.payload else {}
    current = listing.send_row(send, delivery.line)
    plain = redaction.plain_columns(send.upload.columns, send.mapping, connector)
    cells = shown_cells(current.cells if current else {}, None if reveal else plain)
    exchanges = history.exchanges_of(delivery)
    before = history.timeline(delivery, history.Exchanges([], []))
    identifiers = connector.identifiers(values) if values else []
    veil = (lambda text: text) if reveal else (lambda text: redaction.mask_in(text, [values], connector))
    return {
        "delivery": delivery,
        "send": send,
        "upload": send.upload,
        "destination": send.destination,
        "connector": connector,
        "reveal": reveal,
        "cells": [(column, fed, cells.get(column, "")) for column, fed in heads(send)],
        "identifier": veil(identifiers[0][1]) if identifiers else "",
        "row": current,
        "wire_key": veil(delivery.wire_key or ""),
        "status": delivery.status or delivery.verdict,
        "look": tones.ROWS.get(delivery.status or delivery.verdict),
        "message": veil(delivery.message),
        "nodes": _nodes(before, exchanges, delivery, reveal),
        "looked": readback.note(delivery),
        "payload": _payload(values, connector, reveal),
        "preview": _preview(delivery, values, connector, veil),
        "harmless": bool(values) and connector.harmless_to_repeat(values, send.destination.settings),
        "editable": is_open(send),
        "grade": tones.GRADES.get(delivery.evidence),
    }


def _nodes(
    before: list[history.Moment], exchanges: history.Exchanges, delivery: Delivery, reveal: bool
) -> list[Node]:
    nodes = [Node(one.at, "quiet", _icon(one.what), one.what, one.who) for one in before]
    revealed = delivery if reveal else None
    for number, attempt in enumerate(exchanges.sent, start=1):
        shown = told(attempt)
        exchange = _exchange(f"request-{number}", attempt, revealed)
        what = f"Request {number}: " + (f"answered with {shown.words}" if exchange.status else shown.words)
        nodes.append(Node(attempt.started_at, shown.tone, "send", what, "portal", exchange))
    outcomes = {one.attempt_id: one for one in delivery.outcomes.filter(attempt__in=exchanges.looks)}
    for number, attempt in enumerate(exchanges.looks, start=1):
        seen = outcomes.get(attempt.pk)
        what = f"Look {number} at the vendor: {history.what_was_seen(seen)}"
        exchange = _exchange(f"look-{number}", attempt, revealed)
        nodes.append(Node(attempt.started_at, _tone_of_look(seen), "search", what, "portal", exchange))
    return sorted(nodes, key=lambda node: node.at)


def _tone_of_look(seen: Outcome | None) -> str:
    if seen is None:
        return "wait"
    return "good" if seen.evidence == "confirmed" else "quiet" if seen.code == "not_found" else "warn"


def _exchange(name: str, attempt: Attempt, reveal: Delivery | None) -> Exchange:
    shape = attempt_shape(attempt, history.veil_of(attempt, reveal))
    sent, came = shape["request"], shape["response"]
    body = sent["body"] if sent["body"] is not None else "(over 64 kB: not kept)"
    answer = _text("", came["headers"], came["body"] or "") if came else ""
    if came and came["truncated"]:
        most = attempt.answer.copy.size
        answer += f"\n\n(The portal reads no more than {most:,} bytes of an answer. There was more.)"
    return Exchange(
        name,
        _text(f"{sent['method']} {sent['url']}", sent["headers"], body),
        answer,
        came["status"] if came else None,
        shape["error"] or "",
        len(json.loads(attempt.deliveries)),
    )


def _text(first: str, headers: dict[str, str], body: str) -> str:
    """A message as it went over the wire; JSON indented."""
    kind = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    if kind.startswith("image/"):
        body = f"({kind}: a picture, nothing to read)"
    with contextlib.suppress(ValueError):
        body = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    if len(body) > _LONGEST_BODY:
        body = body[:_LONGEST_BODY] + "\n… (cut here)"
    lines = [first, *(f"{name}: {value}" for name, value in headers.items()), "", body]
    return "\n".join(lines).strip()


def _preview(delivery: Delivery, values: dict[str, Any], connector: Connector, veil: Any) -> str:
    """The request that a ready row will become; in place of secrets the names of their fields."""
    if delivery.status or not values:
        return ""
    settings = delivery.send.settings_version.values if delivery.send.settings_version else {}
    names = {secret.key: secret.key.upper() for secret in connector.secrets}
    key = connector.wire_key(values, lambda digits: "0" * digits)
    try:
        request = connector.preview(Payload(values, key), settings, names, tuple(delivery.send.mapping))
    except (ValueError, KeyError, TypeError):
        return ""
    method, url, headers, body = redaction.redact_request(request)
    return veil(_text(f"{method} {url}", headers, body))


def _payload(values: dict[str, Any], connector: Connector, reveal: bool) -> list[tuple[str, str, Any]]:
    shown = values if reveal else redaction.mask_values(values, connector)
    rows = []
    for key, value in shown.items():
        declared = connector.field(key)
        label = key.partition(":")[2] if declared and declared.is_family else declared.label if declared else key
        rows.append((key, label, value))
    return rows


def _icon(what: str) -> str:
    return next((icon for start, icon in _ICONS if what.startswith(start)), "info")
