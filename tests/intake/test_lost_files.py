"""The file of an Upload and its record belong together, also where the database's answer or the file is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.db import OperationalError, transaction

from offline_portal import checks
from offline_portal.audit import chain
from offline_portal.intake import store
from offline_portal.models import AuditEntry, Upload
from tests.conftest import Road

SHEET = "Person,Event,Date\nbob@example.com,Purchased,2026-10-05 09:00:00\n"


def test_a_commit_whose_answer_is_lost_keeps_the_file(
    road: Road, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut() -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(store, "wake", lambda *_work: transaction.on_commit(cut))
    path = tmp_path / "sales.csv"
    path.write_text(SHEET)
    with pytest.raises(OperationalError):
        store.accept(path, "sales.csv", road.olivia)
    upload = Upload.objects.get()
    store.read(upload.pk)
    upload.refresh_from_db()
    assert (upload.status, upload.rows) == ("ready", 1)


def test_what_was_not_committed_leaves_no_file(road: Road, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_work: str) -> None:
        raise OperationalError("database or disk is full")

    monkeypatch.setattr(store, "wake", refuse)
    path = tmp_path / "sales.csv"
    path.write_text(SHEET)
    before = set(default_storage.listdir("uploads")[1]) if default_storage.exists("uploads") else set()
    with pytest.raises(OperationalError):
        store.accept(path, "sales.csv", road.olivia)
    assert not Upload.objects.exists()
    assert set(default_storage.listdir("uploads")[1]) == before


def test_a_file_that_is_gone_is_said_instead_of_tried_for_ever(road: Road, tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_text(SHEET)
    upload = store.accept(path, "sales.csv", road.olivia)
    send = checks.create(upload, road.destination("kissmetrics"), "auto", "skip", road.olivia)
    default_storage.delete(upload.file.name)
    store.read(upload.pk)
    upload.refresh_from_db()
    assert upload.status == "refused" and "no longer there" in upload.reason
    checks.run(send.pk)
    send.refresh_from_db()
    assert send.status == "failed" and send.reason == upload.reason
    assert AuditEntry.objects.filter(action="upload.refused", object=f"upload:{upload.pk}").count() == 1
    assert chain.verify().ok
