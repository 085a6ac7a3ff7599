"""Generated spreadsheets: the same rows for every contender, some of them wrong on purpose."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.sax.saxutils import escape

HEADER = ("Visitor ID", "Date", "Order number", "Amount", "Currency", "Page")
BAD_EVERY = 100
"""Every hundredth row has no date that anybody could read."""
_FIRST_MOMENT = datetime.now(UTC).replace(microsecond=0) - timedelta(days=20)
_CURRENCIES = ("GBP", "EUR", "USD", "TRY")


def orders(rows: int, first: int = 0) -> Iterator[tuple[str, ...]]:
    """So many rows under HEADER; rows with different numbers have different order numbers."""
    for number in range(first, first + rows):
        yield (
            f"6o2diu81w9o-0irxltk5b-{number:07x}",
            "last Monday" if number % BAD_EVERY == 7 else _moment(number),
            f"C-{number:08}",
            f"{number % 5000}.{number % 100:02}",
            _CURRENCIES[number % len(_CURRENCIES)],
            f"https://shop.example.com/offer/{number % 97}" if number % 3 else "",
        )


def sheet(rows: int, first: int = 0) -> Iterator[tuple[str, ...]]:
    """HEADER and so many rows."""
    yield HEADER
    yield from orders(rows, first)


def bad(rows: int) -> int:
    """How many of the first `rows` rows are wrong."""
    return sum(1 for number in range(rows) if number % BAD_EVERY == 7)


def people(rows: int, first: int = 0) -> Iterator[tuple[str, ...]]:
    """Header and so many rows for a vendor that takes one row a request; none is wrong."""
    yield ("Email", "Event", "Date", "Prop:Billed amount", "Prop:Store")
    for number in range(first, first + rows):
        yield (f"person{number}@example.com", "Purchased", _moment(number), "49.90", "Phone")


def _moment(number: int) -> str:
    return (_FIRST_MOMENT + timedelta(seconds=number)).strftime("%Y-%m-%d %H:%M:%S")


def write_csv(path: Path, rows: Iterator[tuple[str, ...]]) -> Path:
    """Commas, UTF-8, quotes only where needed."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def write_workbook(path: Path, rows: int) -> Path:
    """A workbook as Excel writes it: shared texts, plain numbers, real dates."""
    texts: dict[str, int] = {}

    def text(value: str) -> str:
        return f'<v>{texts.setdefault(value, len(texts))}</v></c>'

    def sheet() -> Iterator[str]:
        yield f'{_XML}<worksheet xmlns="{_MAIN}"><dimension ref="A1:F{rows + 1}"/><sheetData>'
        cells = "".join(f'<c r="{column}1" t="s">{text(name)}' for column, name in zip("ABCDEF", HEADER, strict=True))
        yield f'<row r="1">{cells}</row>'
        for line, row in enumerate(orders(rows), start=2):
            visitor, date, order, amount, currency, page = row
            link = f'<c r="F{line}" t="s">{text(page)}' if page else ""
            yield (
                f'<row r="{line}"><c r="A{line}" t="s">{text(visitor)}{_date_cell(f"B{line}", date, text)}'
                f'<c r="C{line}" t="s">{text(order)}<c r="D{line}"><v>{amount}</v></c>'
                f'<c r="E{line}" t="s">{text(currency)}{link}</row>'
            )
        yield "</sheetData></worksheet>"

    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as book:
        for name, content in _PARTS.items():
            book.writestr(name, _XML + content)
        with book.open("xl/worksheets/sheet1.xml", "w") as part:
            for piece in sheet():
                part.write(piece.encode())
        shared = "".join(f"<si><t>{escape(value)}</t></si>" for value in texts)
        count = f'count="{len(texts)}" uniqueCount="{len(texts)}"'
        book.writestr("xl/sharedStrings.xml", f'{_XML}<sst xmlns="{_MAIN}" {count}>{shared}</sst>')
    return path


def _date_cell(place: str, date: str, text: Callable[[str], str]) -> str:
    if not date[0].isdigit():
        return f'<c r="{place}" t="s">{text(date)}'
    days = (datetime.fromisoformat(date) - datetime(1899, 12, 30)) / timedelta(days=1)
    return f'<c r="{place}" s="1"><v>{days:.10f}</v></c>'


_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_SHEET_ML = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_SHEET_ML}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_SHEET_ML}.worksheet+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_SHEET_ML}.styles+xml"/>'
    f'<Override PartName="/xl/sharedStrings.xml" ContentType="{_SHEET_ML}.sharedStrings+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
    '<sheet name="Orders" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="rId2" Type="{_OFFICE}/styles" Target="styles.xml"/>'
    f'<Relationship Id="rId3" Type="{_OFFICE}/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
    "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><fonts count="1"><font><sz val="11"/></font></fonts>'
    '<fills count="1"><fill><patternFill patternType="none"/></fill></fills><borders count="1"><border/></borders>'
    '<cellStyleXfs count="1"><xf/></cellStyleXfs><cellXfs count="2"><xf/>'
    '<xf numFmtId="22" applyNumberFormat="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>',
}
