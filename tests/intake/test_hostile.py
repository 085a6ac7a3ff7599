"""Files made to do harm, or not what their names say: each refused by name, quickly and in little memory."""

import contextlib
import io
import os
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import pytest

from offline_portal.intake import Limits, Refused, open_file
from tests.intake.books import book, cell, opened, packed, parts, sheet

SOUND = sheet(cell("A1", "id"), cell("A2", "x"))
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)


def bomb(size: int) -> bytes:
    return book("<worksheet>" + " " * size)


def lying(declared: int) -> bytes:
    """A workbook whose sheet says in both headers that it unpacks to `declared` bytes."""
    content = bytearray(bomb(8 * 1024**2))
    real = struct.pack("<L", 8 * 1024**2 + 11)
    place = content.find(real)
    while place >= 0:
        content[place : place + 4] = struct.pack("<L", declared)
        place = content.find(real, place + 4)
    return bytes(content)


def many(count: int) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for number in range(count):
            archive.writestr(f"{number}.csv", "")
    return target.getvalue()


def repeated() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        for name, content in [*parts(SOUND).items(), ("xl/worksheets/sheet1.xml", SOUND)]:
            archive.writestr(name, content)
    return target.getvalue()


def overlapping() -> bytes:
    """Two entries in the table of contents that lead to the same bytes."""
    content = packed({"a.csv": "id\n1\n"})
    end = content.rfind(b"PK\5\6")
    start = content.rfind(b"PK\1\2", 0, end)
    entry = content[start:end]
    twice = entry + entry.replace(b"a.csv", b"b.csv")
    tail = bytearray(content[end:])
    struct.pack_into("<HHL", tail, 8, 2, 2, len(twice))
    return content[:start] + twice + bytes(tail)


def broken_checksum() -> bytes:
    content = bytearray(book(SOUND))
    right = struct.pack("<L", zlib.crc32(SOUND.encode()))
    assert right in content
    return bytes(content).replace(right, b"\1\2\3\4")


def with_doctype(part: str, declared: str, encoding: str = "utf-8") -> bytes:
    held = parts(SOUND, strings="<si><t>a</t></si>")
    plain = held[part].partition("?>")[2] or held[part]
    head = '<?xml version="1.0" encoding="UTF-16"?>' if encoding == "utf-16" else '<?xml version="1.0"?>'
    return packed({**held, part: (head + declared + plain).encode(encoding)})


LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
PADDED = "<!--" + " " * 9000 + "-->" + OUTSIDE

REFUSED = {
    "empty.csv": (b"", "empty"),
    "blank_lines.csv": (b"\r\n \r\n", "no_data"),
    "old_excel.xlsx": (OLE, "old_excel"),
    "old_excel_as_text.csv": (OLE, "old_excel"),
    "password.xlsx": (OLE + "EncryptedPackage".encode("utf-16-le"), "password_protected"),
    "binary_workbook.xlsx": (packed({"xl/workbook.bin": "x", "[Content_Types].xml": "<Types/>"}), "binary_workbook"),
    "open_document.xlsx": (packed({"mimetype": "application/vnd.oasis.opendocument.spreadsheet"}), "open_document"),
    "word.xlsx": (packed({"word/document.xml": "<w/>", "[Content_Types].xml": "<Types/>"}), "not_a_spreadsheet"),
    "pdf.csv": (b"%PDF-1.7\n1,2,3\n", "not_a_spreadsheet"),
    "page.csv": (b"\xef\xbb\xbf\n <!DOCTYPE html><html><table>", "not_a_spreadsheet"),
    "page.xlsx": (b"<html><body>1,2</body></html>", "not_a_spreadsheet"),
    "picture.csv": (b"\x89PNG\r\n\x1a\n" + bytes(50), "not_a_spreadsheet"),
    "photo.xlsx": (b"\xff\xd8\xff\xe0" + bytes(50), "not_a_spreadsheet"),
    "gzip.csv": (b"\x1f\x8b\x08" + bytes(50), "not_a_spreadsheet"),
    "xml.xlsx": (b'<?xml version="1.0"?><Workbook/>', "not_a_spreadsheet"),
    "nul.csv": (b"id,name\n1,a\0b\n2,c\n", "not_text"),
    "late_nul.csv": (b"id,name\n" + b"1,a\n" * 500_000 + b"\0", "not_text"),
    "end_of_an_archive.zip": (b"PK\5\6" + bytes(18), "empty"),
    "cut_off.xlsx": (book(SOUND)[:900], "corrupt"),
    "wrong_checksum.xlsx": (broken_checksum(), "corrupt"),
    "says_less.xlsx": (lying(4096), "zip_bomb"),
    "says_a_little_less.xlsx": (lying(4 * 1024**2), "corrupt"),
    "says_more.xlsx": (lying(64 * 1024**2), "zip_bomb"),
    "ratio.xlsx": (bomb(30 * 1024**2), "zip_bomb"),
    "count.zip": (many(10_001), "zip_bomb"),
    "overlap.zip": (overlapping(), "zip_bomb"),
    "nested.zip": (packed({"a.zip": packed({"b.csv": "id\n1\n"})}), "nested_zip"),
    "two_files.zip": (packed({"a.csv": "id\n1\n", "b.csv": "id\n2\n"}), "several_files"),
    "only_clutter.zip": (packed({"__MACOSX/._a.csv": "x", ".DS_Store": "y"}), "empty"),
    "upwards.zip": (packed({"../../a.csv": "id\n1\n"}), "unsafe_archive"),
    "repeated_part.xlsx": (repeated(), "unsafe_archive"),
    "entity_bomb.xlsx": (with_doctype("xl/sharedStrings.xml", LAUGHS), "xml_entities"),
    "entity_bomb_in_sheet.xlsx": (with_doctype("xl/worksheets/sheet1.xml", LAUGHS), "xml_entities"),
    "outside_entity.xlsx": (with_doctype("xl/workbook.xml", OUTSIDE), "xml_entities"),
    "outside_entity_wide.xlsx": (with_doctype("xl/worksheets/sheet1.xml", OUTSIDE, "utf-16"), "xml_entities"),
    "outside_entity_far_down.xlsx": (with_doctype("xl/worksheets/sheet1.xml", PADDED), "xml_entities"),
    "no_sheets.xlsx": (packed(parts()), "no_data"),
    "broken_xml.xlsx": (book("<worksheet><sheetData><row><c"), "corrupt"),
    "far_away_column.xlsx": (book(sheet(cell("A1", "id") + cell("XFD1", "x"), cell("A2", 1))), "too_many_columns"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name_and_quickly(tmp_path: Path, name: str) -> None:
    content, code = REFUSED[name]
    started = time.monotonic()
    with pytest.raises(Refused) as refusal:
        opened(tmp_path, content, name)
    assert refusal.value.code == code
    assert refusal.value.message.endswith(".") and "Traceback" not in refusal.value.message
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("content", "limits", "code"),
    [
        (b"a,b\n1,2\n3,4\n5,6\n", {"max_rows": 2}, "too_many_rows"),
        (b"a,b,c\n1,2,3\n", {"max_columns": 2}, "too_many_columns"),
        (b"a,b\n1,2\n1,2,3,4\n", {"max_columns": 3}, "too_many_columns"),
        (b"a,b\n1," + b"x" * 3000 + b"\n", {"max_cell_bytes": 2048}, "cell_too_large"),
        (b'a,b\n1,"' + b"line\n" * 600 + b'"\n', {"max_cell_bytes": 2048}, "cell_too_large"),
        ("a,b\n1,{}\n".format("é" * 1100).encode(), {"max_cell_bytes": 2048}, "cell_too_large"),
        (b"x" * 100, {"max_bytes": 99}, "too_large"),
        (packed({"a.csv": "id\n" + "1\n" * 600}), {"max_bytes": 1000}, "too_large"),
        (book(sheet(cell("A1", "a"), cell("A2", 1), cell("A3", 2))), {"max_rows": 1}, "too_many_rows"),
        (book(sheet(cell("A1", "a"), cell("A2", "x" * 3000))), {"max_cell_bytes": 2048}, "cell_too_large"),
    ],
)
def test_over_a_limit(tmp_path: Path, content: bytes, limits: dict[str, int], code: str) -> None:
    with pytest.raises(Refused) as refusal:
        list(opened(tmp_path, content, **limits).rows())
    assert refusal.value.code == code


def test_a_late_nul_character_is_refused_whatever_the_encoding(tmp_path: Path) -> None:
    content = ("id,name\n" + "1,a\n" * 100_000 + "2,\0\n").encode("utf-16")
    with pytest.raises(Refused) as refusal:
        list(opened(tmp_path, content).rows())
    assert refusal.value.code == "not_text"


def test_one_open_quote_does_not_swallow_the_file(tmp_path: Path) -> None:
    lines = [b"id,note,more", b'1,"never closed,x', *(b"%d,fine,y" % number for number in range(2, 5000))]
    rows = list(opened(tmp_path, b"\n".join(lines), max_cell_bytes=4096).rows())
    assert [row.line for row in rows] == list(range(2, 5001))
    assert {problem.code for problem in rows[0].problems or ()} == {"unclosed_quote", "too_few_cells"}
    assert all(row.problems is None for row in rows[1:])


def test_a_claimed_size_costs_nothing(tmp_path: Path) -> None:
    claimed = sheet(cell("A1", "id"), cell("A2", 1)).replace(
        "<sheetData>", '<dimension ref="A1:XFD1048576"/><sheetData>'
    )
    assert [row.cells for row in opened(tmp_path, book(claimed)).rows()] == [["1"]]


def test_fifty_thousand_merged_ranges_are_capped(tmp_path: Path) -> None:
    merged = "".join(f'<mergeCell ref="A{line}:B{line}"/>' for line in range(3, 50_003))
    reading = opened(tmp_path, book(sheet(cell("A1", "id"), cell("A2", 1), after=f"<mergeCells>{merged}</mergeCells>")))
    list(reading.rows())
    assert sum(problem.code == "merged_cells" for problem in reading.problems) == 100


MEASURED = """
import re, sys
from offline_portal.intake import Refused, open_file
try:
    for _ in open_file(sys.argv[1], "upload").rows():
        pass
except Refused as refusal:
    print(refusal.code, re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
"""


LARGE = {
    "long_line": (lambda: b"id,name\n1," + b"x" * (50 * 1024**2), "cell_too_large"),
    "long_cell": (lambda: b'id,name\n1,"' + b"x\n" * (25 * 1024**2) + b'"', "cell_too_large"),
    "many_quotes": (lambda: b'id,name\n1,"' + b'""' * (25 * 1024**2), "cell_too_large"),
    "ratio": (lambda: bomb(200 * 1024**2), "zip_bomb"),
    "long_tag": (lambda: book(f'<worksheet><row r="{os.urandom(9 * 1024**2).hex()}">'), "corrupt"),
    "long_text": (lambda: book('<worksheet><row><c t="str"><v>' + os.urandom(9 * 1024**2).hex()), "cell_too_large"),
    "many_columns": (lambda: b"a," * (25 * 1024**2), "too_many_columns"),
}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to read the memory from")
@pytest.mark.parametrize("name", LARGE)
def test_refusals_take_little_memory(tmp_path: Path, name: str) -> None:
    make, code = LARGE[name]
    path = tmp_path / "upload"
    path.write_bytes(make())
    started = time.monotonic()
    run = subprocess.run([sys.executable, "-c", MEASURED, str(path)], capture_output=True, text=True, timeout=60)
    assert run.stdout, run.stderr
    found, kilobytes = run.stdout.split()
    assert (found, int(kilobytes) < 300 * 1024) == (code, True), kilobytes
    assert time.monotonic() - started < 10


def test_nothing_is_left_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    for content in (packed({"a.csv": "id\n1\n"}), packed({"a.csv": b"\0"}), packed({"a.xlsx": book(SOUND)})):
        path = tmp_path / "upload"
        path.write_bytes(content)
        with contextlib.suppress(Refused):
            list(open_file(path, "upload.zip", limits=Limits()).rows())
    assert list(folder.iterdir()) == []
