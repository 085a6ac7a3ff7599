"""Intake of CSV: read, check, store Rows and Deliveries; also with a long past, and in flat memory."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

from tests.bench import files
from tests.bench.measure import Clock, Result, Spent, ratios, rounds, times
from tests.bench.portal import Portal

PAST = 1_000_000
"""Deliveries that the destination has already had."""
AGAIN_EVERY = 20
"""In the file for a destination with a past, every twentieth row was sent before."""


def plain(portal: Portal, folder: Path, rows: int, count: int) -> list[Result]:
    """Against django-import-export and against the floor, on the same file."""
    from tests.bench import rivals

    path = files.write_csv(folder / "orders.csv", files.sheet(rows))
    rivals.make_tables()

    def ours(number: int) -> Spent:
        where, clock = portal.destination("qubit"), Clock()
        with clock.running():
            send = portal.check(portal.read(path), where)
        assert (send.ready, send.problem) == (rows - files.bad(rows), files.bad(rows))
        _assert_stored(send, rows)
        return clock.spent

    others = {"import-export": rivals.importing(path, rows), "floor": rivals.bare(path, rows)}
    spent = rounds(count, {"portal": ours} | others)
    told = times(spent, rows)
    return [
        Result(
            "intake of CSV, times as fast as django-import-export", 7, True,
            ratios(spent["import-export"], spent["portal"]),
            {name: told[name] for name in ("portal", "import-export")},
        ),
        Result(
            "intake of CSV, times the time of csv.reader and a bare bulk insert", 4, False,
            ratios(spent["portal"], spent["floor"]), {name: told[name] for name in ("portal", "floor")},
        ),
    ]


def with_a_past(portal: Portal, folder: Path, rows: int, count: int, past: int = PAST) -> list[Result]:
    """The same, where the portal looks for duplicates among a million deliveries of the destination."""
    from tests.bench import rivals
    from tests.bench.past import give_past

    path = files.write_csv(folder / "orders.csv", files.sheet(rows))
    where = portal.destination("qubit")
    again = [row[2] for number, row in enumerate(files.orders(rows)) if number % AGAIN_EVERY == 0]
    give_past(portal, where, past, again)
    rivals.make_tables()

    def ours(number: int) -> Spent:
        clock = Clock()
        with clock.running():
            send = portal.check(portal.read(path), where)
        assert (send.problem, send.duplicate) == (files.bad(rows), len(again))
        assert send.ready == rows - files.bad(rows) - len(again)
        _assert_stored(send, rows)
        return clock.spent

    spent = rounds(count, {"portal": ours, "import-export": rivals.importing(path, rows)})
    what = f"the same with duplicate keys, {past:,} deliveries there already, times as fast as import-export"
    return [Result(what, 3, True, ratios(spent["import-export"], spent["portal"]), times(spent, rows))]


def peak_of_reading(portal: Portal, folder: Path, rows: int) -> dict[str, float]:
    """Read a file of so many rows; this process' peak memory in MB, and the seconds."""
    path = files.write_csv(folder / "orders.csv", files.sheet(rows))
    begun = time.perf_counter()
    upload = portal.read(path)
    assert upload.rows == rows
    return {"megabytes": _peak(), "seconds": time.perf_counter() - begun}


def peak_of_checking(portal: Portal, folder: Path, rows: int) -> dict[str, float]:
    """Check what another process has read."""
    from offline_portal.models import Upload

    begun = time.perf_counter()
    send = portal.check(Upload.objects.get(), portal.destination("qubit"))
    assert (send.ready, send.problem) == (rows - files.bad(rows), files.bad(rows))
    return {"megabytes": _peak(), "seconds": time.perf_counter() - begun}


def _peak() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)


def _assert_stored(send: object, rows: int) -> None:
    from offline_portal.models import Delivery, Row

    assert Row.objects.filter(upload=send.upload_id).count() == rows  # type: ignore[attr-defined]
    assert Delivery.objects.filter(send=send).count() == rows
