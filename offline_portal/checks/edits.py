"""A person mends one row of a Send: cells changed, or the row left out, and at once checked again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F

from offline_portal.audit import chain
from offline_portal.checks import duplicates
from offline_portal.checks.judging import FIELDS, Judge
from offline_portal.checks.overlay import LineEdits, Overlay
from offline_portal.checks.withdrawal import withdraw
from offline_portal.models import Delivery, Edit, Row, Send


class NotEditable(Exception):
    """The Send is not in a state in which its rows can be changed. `code` is stable; the message is for a person."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class CellTooLarge(NotEditable):
    """A cell larger than a file may hold. `column` names it."""

    def __init__(self, column: str) -> None:
        message = f"A cell has at most {settings.PORTAL_MAX_CELL_KB:,} KB. Shorten what stands in “{column}”."
        super().__init__("cell_too_large", message)
        self.column = column


def edit_cells(send: Send, line: int, cells: Mapping[str, str], actor: User) -> Delivery:
    """Change cells ({column: text}) of one line and check it again.

    Raises NotEditable when the Send is not `checked`, CellTooLarge, KeyError for an unknown column, Row.DoesNotExist
    for a line that the file does not have.
    """
    unknown = [column for column in cells if column not in send.upload.columns]
    if unknown:
        raise KeyError(unknown[0])
    for column, text in cells.items():
        if len(text.encode()) > settings.PORTAL_MAX_CELL_KB * 1024:
            raise CellTooLarge(column)
    edits = [Edit(send=send, line=line, column=column, text=text, created_by=actor) for column, text in cells.items()]
    return _apply(send, line, edits, actor, "row.edited", {"line": line, "columns": sorted(cells)})


def exclude(send: Send, line: int, excluded: bool, actor: User) -> Delivery:
    """Leave one line out, or take it back in. Raises as `edit_cells`."""
    edits = [Edit(send=send, line=line, column=None, excluded=excluded, created_by=actor)]
    return _apply(send, line, edits, actor, "row.excluded" if excluded else "row.included", {"line": line})


def _apply(send: Send, line: int, edits: list[Edit], actor: User, action: str, detail: dict[str, Any]) -> Delivery:
    with transaction.atomic():
        send = Send.objects.select_for_update(of=("self",)).select_related(
            "upload", "destination", "settings_version"
        ).get(pk=send.pk)
        withdraw(send, actor.get_username(), "A row was changed after it was queued. Queue it again.")
        _must_be_editable(send)
        row = Row.objects.get(upload=send.upload_id, line=line)
        Edit.objects.bulk_create(edits)
        _judge_again(send, row)
        chain.add(actor.get_username(), action, f"send:{send.pk}", detail)
    return Delivery.objects.get(send=send, generation=send.generation, line=line)


def _must_be_editable(send: Send) -> None:
    if send.status == Send.Status.CHECKING:
        raise NotEditable("still_checking", "This send is still being checked. Wait until that is done.")
    if send.status != Send.Status.CHECKED:
        raise NotEditable("already_queued", "This send is already on its way; its rows cannot be changed any more.")


def _judge_again(send: Send, row: Row) -> None:
    """Judge the line anew, and with it every row that shares its old or its new duplicate key."""
    delivery = Delivery.objects.get(send=send, generation=send.generation, line=row.line)
    edits = Overlay(send).of_lines(row.line, row.line).get(row.line, LineEdits())
    cells, excluded = edits.lay_over(json.loads(row.cells))
    wrong = edits.still_wrong(json.loads(row.problems) if row.problems else None)
    fresh = dict(zip(FIELDS, Judge(send).judge(row.line, cells, wrong, excluded), strict=True))
    keys = [bytes(key) for key in {delivery.duplicate_key, fresh["duplicate_key"]} if key is not None]
    Delivery.objects.filter(pk=delivery.pk).update(
        **{name: fresh[name] for name in FIELDS[3:]}, duplicate_of=None, similar_line=None
    )
    change = dict.fromkeys(("ready", "problem", "duplicate", "excluded"), 0)
    change[delivery.verdict] -= 1
    change[fresh["verdict"]] += 1
    if keys:
        freed = duplicates.release(send, keys)
        marked = duplicates.mark(send, keys)
        change["ready"] += freed - marked
        change["duplicate"] += marked - freed
    Send.objects.filter(pk=send.pk).update(**{name: F(name) + by for name, by in change.items() if by})


def cells_of(send: Send, rows: list[tuple[int, str]]) -> dict[int, dict[str, str]]:
    """The cells of lines as edited, {line: {column: text}}; `rows` are (line, cells as stored), in order of line."""
    if not rows:
        return {}
    edits = Overlay(send).of_lines(rows[0][0], rows[-1][0])
    shown = {}
    for line, text in rows:
        cells = json.loads(text)
        if line in edits:
            cells, _excluded = edits[line].lay_over(cells)
        shown[line] = dict(zip(send.upload.columns, cells, strict=False))
    return shown
