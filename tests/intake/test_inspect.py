"""`manage.py inspect`: the JSON of the contract, and its exit codes."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.intake.books import book, cell, sheet


def run(*arguments: str) -> tuple[list[Any], int]:
    """The objects printed with --json, and the exit code."""
    out, code = io.StringIO(), 0
    try:
        call_command("inspect", *arguments, "--json", stdout=out)
    except SystemExit as left:
        code = int(left.code or 0)
    return [json.loads(line) for line in out.getvalue().splitlines()], code


@pytest.fixture
def orders(tmp_path: Path) -> str:
    path = tmp_path / "orders.csv"
    path.write_text("id;name\n" + "".join(f"{number:03d};Müller\n" for number in range(30)) + "1;2;3\n")
    return str(path)


def test_one_object_a_file(orders: str) -> None:
    (found,), code = run(orders)
    assert code == 0
    assert list(found) == [
        "file", "format", "encoding", "delimiter", "quote", "sheet", "sheets", "header_line", "columns", "rows",
        "problems", "data",
    ]  # fmt: skip
    assert found["file"] == orders
    assert (found["encoding"], found["delimiter"], found["rows"]) == ("utf-8", ";", 31)
    assert found["data"][0] == ["000", "Müller"] and len(found["data"]) == 20
    codes = [(problem["line"], problem["column"], problem["code"]) for problem in found["problems"]]
    assert codes == [(32, "Column C", "too_many_cells")]


def test_all_rows_and_what_a_person_says(orders: str) -> None:
    (found,), _ = run(orders, "--all", "--header", "0", "--delimiter", "tab", "--encoding", "windows-1252")
    assert len(found["data"]) == found["rows"] == 32
    assert found["data"][1] == ["000;MÃ¼ller"] and found["delimiter"] == "tab"


def test_a_refused_file_does_not_stop_the_run(orders: str, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    found, code = run(str(tmp_path / "empty.csv"), orders)
    assert code == 1
    assert found[0]["refused"]["code"] == "empty" and set(found[0]) == {"file", "refused"}
    assert found[1]["rows"] == 31


def test_wrong_use_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="There is no file") as wrong:
        call_command("inspect", str(tmp_path / "none.csv"))
    assert wrong.value.returncode == 2


def test_repeated_rows_are_named(tmp_path: Path) -> None:
    path = tmp_path / "twice.csv"
    path.write_text("id,name\n1,a\n2,b\n1,a\n")
    (found,), _ = run(str(path))
    assert [(problem["line"], problem["code"]) for problem in found["problems"]] == [(4, "duplicate_row")]


def test_a_sheet_for_people(tmp_path: Path) -> None:
    path = tmp_path / "orders.xlsx"
    path.write_bytes(book(sheet(cell("A1", "id"), cell("A2", 7)), names=("Käufe",)))
    out = io.StringIO()
    call_command("inspect", str(path), "--sheet", "Käufe", stdout=out)
    assert "xlsx, Käufe, header in line 1, 1 rows" in out.getvalue()
