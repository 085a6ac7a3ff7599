"""`manage.py inspect`: what intake reads from a file, without storing anything."""

import json
import os
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from offline_portal.intake import Limits, Options, Problem, Reading, Refused, SourceRow, open_file
from offline_portal.management.command import PortalCommand

SHOWN_ROWS = 20
SHOWN_PROBLEMS = 10_000
COMPARED_ROWS = 2_000_000  # 16 bytes each


class Command(PortalCommand):
    requires_system_checks: list[str] = []  # reads a file only
    help = "Shows what is read from each FILE: layout, columns, rows and problems. Nothing is stored."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE")
        parser.add_argument("--json", action="store_true", help="one JSON object a file, one a line")
        parser.add_argument("--all", action="store_true", help=f"all rows instead of the first {SHOWN_ROWS}")
        parser.add_argument("--sheet", help="name of the sheet (default: the first visible)")
        parser.add_argument("--header", type=int, metavar="N", help="line of the header; 0: there is none")
        parser.add_argument("--encoding", help="such as utf-8 or windows-1252 (default: recognised)")
        parser.add_argument("--delimiter", help="one character, or tab (default: recognised)")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["header"] is not None and options["header"] < 0:
            raise CommandError("--header counts lines from 1; 0 means that there is no header.", returncode=2)
        asked = Options(options["sheet"], options["header"], options["encoding"], options["delimiter"])
        refused = False
        for file in options["files"]:
            if not os.access(file, os.R_OK) or not Path(file).is_file():
                raise CommandError(f"There is no file {file}, or it may not be read.", returncode=2)
            found = inspected(file, asked, whole=options["all"])
            refused = refused or "refused" in found
            if options["json"]:
                self.stdout.write(json.dumps(found, ensure_ascii=False))
            else:
                self._tell(found)
        if refused:
            raise SystemExit(1)

    def _tell(self, found: dict[str, Any]) -> None:
        if "refused" in found:
            self.stdout.write(f"{found['file']}: refused. {found['refused']['message']}")
            return
        layout = found["sheet"] or f"{found['encoding']}, delimiter {found['delimiter']}"
        header = f"header in line {found['header_line']}" if found["header_line"] else "no header"
        self.stdout.write(f"{found['file']}: {found['format']}, {layout}, {header}, {found['rows']} rows")
        for row in [found["columns"], *found["data"]]:
            self.stdout.write("  " + " | ".join(cell.replace("\n", "↵")[:40] for cell in row))
        for problem in found["problems"]:
            self.stdout.write(f"  ! {problem['message']}")


def inspected(file: str, options: Options, whole: bool = False) -> dict[str, Any]:
    """What intake reads from `file`, or why it refuses it, as the JSON that the contract names."""
    try:
        reading = open_file(file, Path(file).name, options, limits())
        data, problems, count = _read(reading, whole)
    except Refused as refusal:
        return {"file": file, "refused": {"code": refusal.code, "message": refusal.message}}
    return {
        "file": file,
        "format": reading.format,
        "encoding": reading.encoding,
        "delimiter": reading.delimiter,
        "quote": reading.quote,
        "sheet": reading.sheet,
        "sheets": reading.sheets,
        "header_line": reading.header_line,
        "columns": reading.columns,
        "rows": count,
        "problems": [asdict(problem) for problem in problems],
        "data": data,
    }


def limits() -> Limits:
    """The limits of an upload, from the settings."""
    return Limits(
        max_bytes=settings.PORTAL_MAX_UPLOAD_MB * 1024**2,
        max_rows=settings.PORTAL_MAX_ROWS,
        max_columns=settings.PORTAL_MAX_COLUMNS,
        max_cell_bytes=settings.PORTAL_MAX_CELL_KB * 1024,
    )


def _read(reading: Reading, whole: bool) -> tuple[list[list[str]], list[Problem], int]:
    data: list[list[str]] = []
    of_rows: list[Problem] = []
    count, untold = 0, 0
    for row in _compared(reading.rows()):
        count += 1
        if whole or count <= SHOWN_ROWS:
            data.append(row.cells)
        if row.problems:
            kept = max(0, SHOWN_PROBLEMS - len(of_rows))
            of_rows += row.problems[:kept]
            untold += len(row.problems[kept:])
    problems = sorted([*reading.problems, *of_rows], key=lambda problem: problem.line or 0)
    if untold:
        message = f"There are {untold:,} more problems of this kind; only the first {SHOWN_PROBLEMS:,} are listed."
        problems.append(Problem(None, None, "more_problems", message))
    return data, problems, count


def _compared(rows: Iterator[SourceRow]) -> Iterator[SourceRow]:
    """The rows, those that repeat an earlier one with a problem that says so."""
    seen: set[bytes] = set()
    for row in rows:
        if any(row.cells):
            digest = blake2b("\0".join(row.cells).encode("utf-8", "surrogatepass"), digest_size=16).digest()
            if digest in seen:
                message = f"Line {row.line} repeats an earlier row, cell by cell."
                row = row._replace(problems=[*(row.problems or ()), Problem(row.line, None, "duplicate_row", message)])
            elif len(seen) < COMPARED_ROWS:
                seen.add(digest)
        yield row
