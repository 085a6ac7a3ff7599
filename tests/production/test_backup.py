"""Backups while the portal works: one moment, whole, and told plainly where it cannot be."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from offline_portal.audit import chain
from offline_portal.models import Destination

on_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="the database is PostgreSQL: pg_dump backs it up")


@on_sqlite
@pytest.mark.django_db(transaction=True)
def test_a_copy_made_while_others_write_is_of_one_moment(tmp_path: Path, capsys) -> None:
    ended = threading.Event()
    written = threading.Event()

    def write() -> None:
        while not ended.is_set():
            with transaction.atomic():
                chain.add("olivia", "test.written", "send:1", {})
            written.set()
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert written.wait(30)
        copies = [tmp_path / f"{number}.sqlite3" for number in range(5)]
        for copy in copies:
            call_command("backup", str(copy))
    finally:
        ended.set()
        writer.join()
    for copy in copies:
        with closing(sqlite3.connect(f"file:{copy}?mode=ro", uri=True)) as there:
            entries = there.execute("SELECT count(*), max(seq) FROM portal_auditentry").fetchone()
            head = there.execute("SELECT seq, seq FROM portal_audithead").fetchone()
        assert entries == head and head[0] > 0
        assert copy.stat().st_mode & 0o077 == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [copy.name for copy in copies], "nothing beside them"


@on_sqlite
def test_nothing_is_overwritten_and_no_half_copy_stays(db, tmp_path: Path) -> None:
    there = tmp_path / "copy"
    there.write_text("precious")
    with pytest.raises(CommandError, match="there already") as raised:
        call_command("backup", str(there))
    assert raised.value.returncode == 2 and there.read_text() == "precious"
    with pytest.raises(CommandError, match="No backup was made"):
        call_command("backup", str(tmp_path / "no" / "such" / "folder"))


def test_postgresql_is_referred_to_its_own_program(db, tmp_path: Path, settings, monkeypatch) -> None:
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", "django.db.backends.postgresql")
    with pytest.raises(CommandError, match="pg_dump") as raised:
        call_command("backup", str(tmp_path / "copy"))
    assert raised.value.returncode == 2


def test_pausing_all_leaves_archived_and_paused_ones_as_they_are(road, capsys) -> None:
    first, second = road.destination("qubit"), road.destination("kissmetrics")
    Destination.objects.filter(pk=second.pk).update(paused=True, reason="Key expired.")
    call_command("pause_all", "Restored from a backup.")
    call_command("pause_all", "Again.")
    assert capsys.readouterr().out.splitlines()[0].startswith("1 paused")
    reasons = dict(Destination.objects.values_list("pk", "reason"))
    assert reasons == {first.pk: "Restored from a backup.", second.pk: "Key expired."}
