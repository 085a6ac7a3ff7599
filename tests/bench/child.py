"""One measurement in a process of its own: `python -m tests.bench.child NAME ROWS ROUNDS`; prints JSON."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from tests.bench import portal
from tests.bench.measure import as_json


def main() -> None:
    """The environment says which database and which folder (PORTAL_DATA), and where the emulator listens."""
    name, rows, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    logging.disable(logging.WARNING)
    portal.start()
    json.dump(measure(name, rows, count), sys.stdout)


def measure(name: str, rows: int, count: int) -> Any:
    """What one measurement found."""
    from connectors.emulator.testing import Emulator
    from tests.bench import intake, sending, workbook

    folder = Path(os.environ["PORTAL_DATA"])
    if name == "workbook":
        return as_json(workbook.reading(folder, rows, count))
    emulator = Emulator(os.environ.get("BENCH_EMULATOR", "http://127.0.0.1:9"))
    road = portal.Portal({vendor: emulator.base_url(vendor) for vendor in ("kissmetrics", "qubit")})
    match name:
        case "intake":
            return as_json(intake.plain(road, folder, rows, count))
        case "duplicates":
            return as_json(intake.with_a_past(road, folder, rows, count))
        case "reading":
            return intake.peak_of_reading(road, folder, rows)
        case "checking":
            return intake.peak_of_checking(road, folder, rows)
        case "single":
            return as_json(sending.one_row_a_request(road, emulator, folder, rows, count))
        case "hundred":
            return as_json(sending.hundred_rows_a_request(road, emulator, folder, rows, count))
    raise ValueError(name)


if __name__ == "__main__":
    main()
