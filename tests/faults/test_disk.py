"""A disk that is full: while a file is taken in, rows are claimed, answers are written, logs are printed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.db import connection
from django.utils import timezone

from connectors.emulator.testing import Emulator
from offline_portal.audit import chain
from offline_portal.models import Answer, Attempt, Delivery, Row, Upload, Wakeup
from offline_portal.wake import lost_after
from tests.conftest import Road, make_people
from tests.delivery.test_road import KISS
from tests.faults.programs import Programs, Web, until
from tests.faults.servers import Disk, Postgres, database_at, small_disk
from tests.faults.test_workers import Two

pytestmark = pytest.mark.own_stores


class Place:
    """A portal whose database, uploads, temporary files and logs all lie on one small disk."""

    def __init__(self, road: Road, programs: Programs, disk: Disk, server: Postgres | None) -> None:
        self.road, self.programs, self.disk, self.server = road, programs, disk, server

    def fill(self) -> None:
        """No byte is left; nor may SQLite go on in the room that its log has got already."""
        if connection.vendor == "sqlite":
            until(self._shrunk, "the write-ahead log is empty")
        self.disk.fill()

    def _shrunk(self) -> bool:
        with connection.cursor() as cursor:
            return cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0

    def make_room(self) -> None:
        """A server that gave up for want of room is started again, as its owner would do."""
        self.disk.empty()
        if self.server and not self.server.answers():
            self.server.end()
            (self.server.store / "postmaster.pid").unlink(missing_ok=True)
            self.server.started()

    def files(self) -> set[Path]:
        """Files, and not the folders that they lie in."""
        kept = [*(self.disk.folder / "data").rglob("*"), *(self.disk.folder / "temporary").rglob("*")]
        return {path for path in kept if path.is_file()}


@pytest.fixture(params=["sqlite", "postgres"])
def place(
    request: pytest.FixtureRequest, transactional_db: None, redis_url: str, emulator: Emulator, tmp_path: Path,
    settings: LazySettings,
) -> Iterator[Place]:  # fmt: skip
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk(24 if request.param == "sqlite" else 160))
        for name in ("data", "temporary", "logs"):
            (disk.folder / name).mkdir()
        server = None
        if request.param == "postgres":
            server = Postgres(disk.folder)
            server.started()
            stack.callback(server.end)
        stack.enter_context(database_at(server.url if server else f"sqlite:///{disk.folder}/portal.sqlite3"))
        settings.MEDIA_ROOT = str(disk.folder / "data" / "files")
        programs = Programs(disk.folder / "logs", redis_url)
        stack.callback(programs.end)
        programs.environment |= {
            "PORTAL_DATA": str(disk.folder / "data"), "TMPDIR": str(disk.folder / "temporary"), "PORTAL_LEASE": "30",
            "PORTAL_ALLOW_PRIVATE_DESTINATIONS": "1", "DEBUG": "1",
        }  # fmt: skip
        yield Place(Road(make_people(), emulator, tmp_path), programs, disk, server)
        stack.callback(disk.empty)


def refused(web: Web, path: str, said: str) -> None:
    status, text = web.upload(path, KISS.encode() * 40)
    assert status == 503, text
    assert said in text and "Traceback" not in text and str(web.program.log.parent) not in text


def test_an_upload_is_refused_clearly_and_nothing_is_half_stored(place: Place) -> None:
    web = place.programs.web().sign_in(place.road.olivia)
    before, uploads = place.files(), Upload.objects.count()
    place.fill()
    refused(web, "/api/v1/uploads", "no room left on the disk")
    refused(web, "/sends/new", "no room left on the disk")
    # Room for the temporary file, and not for a second one.
    place.disk.leave(len(KISS) * 60)
    refused(web, "/api/v1/uploads", "no room left on the disk")
    refused(web, "/sends/new", "no room left on the disk")
    # The temporary file goes once the answer has left.
    until(lambda: place.files() == before, "nothing is left lying")
    place.make_room()
    assert Upload.objects.count() == uploads and not Row.objects.exists()
    status, text = until(lambda: web.upload("/api/v1/uploads", KISS.encode()), "it is taken")
    assert status == 201, text


def test_nothing_leaves_without_a_record_and_no_answer_is_lost(place: Place) -> None:
    two = Two(place.road, place.programs)
    place.programs.sweeper()
    worker = two.worker()
    place.fill()
    time.sleep(8)
    # What had begun has its answer by now, and no room to write it down.
    arrived = two.on_the_wire()
    two.slow(None)
    assert "waits for the database" in worker.said()
    place.make_room()
    assert sum(arrived) <= Attempt.objects.count(), "nothing left without a record"
    assert two.end_well() == {"accepted": 250}, "no answer was lost"
    assert two.on_the_wire() == [120, 3]
    assert Attempt.objects.count() == Answer.objects.count() == 123


def test_what_reads_and_checks_goes_on_when_there_is_room_again(place: Place) -> None:
    text = KISS.splitlines()[0] + "\n" + "".join(
        f"person{n}@example.com,Purchased,2026-10-05 {n // 3600:02}:{n // 60 % 60:02}:{n % 60:02},1\n"
        for n in range(20_000)
    )
    web = place.programs.web().sign_in(place.road.olivia)
    where = place.road.destination("kissmetrics")
    status, _text = web.upload("/api/v1/uploads", text.encode())
    assert status == 201
    upload = Upload.objects.get()
    asked = {"upload": str(upload.pk), "destination": str(where.pk), "mapping": "auto"}
    status, send = web.api("POST", "/sends", asked)
    assert status == 201
    place.fill()
    worker = place.programs.worker("intake", PORTAL_LEASE="3")
    place.programs.sweeper(PORTAL_LEASE="3")
    time.sleep(8)
    place.make_room()
    # As if a minute had passed, after which a wake-up that nobody took is taken for lost.
    Wakeup.objects.update(created_at=timezone.now() - lost_after())
    until(lambda: web.api("GET", f"/sends/{send['id']}")[1]["status"] == "checked", "checked", said=worker.said)
    upload.refresh_from_db()
    assert (upload.status, upload.rows, Row.objects.count()) == ("ready", 20_000, 20_000)
    assert Delivery.objects.filter(verdict="ready").count() == 20_000
    assert "Traceback" not in worker.said()
    assert chain.verify().ok
