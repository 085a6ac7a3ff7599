"""One pass of checking over all Rows of a Send, in resumable chunks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import F

import connectors
from offline_portal import bulk, claims
from offline_portal.audit import chain
from offline_portal.audit.keys import duplicate_digester
from offline_portal.checking import Plan, compile_plan
from offline_portal.checks import duplicates
from offline_portal.checks.overlay import Overlay
from offline_portal.collector import looking_between
from offline_portal.compact_json import encoder
from offline_portal.models import Delivery, Row, Send, Upload

CHUNK = 5_000
FIELDS = (
    "send_id", "generation", "line", "verdict", "problems", "warnings", "payload", "duplicate_key", "similar_key",
)

_READY, _PROBLEM, _EXCLUDED = (
    verdict.value for verdict in (Delivery.Verdict.READY, Delivery.Verdict.PROBLEM, Delivery.Verdict.EXCLUDED)
)
_encode = encoder()


class Wrong(NamedTuple):
    """What intake found in a line, as it was stored with the Row."""

    line: int | None
    column: str | None
    code: str
    message: str


class Judge:
    """Turns the cells of a line into the values of a Delivery."""

    def __init__(self, send: Send) -> None:
        self.send = send
        self.connector = connectors.get(send.destination.connector)  # type: ignore[union-attr]
        self.settings = send.settings_version.values if send.settings_version else {}
        self.plan: Plan = compile_plan(
            self.connector, send.mapping, send.upload.columns, self.settings, settings.PORTAL_TIMEZONE
        )
        self._digest = duplicate_digester()
        self._finds_similar = type(self.connector).similar_key is not connectors.base.Connector.similar_key

    def judge(self, line: int, cells: list[str], wrong: list[dict[str, Any]] | None, excluded: bool) -> tuple[Any, ...]:
        """One line as a tuple of FIELDS."""
        head = (self.send.pk, self.send.generation, line)
        if excluded:
            return (*head, _EXCLUDED, None, None, None, None, None)
        checked = self.plan.check(cells, [Wrong(**one) for one in wrong] if wrong else None)
        warnings = _encode(checked.warnings) if checked.warnings else None
        if checked.problems or checked.values is None:
            problems = _encode(checked.problems)
            return (*head, _PROBLEM, problems, warnings, None, None, None)
        values = checked.values
        payload = _encode(values)
        parts = self.connector.duplicate_key(values)
        key = self._digest(parts if parts is not None else [payload])
        similar = self.connector.similar_key(values) if self._finds_similar else None
        return (
            *head, _READY, None, warnings, payload, key,
            self._digest(similar) if similar is not None else None,
        )


def run(send_id: int) -> None:
    """Worker: check all rows behind the last one reached, then find duplicates, then say that it is checked."""
    fence = claims.take(Send, send_id, status=Send.Status.CHECKING)
    if fence is None:
        return
    send = Send.objects.select_related("upload", "destination", "settings_version").get(pk=send_id)
    if send.upload.status == Upload.Status.READING:
        claims.give_back(Send, send_id, fence)
        return
    try:
        if send.upload.status == Upload.Status.REFUSED:
            _fail(send, fence, send.upload.reason)
            return
        if send.reached_line == 0:
            claims.keep(Send, send.pk, fence, total=send.upload.rows, unchecked=send.upload.rows)
        _check_rows(send, fence)
        _finish(send, fence)
    except claims.ClaimLost:
        return
    _sweep_older_generations(send)


def _check_rows(send: Send, fence: int) -> None:
    judge, overlay = Judge(send), Overlay(send)
    for rows in looking_between(_unchecked(send)):
        judged = list(_judged(judge, rows, overlay))
        ready = sum(1 for row in judged if row[3] == "ready")
        excluded = sum(1 for row in judged if row[3] == "excluded")
        with transaction.atomic():
            claims.keep(
                Send, send.pk, fence, reached_line=rows[-1][0], unchecked=F("unchecked") - len(judged),
                ready=F("ready") + ready, excluded=F("excluded") + excluded,
                problem=F("problem") + (len(judged) - ready - excluded),
            )
            bulk.insert(Delivery, FIELDS, judged)


def _unchecked(send: Send) -> Iterator[list[tuple[Any, ...]]]:
    """Chunks of Rows behind the last line reached: line, cells, problems."""
    reached = send.reached_line
    while rows := list(
        Row.objects.filter(upload=send.upload_id, line__gt=reached)
        .order_by("line").values_list("line", "cells", "problems")[:CHUNK]
    ):
        reached = rows[-1][0]
        yield rows


def _judged(judge: Judge, rows: list[tuple[Any, ...]], overlay: Overlay) -> Iterator[tuple[Any, ...]]:
    edits = overlay.of_lines(rows[0][0], rows[-1][0])
    # The cells of a whole chunk, decoded as one text: half the time of one by one.
    cells_of_each = json.loads(f"[{','.join([text for _line, text, _found in rows])}]")
    for (line, _text, found), cells in zip(rows, cells_of_each, strict=True):
        wrong = json.loads(found) if found else None
        excluded = False
        if line in edits:
            cells, excluded = edits[line].lay_over(cells)
            wrong = edits[line].still_wrong(wrong)
        yield judge.judge(line, cells, wrong, excluded)


def _finish(send: Send, fence: int) -> None:
    with transaction.atomic():
        claims.keep(Send, send.pk, fence)
        found = duplicates.mark(send)
        if found:
            claims.keep(Send, send.pk, fence, ready=F("ready") - found, duplicate=F("duplicate") + found)
        claims.give_back(Send, send.pk, fence, status=Send.Status.CHECKED)
        done = Send.objects.get(pk=send.pk)
        chain.add(
            "portal", "send.checked", f"send:{send.pk}",
            {"ready": done.ready, "problem": done.problem, "duplicate": done.duplicate, "excluded": done.excluded},
        )


def _fail(send: Send, fence: int, reason: str) -> None:
    with transaction.atomic():
        if claims.give_back(Send, send.pk, fence, status=Send.Status.FAILED, reason=reason):
            chain.add("portal", "send.failed", f"send:{send.pk}", {})


def _sweep_older_generations(send: Send) -> None:
    """In chunks, so that nobody waits long for the write lock."""
    while ids := list(
        Delivery.objects.filter(send=send.pk, generation__lt=send.generation).values_list("pk", flat=True)[:CHUNK]
    ):
        Delivery.objects.filter(pk__in=ids)._raw_delete("default")  # type: ignore[attr-defined]
