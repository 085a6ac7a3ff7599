"""What a workbook holds comes out as the text that a person sees or would have typed."""

import csv
import random
from pathlib import Path

import pytest

from offline_portal.intake import Options, Refused, SourceRow, swift
from tests.intake.books import (
    STRICT_MAIN,
    STRICT_RELATIONS,
    book,
    cell,
    opened,
    packed,
    parts,
    rows_of,
    sheet,
    told,
)

HEADER = cell("A1", "id") + cell("B1", "name")


def one(folder: Path, xml: str, **more: object) -> str:
    """The text of the cell A2 with this XML."""
    (row,) = rows_of(folder, book(sheet(cell("A1", "value"), xml), **more))
    return row.cells[0]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        (7.0, "7"),
        (-0.5, "-0.5"),
        ("4.5111977520000003", "4.511197752"),
        ("1E-7", "0.0000001"),
        ("1.5E+3", "1500"),
        ("123456789012345", "123456789012345"),
    ],
)
def test_numbers_in_the_shortest_plain_form(tmp_path: Path, value: object, text: str) -> None:
    assert one(tmp_path, f'<c r="A2"><v>{value}</v></c>') == text


@pytest.mark.parametrize(
    ("code", "value", "text"),
    [
        ("yyyy-mm-dd", 45000, "2023-03-15T00:00:00"),
        ("dd/mm/yyyy hh:mm", 45000.5, "2023-03-15T12:00:00"),
        ("hh:mm", 0.25, "06:00:00"),
        ("[h]:mm:ss", 10.5, "252:00:00"),
        ("mm:ss.0", 45000.000005787, "2023-03-15T00:00:00.500"),
        ("yyyy", 59.5, "1900-02-28T12:00:00"),
        ("yyyy", 60, "1900-02-28T00:00:00"),
        ("yyyy", 61, "1900-03-01T00:00:00"),
        ("yyyy", -1, "-1"),
        ("00000", 42, "00042"),
        ("0000", 42.5, "42.5"),
        ("0.00", 42, "42"),
        ("#,##0", 1234567, "1234567"),
        ("&quot;day&quot; 0", 42, "42"),
        ("[Red]General", 42, "42"),
        ("[$-407]d. mmmm yyyy", 45000, "2023-03-15T00:00:00"),
    ],
)
def test_formats(tmp_path: Path, code: str, value: float, text: str) -> None:
    assert one(tmp_path, cell("A2", value, 1), formats=(code,)) == text


def test_dates_count_from_1904_where_the_workbook_says_so(tmp_path: Path) -> None:
    assert one(tmp_path, cell("A2", 43538, 1), formats=("yyyy-mm-dd",), from_1904=True) == "2023-03-15T00:00:00"


@pytest.mark.parametrize(
    ("xml", "text"),
    [
        ('<c r="A2" t="b"><v>1</v></c>', "TRUE"),
        ('<c r="A2" t="b"><v>0</v></c>', "FALSE"),
        ('<c r="A2" t="d"><v>2026-04-03</v></c>', "2026-04-03T00:00:00"),
        ('<c r="A2" t="d"><v>2026-04-03T10:11:12Z</v></c>', "2026-04-03T10:11:12Z"),
        ('<c r="A2" t="str"><f>A1&amp;"x"</f><v>idx</v></c>', "idx"),
        ('<c r="A2"><f>1+1</f><v>2</v></c>', "2"),
        ('<c r="A2" t="s"><v>1</v></c>', "rich text"),
        ('<c r="A2" t="s"><v>0</v></c>', "  kept  "),
        ('<c r="A2" t="inlineStr"><is><r><t>a</t></r><r><t>b</t></r></is></c>', "ab"),
        ('<c r="A2" t="inlineStr"><is><t>one_x000D_two</t></is></c>', "one\rtwo"),
        ('<c r="A2" t="str"><v>a_x0000_b_xD800_c</v></c>', "a_x0000_b_xD800_c"),
        ('<c r="A2" t="inlineStr"><is><t>R&D &#1; &#65;</t></is></c>', "R&D  A"),
        ("<c><v>5</v></c>", "5"),
    ],
)
def test_kinds_of_cells(tmp_path: Path, xml: str, text: str) -> None:
    strings = "<si><t>  kept  </t></si><si><r><t>rich</t></r><r><t> text</t></r><rPh><t>reading</t></rPh></si>"
    assert one(tmp_path, xml, strings=strings) == text


def test_error_cells_and_long_numbers_are_named(tmp_path: Path) -> None:
    reading = opened(
        tmp_path, book(sheet(HEADER, '<c r="A2"><v>1234567890123456</v></c><c r="B2" t="e"><v>#N/A</v></c>'))
    )
    (row,) = reading.rows()
    assert row.cells == ["1234567890123456", "#N/A"]
    assert told(reading) == [(2, "id", "digits_lost"), (2, "name", "cell_error")]


def test_lines_are_the_sheet_s_row_numbers(tmp_path: Path) -> None:
    reading = opened(tmp_path, book(sheet("", HEADER, cell("A3", 1), "", "", cell("B6", "x"))))
    assert reading.header_line == 2
    assert list(reading.rows()) == [SourceRow(3, ["1", ""], None), SourceRow(6, ["", "x"], None)]
    assert told(reading) == [(4, None, "blank_line")]


def test_cells_beyond_the_columns_are_kept_and_named(tmp_path: Path) -> None:
    rows = [HEADER, *[cell(f"A{line}", line) for line in range(2, 400)], cell("A400", 1) + cell("D400", "far")]
    *_, last = rows_of(tmp_path, book(sheet(*rows)))
    assert last.cells == ["1", "", "", "far"]
    assert [(one.line, one.column, one.code) for one in last.problems or ()] == [(400, "Column C", "too_many_cells")]


def test_the_first_visible_sheet_unless_told(tmp_path: Path) -> None:
    content = book(
        sheet(cell("A1", "hidden"), cell("A2", 1)),
        sheet(cell("A1", "shown"), cell("A2", 2)),
        names=("Old", "Straße"),
        states=("hidden", ""),
    )
    reading = opened(tmp_path, content)
    assert (reading.sheet, reading.sheets, reading.columns) == ("Straße", ["Old", "Straße"], ["shown"])
    assert opened(tmp_path, content, options=Options(sheet="Old")).columns == ["hidden"]
    with pytest.raises(Refused) as refusal:
        opened(tmp_path, content, options=Options(sheet="New"))
    assert refusal.value.code == "no_such_sheet" and "Straße" in refusal.value.message


def test_merged_cells_are_named(tmp_path: Path) -> None:
    after = '<mergeCells><mergeCell ref="B2:B3"/></mergeCells>'
    reading = opened(tmp_path, book(sheet(HEADER, cell("A2", 1) + cell("B2", "x"), cell("A3", 2), after=after)))
    assert told(reading) == [(2, "name", "merged_cells")]


def test_strict_workbooks_and_odd_part_names(tmp_path: Path) -> None:
    strict = sheet(HEADER, cell("A2", 1), main=STRICT_MAIN)
    held = parts(strict, main=STRICT_MAIN, relations=STRICT_RELATIONS)
    assert rows_of(tmp_path, packed(held))[0].cells == ["1", ""]
    assert rows_of(tmp_path, packed({name.replace("/", "\\").upper(): xml for name, xml in held.items()}))


def test_an_empty_sheet_is_read_without_rows(tmp_path: Path) -> None:
    reading = opened(tmp_path, book(sheet()))
    assert (reading.columns, list(reading.rows()), told(reading)) == ([], [], [(None, None, "no_rows")])


def test_a_workbook_in_an_archive(tmp_path: Path) -> None:
    archive = packed(
        {"out/": "", "out/orders.xlsx": book(sheet(HEADER, cell("A2", 1))), "__MACOSX/x": "", ".DS_Store": ""}
    )
    assert rows_of(tmp_path, archive)[0].cells == ["1", ""]
    assert rows_of(tmp_path, packed({"orders.csv": "id;name\r\n007;x\r\n"}))[0].cells == ["007", "x"]


def large(odd: str = "") -> bytes:
    chance = random.Random(1)
    rows = [HEADER + cell("C1", "when") + cell("D1", "amount")]
    for line in range(2, 4000):
        amount = chance.choice([line, line / 8, 1.23e15, 0.1 + 0.2])
        rows.append(
            cell(f"A{line}", f"A{line:05d}") + cell(f"B{line}", "a &amp; b" if line % 7 else "")
            + cell(f"C{line}", 45000 + line / 16, 1) + cell(f"D{line}", amount)
        )  # fmt: skip
    rows[3600] = ""
    rows[3700] = cell("B3701", "   ")
    rows[3800] = odd or rows[3800]
    return book(sheet(*rows, after='<mergeCells><mergeCell ref="A5:B5"/></mergeCells>'), formats=("yyyy-mm-dd hh:mm",))


@pytest.mark.parametrize(
    "odd", ["", '<c r="A3801" t="e"><v>#REF!</v></c>', '<c r="A3801" t="inlineStr"><is><t> x</t></is></c>']
)
def test_both_readers_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: str) -> None:
    careful = opened(tmp_path, large(odd))
    expected = list(careful.rows())
    monkeypatch.setattr(swift, "FROM_BYTES", 1)
    used: list[bool] = []
    rows = swift.Child.rows
    monkeypatch.setattr(swift.Child, "rows", lambda child: [used.append(True), rows(child)][1])
    fast = opened(tmp_path, large(odd))
    assert list(fast.rows()) == expected
    assert told(fast) == told(careful)
    assert bool(used) is not bool(odd)


def test_the_careful_reader_goes_on_where_the_child_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = rows_of(tmp_path, large())
    monkeypatch.setattr(swift, "FROM_BYTES", 1)
    rows = swift.Child.rows
    monkeypatch.setattr(swift.Child, "rows", lambda child: iter([next(rows(child))]))
    assert rows_of(tmp_path, large()) == expected
    monkeypatch.setattr(swift.Child, "rows", lambda _: iter(()))
    assert rows_of(tmp_path, large()) == expected


def test_the_same_table_as_csv_and_workbook(tmp_path: Path) -> None:
    table = [["id", "note"], ["007", "+49 30 1"], ["1.234,56", 'say "hi"'], ["2", "two\nlines"]]
    escaped = [[one.replace('"', "&quot;") for one in row] for row in table]
    xml = sheet(*[cell(f"A{line}", row[0]) + cell(f"B{line}", row[1]) for line, row in enumerate(escaped, 1)])
    with open(tmp_path / "table.csv", "w", newline="") as target:
        csv.writer(target).writerows(table)
    as_text = rows_of(tmp_path, (tmp_path / "table.csv").read_bytes())
    assert [row.cells for row in rows_of(tmp_path, book(xml))] == [row.cells for row in as_text] == table[1:]
