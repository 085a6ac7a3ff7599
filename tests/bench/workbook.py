"""Reading workbooks."""

from __future__ import annotations

from pathlib import Path

import openpyxl

from offline_portal.intake import open_file
from tests.bench import files
from tests.bench.measure import Clock, Result, Spent, ratios, rounds, times


def reading(folder: Path, rows: int, count: int) -> list[Result]:
    """All rows of one sheet, by the portal and by openpyxl in its read-only mode."""
    path = files.write_workbook(folder / "orders.xlsx", rows)
    orders = [row[2] for row in files.orders(rows)]

    def ours(number: int) -> Spent:
        clock = Clock()
        with clock.running():
            found = [row.cells[2] for row in open_file(path, "orders.xlsx").rows()]
        assert found == orders
        return clock.spent

    def theirs(number: int) -> Spent:
        clock = Clock()
        with clock.running():
            book = openpyxl.load_workbook(path, read_only=True)
            found = [row[2] for row in book["Orders"].iter_rows(min_row=2, values_only=True)]
        assert found == orders
        book.close()
        return clock.spent

    spent = rounds(count, {"portal": ours, "openpyxl": theirs})
    what = "reading XLSX, times as fast as openpyxl read-only"
    return [Result(what, 8, True, ratios(spent["openpyxl"], spent["portal"]), times(spent, rows))]
