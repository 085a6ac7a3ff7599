"""What is written as a table comes back as the same table, whatever way it was written."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offline_portal.intake import Options, Refused, encoding, open_file
from tests.intake.books import book, cell, packed, sheet

LINE_END = re.compile(r"\r\n|\r|\n")
ENCODINGS = (
    "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be",
    "windows-1252", "windows-1250", "windows-1251", "windows-1254", "iso-8859-1", "iso-8859-15", "cp932", "gb18030",
)  # fmt: skip
anything = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\ufffe\uffff"), max_size=8)
awkward = st.sampled_from(
    ['"', '""', "'", ",", ";", "\t", "|", "\n", "\r", "\r\n", "\\", '\\"', "=1+1", "007", " ", "", "#"]
)
cells = st.lists(anything | awkward, max_size=3).map("".join)
slow = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    width = draw(st.integers(1, 4))
    return draw(st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=8))


def written(table: list[list[str]], delimiter: str, end: str, encoded: str) -> tuple[bytes, list[list[str]], list[int]]:
    """The file, the cells that it can hold in this encoding, and the physical line of each row."""
    header = [f"c{place}" for place in range(len(table[0]))]
    rows = [[one.encode(encoded, "ignore").decode(encoded).lstrip("\ufeff") for one in row] for row in table]
    text, lines = "", []
    for row in [header, *rows]:
        lines.append(1 + len(LINE_END.findall(text)))
        text += delimiter.join('"' + one.replace('"', '""') + '"' for one in row) + end
    return text.encode(encoded), rows, lines[1:]


@slow
@given(
    table=tables(),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoded=st.sampled_from(ENCODINGS),
    block=st.integers(1, 40),
)
def test_any_table_in_any_dialect(
    tmp_path: Path, table: list[list[str]], delimiter: str, end: str, encoded: str, block: int
) -> None:
    content, expected, lines = written(table, delimiter, end, encoded)
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "BLOCK", block)
        reading = open_file(path, "table.csv", Options(header_line=1, encoding=encoded, delimiter=delimiter))
        rows = list(reading.rows())
        assert list(reading.rows()) == rows
    assert [row.cells for row in rows] == expected
    assert [row.line for row in rows] == lines


words = st.sampled_from(
    ["Anna", "Müller", "Łódź 12", "a, b", "x; y", 'say "hi"', "two\nlines", "007", "+49 30 1", "1.234,56", ""]
)


@slow
@given(
    table=st.lists(st.tuples(words, words, words), min_size=2, max_size=12),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoded=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "windows-1250"]),
)
def test_plausible_tables_are_recognised(
    tmp_path: Path, table: list[tuple[str, str, str]], delimiter: str, end: str, encoded: str
) -> None:
    lines = [["name", "city of purchase", "note"], *([f"Ann {place}", *row] for place, row in enumerate(table))]
    lines[0].append("more")
    text = end.join(delimiter.join('"' + one.replace('"', '""') + '"' for one in row) for row in lines)
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode(encoded))
    reading = open_file(path, "table.csv")
    assert reading.delimiter == ("tab" if delimiter == "\t" else delimiter)
    assert reading.columns == lines[0]
    assert [row.cells for row in reading.rows()] == lines[1:]


@slow
@given(content=st.binary(max_size=400) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    consume(tmp_path, content)


SOUND = book(sheet(cell("A1", "id") + cell("B1", "name"), cell("A2", 7) + cell("B2", "x &amp; y")))


@slow
@given(st.data())
def test_a_damaged_workbook_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(SOUND)
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    consume(tmp_path, bytes(content))


@slow
@given(xml=st.text(max_size=80), part=st.sampled_from(["xl/workbook.xml", "xl/worksheets/sheet1.xml", "xl/styles.xml"]))
def test_any_xml_in_a_workbook_is_read_or_refused(tmp_path: Path, xml: str, part: str) -> None:
    consume(
        tmp_path,
        packed(
            {"[Content_Types].xml": "<Types/>", "xl/workbook.xml": "<workbook/>", part: xml.encode("utf-8", "replace")}
        ),
    )


def consume(folder: Path, content: bytes) -> None:
    path = folder / "upload"
    path.write_bytes(content)
    try:
        for row in open_file(path, "upload.csv").rows():
            assert all(isinstance(one, str) for one in row.cells)
            "".join(row.cells).encode("utf-8")
    except Refused as refusal:
        assert refusal.code and refusal.message
