"""Rows to take away: those with problems, and those that were not accepted, as a workbook."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

from django.http import HttpRequest, HttpResponse
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.comments import Comment
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet._write_only import WriteOnlyWorksheet

from offline_portal import listing
from offline_portal.access.roles import OPS, role
from offline_portal.listing import SendRow
from offline_portal.models import Delivery, Send
from offline_portal.screens import tones
from offline_portal.screens.steps import the_send

MOST = 100_000
_KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_BAD = PatternFill("solid", fgColor="FBE3E1")
_NOT_ACCEPTED = ("rejected", "failed", "unknown", "cancelled")


@role(OPS)
def problems(request: HttpRequest, pk: int) -> HttpResponse:
    """The rows with problems: bad cells coloured, the reason in the last column and as a note on the cell."""
    send = the_send(pk)
    return _workbook(send, _with_problems(send), "problems")


@role(OPS)
def not_accepted(request: HttpRequest, pk: int) -> HttpResponse:
    """The rows that were sent but not accepted, and why."""
    send = the_send(pk)
    return _workbook(send, _not_accepted(send), "not-accepted")


def _with_problems(send: Send) -> Iterator[tuple[SendRow, str]]:
    key: int | None = None
    for _page in range(MOST // 1_000):
        page = listing.send_rows(send, "problem", key, 1_000)
        for row in page.items:
            yield row, " ".join(problem["message"] for problem in row.problems)
        if (key := page.next) is None:
            return


def _not_accepted(send: Send) -> Iterator[tuple[SendRow, str]]:
    found = Delivery.objects.filter(send=send, generation=send.generation, status__in=_NOT_ACCEPTED).order_by(
        "line"
    )
    for delivery in found[:MOST].iterator(chunk_size=1_000):
        row = listing.send_row(send, delivery.line)
        if row is not None:
            yield row, f"{tones.ROWS[delivery.status].word}. {delivery.message}".strip()


def _workbook(send: Send, rows: Iterable[tuple[SendRow, str]], what: str) -> HttpResponse:
    book = Workbook(write_only=True)
    sheet = book.create_sheet(what)
    sheet.freeze_panes = "A2"
    heads = [*send.upload.columns, "Line", "Reason"]
    sheet.append([_text(sheet, head, font=Font(bold=True)) for head in heads])
    for row, reason in rows:
        notes = {problem["column"]: problem["message"] for problem in row.problems}
        cells = [_cell(sheet, row.cells.get(column, ""), notes.get(column, "")) for column in send.upload.columns]
        sheet.append([*cells, row.line, _text(sheet, reason)])
    file = io.BytesIO()
    book.save(file)
    answer = HttpResponse(file.getvalue(), content_type=_KIND)
    name = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in send.upload.filename)
    answer["Content-Disposition"] = f'attachment; filename="{what}-{name.rpartition(".")[0] or name}.xlsx"'
    return answer


def _cell(sheet: WriteOnlyWorksheet, text: str, note: str) -> WriteOnlyCell:
    cell = _text(sheet, text)
    if note:
        cell.fill, cell.comment = _BAD, Comment(note, "Offline Portal")
    return cell


def _text(sheet: WriteOnlyWorksheet, text: str, font: Font | None = None) -> WriteOnlyCell:
    """A cell that stays text: nothing that begins with `=` becomes a formula."""
    cell = WriteOnlyCell(sheet, value="")
    cell._value, cell.data_type = "".join(letter for letter in text if letter >= " " or letter in "\t\n"), "s"
    if font:
        cell.font = font
    return cell
