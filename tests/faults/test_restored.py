"""An older database takes the place of a newer one: nothing that it takes for unsent leaves without a warning."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection, connections
from django.utils import timezone
from redis import Redis

from connectors.emulator.testing import Emulator
from offline_portal import destinations
from offline_portal.audit import chain
from offline_portal.delivery import restored, sweep
from offline_portal.management.commands.backup import copy
from offline_portal.models import AuditEntry, Destination, Send, Wakeup
from tests.conftest import Road, make_people
from tests.delivery.test_road import KISS, counts
from tests.faults.programs import Programs, until
from tests.faults.servers import Postgres, database_at, folder_for_all


class Kept:
    """A database of the test's own that can be kept as it is, and put back later."""

    def __init__(self, folder: Path, server: Postgres | None) -> None:
        self._folder, self._server = folder, server

    def keep(self) -> None:
        connections.close_all()
        if self._server is None:
            copy(Path(connection.settings_dict["NAME"]), self._folder / "kept.sqlite3")
            return
        self._server.end()
        shutil.copytree(self._server.store, self._folder / "kept")
        self._server.started()

    def put_back(self) -> None:
        """Every program that uses it has ended by then, as docs/operating.md demands."""
        connections.close_all()
        if self._server is None:
            there = Path(connection.settings_dict["NAME"])
            for old in there.parent.glob(f"{there.name}*"):
                old.unlink()
            shutil.copy(self._folder / "kept.sqlite3", there)
            return
        self._server.end()
        owner = self._server.store.owner()
        shutil.rmtree(self._server.store)
        shutil.copytree(self._folder / "kept", self._server.store)
        for path in (self._server.store, *self._server.store.rglob("*")):
            shutil.chown(path, owner)
        self._server.started()


@pytest.fixture
def kept(redis_url: str, transactional_db: None, tmp_path: Path) -> Iterator[Kept]:
    if connection.vendor == "sqlite":
        with database_at(f"sqlite:///{tmp_path / 'portal.sqlite3'}"):
            yield Kept(tmp_path, None)
        return
    with folder_for_all() as folder:
        server = Postgres(folder)
        server.started()
        try:
            with database_at(server.url):
                yield Kept(tmp_path, server)
        finally:
            connections.close_all()
            server.end()


@pytest.fixture
def own_road(kept: Kept, emulator: Emulator, tmp_path: Path) -> Road:
    """The road in the database that is going to be set back."""
    note_file().unlink(missing_ok=True)
    return Road(make_people(), emulator, tmp_path)


@pytest.fixture
def beside(own_road: Road, redis_url: str, tmp_path: Path) -> Iterator[Programs]:
    found = Programs(tmp_path, redis_url)
    yield found
    found.end()


def note_file() -> Path:
    return Path(settings.PORTAL_DATA) / "end-of-log.json"


def sent_after_the_backup(road: Road, kept: Kept) -> Send:
    """Rows that were sent, in a database that does not know it."""
    where = road.destination("kissmetrics")
    road.destination("qubit")
    send = road.queue(road.check(road.upload(KISS), where))
    sweep.one_pass()
    kept.keep()
    assert counts(road.shift(send)) == {"accepted": 120}
    sweep.one_pass()
    kept.put_back()
    send.refresh_from_db()
    assert counts(send) == {"queued": 120}
    return send


def all_of_redis(redis_url: str) -> None:
    with Redis.from_url(redis_url) as client:
        client.flushall()
    # As if the time had passed after which a wake-up is taken for lost.
    Wakeup.objects.all().delete()


def the_file(redis_url: str) -> None:
    note_file().unlink()


def nothing(redis_url: str) -> None: ...


@pytest.mark.parametrize("lost", [nothing, all_of_redis, the_file])
def test_what_it_takes_for_unsent_waits_for_an_admin_who_was_told_why(
    own_road: Road, kept: Kept, beside: Programs, redis_url: str, lost: Callable[[str], None]
) -> None:
    send = sent_after_the_backup(own_road, kept)
    lost(redis_url)
    beside.worker()
    beside.worker("intake")
    beside.sweeper()
    noticed = AuditEntry.objects.filter(action=restored.ACTION)
    until(noticed.exists, "somebody notices", said=beside.said)
    assert all(Destination.objects.values_list("paused", flat=True))
    send.refresh_from_db()
    assert (send.status, counts(send)) == ("paused", {"queued": 120})
    assert "restored from a backup" in send.reason and "would be sent again" in send.reason
    assert own_road.emulator.counts("kissmetrics")["requests"] == 120, "nothing was sent again"
    assert json.loads(noticed.first().detail)["noted"] > json.loads(noticed.first().detail)["entries"]
    destinations.change(send.destination, own_road.people["adam"], paused=False)
    until(lambda: not Send.objects.exclude(status="finished").exists(), "then it goes on", said=beside.said)
    assert own_road.emulator.counts("kissmetrics")["requests"] == 240, "as the admin was told it would"
    assert noticed.count() == 1, "it is said once"
    assert chain.verify().ok


def test_it_is_also_noticed_once_the_log_has_grown_past_where_it_was(own_road: Road, kept: Kept) -> None:
    sent_after_the_backup(own_road, kept)
    end = json.loads(note_file().read_text())["seq"]
    upload = own_road.upload(KISS.replace("person", "later"))
    while chain.verify().checked < end + 5:
        own_road.check(upload, own_road.destination("kissmetrics", f"kiss {Destination.objects.count()}"))
    assert restored.notice()
    assert not Destination.objects.filter(paused=False).exists()


def test_a_note_that_was_made_before_it_was_said_does_not_say_it_again(own_road: Road, kept: Kept) -> None:
    sent_after_the_backup(own_road, kept)
    older = note_file().read_text()
    assert restored.notice() and not restored.notice()
    note_file().write_text(older)
    assert not restored.notice(), "another machine's note, from before"


def test_a_second_backup_is_noticed_like_the_first(own_road: Road, kept: Kept) -> None:
    sent_after_the_backup(own_road, kept)
    assert restored.notice()
    kept.put_back()
    assert restored.notice()
    assert AuditEntry.objects.filter(action=restored.ACTION).count() == 1


@pytest.mark.parametrize("rubbish", ["", "{}", "[1]", "no JSON", '{"first": 1, "seq": "9", "hash": "", "at": "soon"}'])
def test_a_note_that_cannot_be_read_stops_nobody_and_is_replaced(road: Road, rubbish: str) -> None:
    send = road.queue(road.check(road.upload(KISS), road.destination("kissmetrics")))
    note_file().write_text(rubbish)
    assert not restored.notice()
    restored.note()
    assert json.loads(note_file().read_text())["seq"] == chain.verify().checked
    assert counts(road.shift(send)) == {"accepted": 120}


def test_the_log_of_another_database_says_nothing_about_this_one(road: Road, redis_url: str) -> None:
    other = restored.Mark("0" * 64, 9_999, "f" * 64, (timezone.now() + timedelta(days=1)).isoformat())
    note_file().write_text(json.dumps(vars(other)))
    with Redis.from_url(redis_url) as client:
        client.set("portal:log", json.dumps(vars(other)))
    road.check(road.upload(KISS), road.destination("kissmetrics"))
    assert not restored.notice()
