"""Names that are safe to show, chunks, and the promise that memory does not grow with the rows."""

import subprocess
import sys
from pathlib import Path

import pytest

from offline_portal.intake import Options, Refused, safe_name
from tests.intake.books import opened, rows_of, told


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("orders.csv", "orders.csv"),
        ("C:\\Users\\x\\orders.csv", "orders.csv"),
        ("../../etc/passwd", "passwd"),
        ("a\"b'c\n<d>.csv", "a b c d .csv"),
        ("fdp\u202evsc.exe\u200f.csv", "fdpvsc.exe.csv"),
        ("x" * 300 + ".xlsx", "x" * 110 + "….xlsx"),
        ("Käufe März.xlsx", "Käufe März.xlsx"),
        ("\0\n", "file"),
    ],
)
def test_safe_names(given: str, shown: str) -> None:
    assert safe_name(given) == shown
    assert len(safe_name(given)) <= 120


def test_chunks_hold_every_row_once(tmp_path: Path) -> None:
    reading = opened(tmp_path, "id\n" + "".join(f"{number}\n" for number in range(1234)))
    chunks = list(reading.chunks(100))
    assert [len(chunk) for chunk in chunks] == [100] * 12 + [34]
    assert [row for chunk in chunks for row in chunk] == list(reading.rows())


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (Options(encoding="klingon"), "unknown_encoding"),
        (Options(encoding="hex"), "unknown_encoding"),
        (Options(delimiter=";;"), "bad_delimiter"),
        (Options(header_line=9), "bad_header_line"),
    ],
)
def test_wrong_options_are_named(tmp_path: Path, options: Options, code: str) -> None:
    with pytest.raises(Refused) as refusal:
        opened(tmp_path, "a,b\n1,2\n", options=options)
    assert refusal.value.code == code


def test_blank_lines_are_noted_once_a_reading(tmp_path: Path) -> None:
    reading = opened(tmp_path, "a,b\n\n1,2\n\n")
    assert told(reading) == told(reading) == [(2, None, "blank_line"), (4, None, "blank_line")]


def test_rows_keep_their_text(tmp_path: Path) -> None:
    cells = ["007", "12345678901234567890", "+49301", "1.234,56", "1e3", "=1+1", " x ", "NaN"]
    assert rows_of(tmp_path, ";".join("abcdefgh") + "\n" + ";".join(cells) + "\n")[0].cells == cells


PEAK = """
import re, sys
from offline_portal.intake import open_file
for _ in open_file(sys.argv[1], "upload").chunks():
    pass
print(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to read the memory from")
def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    peaks = []
    for count in (60_000, 300_000):
        path = tmp_path / f"{count}.csv"
        path.write_text("id,email,note\n" + "".join(f"{row},a{row}@example.com,some note\n" for row in range(count)))
        run = subprocess.run([sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True)
        peaks.append(int(run.stdout))
    assert peaks[1] < 1.15 * peaks[0]
