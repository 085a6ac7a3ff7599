"""Related Digital's reader: what it takes, what it rejects, and why."""

from __future__ import annotations

import ftplib
import io
import zipfile

import pytest

from connectors.emulator.testing import Emulator
from connectors.emulator.vendor import BadFile
from connectors.emulator.vendors import discover

GOOD = "2014-05-25 12:25:43;C-1001;7;CAT-9;SKU-55;2;199.80;Istanbul;;;;;;;;;;;;;;;PO-778"
HEADER = "Time Stamp;Customer ID;Event Type;Category;Event Name;Num1;Num2" + ";x" * 16
SLUG = "related_digital"


def read(text: str | bytes, name: str = "a.csv") -> list[tuple[int, str]]:
    """Line and reason (empty where it is accepted) of every line."""
    content = text.encode() if isinstance(text, str) else text
    found = discover()[SLUG].read_file(name, content)  # type: ignore[attr-defined]
    return [(one.key["line"], one.reason) for one in found]


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_good_lines_are_taken(end: str) -> None:
    assert read(GOOD + end + GOOD + end) == [(1, ""), (2, "")]


def test_a_header_is_left_out_and_lines_count_from_the_top() -> None:
    assert read(f"{HEADER}\r\n{GOOD}\r\n") == [(2, "")]


def test_quotes_hold_semicolons_and_quotes() -> None:
    [conversion] = discover()[SLUG].read_file("a.csv", GOOD.replace("Istanbul", '"a;b ""c"""').encode())  # type: ignore[attr-defined]
    assert conversion.content["fields"]["Var 1"] == 'a;b "c"'
    assert conversion.notes == ["the last line has no end"]


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (";PO-778", "", "22 fields instead of 23"),
        ("C-1001", "", "missing Customer ID"),
        ("SKU-55", "", "missing Event Name"),
        (";2;", ";;", "missing Num1"),
        ("199.80", "1.199,80", "Num2 is no number"),
        ("199.80", "", "missing Num2"),
        (";7;", ";8;", "Event Type is not 7"),
        ("2014-05-25 12:25:43", "2014-02-30 12:25:43", "Time Stamp is not YYYY-MM-DD HH:MM:SS"),
        ("2014-05-25 12:25:43", "2014-05-25T12:25:43", "Time Stamp is not YYYY-MM-DD HH:MM:SS"),
        ("Istanbul", 'Ist"anbul', "a quote in the wrong place in field 8"),
        ("Istanbul", '"Ist"anbul', "a quote in the wrong place in field 8"),
        ("Istanbul", "Ist\x00anbul", "a control character"),
    ],
)
def test_a_bad_line_is_rejected_with_its_reason(before: str, after: str, reason: str) -> None:
    assert read(f"{GOOD}\r\n{GOOD.replace(before, after)}\r\n{GOOD}\r\n") == [(1, ""), (2, reason), (3, "")]


def zipped(*members: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as package:
        for number, text in enumerate(members):
            package.writestr(f"{number}.csv", text)
    return file.getvalue()


def test_a_zip_holds_one_file() -> None:
    assert read(zipped(GOOD), "a.zip") == [(1, "")]
    for content in (zipped(), zipped(GOOD, GOOD), b"PK nonsense"):
        with pytest.raises(BadFile):
            read(content, "a.zip")


@pytest.mark.parametrize("content", [b"", GOOD.replace("Istanbul", "İzmir").encode("iso8859-9")])
def test_a_file_that_cannot_be_read(content: bytes) -> None:
    with pytest.raises(BadFile):
        read(content)


def test_only_finished_files_are_read(emulator: Emulator) -> None:
    with ftplib.FTP() as client:
        client.connect("127.0.0.1", emulator.doors()["ftp"]["port"], 5)
        client.login("shop", "any")
        client.cwd("/in/deep")
        client.storbinary("STOR a.csv.part", io.BytesIO(GOOD.encode()))
        assert emulator.counts(SLUG)["received"] == 0
        client.rename("a.csv.part", "a.csv")
        client.storbinary("STOR direct.csv", io.BytesIO(f"{GOOD}\n;bad\n".encode()))
        client.storbinary("STOR broken.zip", io.BytesIO(b"no zip"))
        client.quit()
    entries = emulator.ledger(SLUG, "shop")
    assert [(entry["key"]["file"], entry["key"]["line"], entry["verdict"]) for entry in entries] == [
        ("a.csv", 1, "effective"), ("direct.csv", 1, "effective"), ("direct.csv", 2, "rejected"),
        ("broken.zip", 0, "rejected"),
    ]  # fmt: skip
    assert entries[1]["repeat_of"] == entries[0]["seq"], "a repeat counts again, and is told"
    assert emulator.counts(SLUG)["requests"] == 3
