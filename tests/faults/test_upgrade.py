"""Programs of one version at the tables of another: they say so, do nothing, and go on once it fits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection

from offline_portal import health
from offline_portal.models import Send
from tests.conftest import Road
from tests.delivery.test_road import KISS
from tests.faults.programs import Programs, until
from tests.faults.soundness import must_be_sound, tally


@contextmanager
def newer() -> Iterator[str]:
    """A migration that the programs do not know has been made."""
    name = "9999_of_tomorrow"
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('portal', %s, '2030-01-01')", [name])
    try:
        yield name
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM django_migrations WHERE name = %s", [name])


@contextmanager
def older() -> Iterator[str]:
    """The last migration that the programs know has not been made."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(name) FROM django_migrations WHERE app = 'portal'")
        (name,) = cursor.fetchone()
        cursor.execute("UPDATE django_migrations SET app = 'aside' WHERE name = %s", [name])
    try:
        yield name
    finally:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE django_migrations SET app = 'portal' WHERE name = %s AND app = 'aside'", [name])


def is_over(send: Send) -> bool:
    send.refresh_from_db()
    return send.status == "finished"


@pytest.mark.parametrize("version", [newer, older])
def test_workers_that_do_not_fit_begin_nothing_and_go_on_once_they_do(
    road: Road, programs: Programs, version: object
) -> None:
    send = road.queue(road.check(road.upload(KISS), road.destination("kissmetrics")))
    with version() as name:  # type: ignore[operator]
        worker, sweeper = programs.worker(), programs.sweeper()
        for program in (worker, sweeper):
            until(lambda program=program: name in program.said(), "it says what does not fit", said=programs.said)
        assert health.health()["database"] != "ok"
        assert programs.command("sweep").returncode == 1
        assert tally(send) == {"queued": 120} and road.emulator.counts("kissmetrics")["requests"] == 0
    until(lambda: is_over(send), "it is sent after all", said=programs.said)
    assert must_be_sound(road, send) == {"accepted": 120}
    assert road.emulator.counts("kissmetrics")["requests"] == 120
    assert "Traceback" not in programs.said()


def test_the_tables_change_while_a_worker_sends(road: Road, programs: Programs) -> None:
    road.emulator.change("kissmetrics", delay_ms=200)
    where = road.destination("kissmetrics", values={"rate": 20})
    send = road.queue(road.check(road.upload(KISS), where))
    worker = programs.worker(PORTAL_SHIFT_SECONDS="2")
    programs.sweeper()
    until(lambda: road.emulator.counts("kissmetrics")["requests"] > 5, "it sends", said=programs.said)
    with newer() as name:
        until(lambda: name in worker.said() and not worker.horse(), "it ends and says why", said=programs.said)
        found = tally(send)
        assert set(found) <= {"accepted", "queued"}, "what was on the wire was awaited and written"
    until(lambda: is_over(send), "it goes on", said=programs.said)
    assert must_be_sound(road, send) == {"accepted": 120}
    assert road.emulator.counts("kissmetrics")["requests"] == 120
