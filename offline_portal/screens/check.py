"""Step 4 of a new send: what can be sent, what cannot and why, and mending it in place."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

import connectors
from offline_portal import checks, listing, problem_kinds
from offline_portal.access.roles import OPS, role
from offline_portal.listing import SendRow
from offline_portal.models import Edit, Send
from offline_portal.screens.steps import after, frame_of, is_open, the_send

A_PAGE = 50
VERDICTS = ("ready", "problem", "duplicate", "excluded")


class Where(NamedTuple):
    """Which rows a page shows: of this verdict, with a problem of this kind (if any), behind this line."""

    show: str
    code: str = ""
    column: str = ""
    after: int | None = None

    def query(self) -> str:
        """As an address says it."""
        return urlencode({name: value for name, value in self._asdict().items() if value})


class Kind(NamedTuple):
    """Problems of one kind, and where their rows are shown."""

    code: str
    column: str
    message: str
    rows: int
    address: str
    here: bool


@dataclass
class Cell:
    """One cell of the grid: its text, what is wrong with it, whether someone changed it."""

    index: int
    text: str
    state: str
    size: int
    """The width of its column in characters."""


@dataclass
class GridRow:
    """One line of the grid."""

    row: SendRow
    cells: list[Cell]
    similar: str


@role(OPS)
def check(request: HttpRequest, pk: int) -> HttpResponse:
    """The rows by verdict, page by page; while they are checked, how far that is."""
    send = the_send(pk)
    if not is_open(send):
        return redirect("send", pk)
    if send.destination_id is None:
        return redirect("send-columns", pk)
    context = frame_of(send, 4) | {"checked": send.total - send.unchecked}
    if send.status != Send.Status.CHECKED:
        if request.htmx and request.GET.get("wait"):
            return render(request, "sends/checking.html", context)
        return render(request, "sends/check.html", context)
    if request.htmx and request.GET.get("wait"):
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    return render(request, "sends/check.html", context | _grid(request, send))


@role(OPS)
@require_POST
def edit(request: HttpRequest, pk: int, line: int) -> HttpResponse:
    """Take the changed cells of one line and check it again."""
    send = the_send(pk)
    row = listing.send_row(send, line)
    if row is None:
        return _back(request, send)
    changed = {}
    for index, column in enumerate(send.upload.columns):
        text = request.POST.get(f"cell:{index}")
        if text is not None and text != row.cells.get(column, ""):
            changed[column] = text
    try:
        if changed:
            checks.edit_cells(send, line, changed, request.user)
    except checks.NotEditable as refusal:
        return _told(request, send, refusal.message)
    return _answer(request, send, line)


@role(OPS)
@require_POST
def exclude(request: HttpRequest, pk: int, line: int) -> HttpResponse:
    """Leave a line out, or take it back in."""
    send = the_send(pk)
    try:
        checks.exclude(send, line, request.POST.get("excluded") == "yes", request.user)
    except checks.NotEditable as refusal:
        return _told(request, send, refusal.message)
    return _answer(request, send, line)


def _where(request: HttpRequest, send: Send) -> Where:
    """What the address asks for, or the page that a form was on."""
    asked = request.POST if request.method == "POST" else request.GET
    start = "problem" if send.problem else "duplicate" if send.duplicate and not send.ready else "ready"
    show = asked.get("show", start)
    code = asked.get("code", "") if show == "problem" else ""
    return Where(show if show in VERDICTS else start, code, asked.get("column", "") if code else "", after(request))


def _grid(request: HttpRequest, send: Send) -> dict[str, Any]:
    where = _where(request, send)
    kind = (where.code, where.column) if where.code else None
    page = listing.send_rows(send, where.show, where.after, A_PAGE, kind)
    following = where._replace(after=page.next)
    return _numbers(send, where) | {
        "rows": grid_rows(send, page.items),
        "next": f"{_address(send)}?{following.query()}" if page.next else "",
        "heads": heads(send),
    }


def _numbers(send: Send, where: Where) -> dict[str, Any]:
    """All that changes with a row beside the row itself: the four numbers, and what is wrong by kind."""
    kinds = problem_kinds.counted(send) if where.show == "problem" and send.problem else []
    return where._asdict() | {
        "tiles": [(one, getattr(send, one), f"{_address(send)}?show={one}", one == where.show) for one in VERDICTS],
        "kinds": [
            Kind(
                *kind,
                f"{_address(send)}?{Where('problem', kind.code, kind.column).query()}",
                (kind.code, kind.column) == (where.code, where.column),
            )
            for kind in kinds
        ],
        "counted": problem_kinds.COUNTED_ROWS,
    }


def _address(send: Send) -> str:
    return reverse("send-check", args=[send.pk])


def heads(send: Send) -> list[tuple[str, str]]:
    """The file's columns, and the fields that each of them feeds."""
    connector = connectors.get(send.destination.connector) if send.destination else None
    fed: dict[str, list[str]] = {}
    for key, source in send.mapping.items():
        declared = connector.field(key) if connector else None
        word = key.partition(":")[2] if declared and declared.is_family else declared.label if declared else key
        fed.setdefault(source.get("column", ""), []).append(word)
    return [(column, ", ".join(fed.get(column, []))) for column in send.upload.columns]


def grid_rows(send: Send, rows: Collection[SendRow]) -> list[GridRow]:
    """Rows with the state of each cell."""
    lines = [row.line for row in rows]
    edits = Edit.objects.filter(send=send, line__in=lines).exclude(column=None).values_list("line", "column")
    edited = set(edits)
    sizes = _sizes(send.upload.columns, rows)
    connector = connectors.get(send.destination.connector) if send.destination else None
    return [_grid_row(send, row, edited, sizes, connector.similar_warning if connector else "") for row in rows]


def _sizes(columns: list[str], rows: Collection[SendRow]) -> list[int]:
    """How wide each column is drawn, in a browser's broad characters: as its longest cell, within reason."""
    longest = [max((len(row.cells.get(column, "")) for row in rows), default=0) for column in columns]
    return [min(max(ceil(0.9 * length), 5), 28) for length in longest]


def _grid_row(send: Send, row: SendRow, edited: set[tuple[int, str]], sizes: list[int], similar: str) -> GridRow:
    bad = {problem["column"] for problem in row.problems}
    warned = {warning["column"] for warning in row.warnings}
    cells = []
    for index, column in enumerate(send.upload.columns):
        states = ["bad"] if column in bad else ["warned"] if column in warned else []
        if (row.line, column) in edited:
            states.append("edited")
        cells.append(Cell(index, row.cells.get(column, ""), " ".join(states), sizes[index]))
    line = row.delivery.similar_line if row.delivery else None
    return GridRow(row, cells, f"Line {line}: {similar}" if line else "")


def _answer(request: HttpRequest, send: Send, line: int) -> HttpResponse:
    """The one row again, and the numbers; without script the page it came from."""
    if not request.htmx:
        return _back(request, send)
    send = the_send(send.pk)
    row = listing.send_row(send, line)
    changed = {"item": grid_rows(send, [row] if row else [])[0], "fresh": True}
    context = frame_of(send, 4) | _numbers(send, _where(request, send)) | changed
    return render(request, "sends/row_changed.html", context)


def _told(request: HttpRequest, send: Send, words: str) -> HttpResponse:
    messages.warning(request, words)
    if request.htmx:
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    return _back(request, send)


def _back(request: HttpRequest, send: Send) -> HttpResponse:
    return redirect(f"{_address(send)}?{_where(request, send).query()}")
