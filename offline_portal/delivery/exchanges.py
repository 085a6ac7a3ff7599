"""Putting on record what goes over the wire: each request before its bytes leave, each answer once it is over.

Inside the transaction of whoever sends, who also adds the audit entries over what is returned here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from django.utils import timezone

from connectors.base import VERSION, ConnectorError, Request, Response
from offline_portal import bulk, redaction
from offline_portal.audit import groups
from offline_portal.models import Answer, AnswerCopy, Attempt, RequestCopy

Shared = dict[tuple[Any, ...], tuple[int, bytes]]
"""Answers stored before, by headers (but the date) and body as they came: the id and digest of their copy."""
AnswerNote = tuple[int, bytes, str]
"""The id and digest of the copy of an answer, and its Date header, which changes with each."""
BODY_KEPT = 64 * 1024
SHARED_UP_TO = 1_024
"""Answers of at most this many bytes are kept once a Batch when they repeat (a vendor's constant GIF)."""


class Exchange(Protocol):
    """One request, and what became of it."""

    request: Request
    attempt: int
    response: Response | None
    error: ConnectorError | None
    ended_at: datetime | None


def begin(
    begun: Sequence[tuple[Exchange, int, list[int]]], fence: int, worker: str, readback: bool = False
) -> list[tuple[Any, ...]]:
    """Insert an Attempt, and the copy of its request, for each (exchange, Batch, ids of its deliveries).

    The exchanges get the ids of their Attempts. Returns what `groups.digest` takes.
    """
    now = timezone.now()
    attempts, copies = [], []
    for number, (exchange, batch, deliveries) in zip(bulk.next_ids(Attempt, len(begun)), begun, strict=True):
        exchange.attempt = number
        digest, copy = _copy_of_request(exchange)
        attempts.append((number, batch, fence, worker, VERSION, now, json.dumps(deliveries), digest))
        copies.append(copy)
    if readback:
        bulk.insert(Attempt, (*groups.ATTEMPT, "readback"), [(*attempt, True) for attempt in attempts])
    else:
        bulk.insert(Attempt, groups.ATTEMPT, attempts)
    bulk.insert(RequestCopy, ("attempt_id", "salt", "method", "url", "headers", "body", "size"), copies)
    return attempts


def _copy_of_request(exchange: Exchange) -> tuple[bytes, tuple[Any, ...]]:
    """Its digest, and what of it is stored."""
    method, url, headers, body = redaction.redact_request(exchange.request)
    salt, size = os.urandom(16), len(exchange.request.body)
    headers_text = json.dumps(headers, sort_keys=True)
    digest = groups.salted(salt, groups.request_text(method, url, headers_text, body))
    return digest, (exchange.attempt, salt, method, url, headers_text, body if size <= BODY_KEPT else None, size)


def end(landed: Sequence[Exchange], shared: Shared) -> list[tuple[Any, ...]]:
    """Insert an Answer for each exchange, and copies of what came; returns what `groups.digest` takes.

    `shared` holds what was stored before in the same Batch, and gets what is new.
    """
    copies: list[tuple[Any, ...]] = []
    answers = []
    for exchange in landed:
        copy_id, digest, date, status = None, None, "", None
        if exchange.response is not None:
            status = exchange.response.status
            copy_id, digest, date = _copy_of_answer(exchange, exchange.response, copies, shared)
        error = redaction.clean(str(exchange.error), exchange.request.secret_texts) if exchange.error else ""
        answers.append((exchange.attempt, exchange.ended_at, status, error[:300], date[:40], copy_id, digest))
    if copies:
        bulk.insert(AnswerCopy, ("id", "salt", "headers", "body", "truncated", "size"), copies)
    bulk.insert(Answer, groups.ANSWER, answers)
    return answers


def _copy_of_answer(
    exchange: Exchange, response: Response, copies: list[tuple[Any, ...]], shared: Shared
) -> AnswerNote:
    secrets = exchange.request.secret_texts
    date = redaction.clean(response.header("Date"), secrets)
    lasting = {name: value for name, value in response.headers.items() if name.lower() != "date"}
    # Looked up as it came: redacting what a vendor says a thousand times takes as long as storing it.
    alike = (tuple(lasting.items()), response.body, response.truncated)
    known = shared.get(alike)
    if known is None:
        headers, body = redaction.redact_response(replace(response, headers=lasting), secrets)
        headers_text = json.dumps(headers, sort_keys=True)
        salt, size = os.urandom(16), len(response.body)
        digest = groups.salted(salt, groups.answer_text(headers_text, body))
        known = bulk.next_ids(AnswerCopy, 1)[0], digest
        copies.append((known[0], salt, headers_text, body, response.truncated, size))
        if size <= SHARED_UP_TO:
            shared[alike] = known
    return *known, date
