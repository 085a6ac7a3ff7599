"""Two spreadsheets a vendor: a sample to try the portal with, some of its rows bad, and a template to fill in."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from openpyxl import Workbook
from openpyxl.comments import Comment
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from connectors import all_connectors
from connectors.base import Connector, Field
from offline_portal import mapping as mappings

_WIDEST = 40
_LONGEST_LIST = 255
"""Characters that Excel takes for a drop-down written into the sheet."""
_LAST_ROW = 10_000


def sample_csv(connector: Connector) -> bytes:
    """The sample of a vendor as CSV: commas, UTF-8 with the mark by which Excel knows it."""
    text = io.StringIO()
    csv.writer(text).writerows(connector.sample)
    return text.getvalue().encode("utf-8-sig")


def sample_xlsx(connector: Connector) -> bytes:
    """The sample of a vendor as a workbook. Every cell is text, as in the CSV."""
    return _saved(_book(connector, connector.sample))


def template_xlsx(connector: Connector) -> bytes:
    """A workbook to fill in: headers that map themselves, help as notes, choices as drop-downs, two example rows."""
    header, *rows = connector.sample
    fields = _fields_of(connector, header, rows)
    unused = [field for field in connector.fields if not field.is_family and field not in fields]
    examples = [(*row, *[""] * len(unused)) for row in rows[:2]]
    book = _book(connector, [(*header, *[field.label for field in unused]), *examples])
    for number, field in enumerate([*fields, *unused], start=1):
        if field is not None:
            _explain(book.active, number, field)
    return _saved(book)


def _fields_of(connector: Connector, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[Field | None]:
    """The field that each column of the sample maps itself to."""
    mapping = mappings.auto(connector, list(header), [list(row) for row in rows], None, {})
    by_column = {source.get("column"): connector.field(key) for key, source in mapping.items()}
    return [by_column.get(column) for column in header]


def _explain(sheet: Worksheet, number: int, field: Field) -> None:
    """Put what a person must know of a field where they fill it in."""
    needed = {True: "Needed in every row. ", "conditional": "Needed in some rows. "}.get(field.required, "")
    example = f" Example: {field.example}" if field.example else ""
    note = Comment(f"{needed}{field.help}{example}", "Offline Portal", width=320, height=140)
    sheet.cell(1, number).comment = note
    listed = ",".join(choice.value for choice in field.choices)
    if listed and len(listed) <= _LONGEST_LIST and '"' not in listed:
        drop_down = DataValidation("list", formula1=f'"{listed}"', allow_blank=field.required is not True)
        sheet.add_data_validation(drop_down)
        letter = get_column_letter(number)
        drop_down.add(f"{letter}2:{letter}{_LAST_ROW}")


def _book(connector: Connector, rows: Sequence[Sequence[str]]) -> Workbook:
    book = Workbook()
    sheet = book.active
    sheet.title = connector.name[:31]
    for row in rows:
        sheet.append(row)
    for number, cells in enumerate(zip(*rows, strict=True), start=1):
        longest = max(map(len, cells), default=0)
        sheet.column_dimensions[get_column_letter(number)].width = min(_WIDEST, longest + 2)
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    sheet.freeze_panes = "A2"
    return book


def _saved(book: Workbook) -> bytes:
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def write_samples(folder: Path) -> None:
    """Put `SLUG.csv` and `SLUG.xlsx` of every vendor that has a sample into `folder`, but overwrite none."""
    folder.mkdir(parents=True, exist_ok=True)
    for connector in all_connectors().values():
        for ending, make in ((".csv", sample_csv), (".xlsx", sample_xlsx)):
            path = folder / f"{connector.slug}{ending}"
            if connector.sample and not path.exists():
                path.write_bytes(make(connector))
