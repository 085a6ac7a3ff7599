"""Every file in `oddities` is read as the JSON beside it says; its name tells what is odd."""

import json
from pathlib import Path

import pytest

from offline_portal.intake import open_file

FILES = sorted(file for file in (Path(__file__).parent / "oddities").iterdir() if file.suffix not in (".json", ""))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_oddity(file: Path) -> None:
    reading = open_file(file, file.name)
    rows = list(reading.rows())
    problems = [*reading.problems, *(problem for row in rows for problem in row.problems or ())]
    assert json.loads(file.with_suffix(".json").read_text("utf-8")) == {
        "encoding": reading.encoding,
        "delimiter": reading.delimiter,
        "quote": reading.quote,
        "header_line": reading.header_line,
        "columns": reading.columns,
        "rows": [[row.line, *row.cells] for row in rows],
        "problems": [[problem.line, problem.column, problem.code] for problem in problems],
    }
    assert all(problem.message.endswith((".", "!")) for problem in problems)
