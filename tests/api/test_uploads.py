"""Uploads: what is taken, what is refused, and that nothing stays behind."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.conf import settings as portal
from django.core.files.uploadedfile import SimpleUploadedFile

from offline_portal.intake import store
from offline_portal.models import AuditEntry, Row, Upload
from tests.api.conftest import Caller, error_of

pytestmark = pytest.mark.django_db
CSV = "Email,Amount\nbob@bob.com,1\neve@example.com,2\n"


def stored_files() -> set[Path]:
    return {path for path in Path(portal.MEDIA_ROOT).rglob("*") if path.is_file()}


def test_an_upload_tells_how_the_file_was_understood(olivia: Caller, audrey: Caller) -> None:
    made = olivia.upload(CSV, "October sales.csv")
    assert made.status_code == 201
    shape = made.json()
    assert shape == {
        "id": shape["id"], "filename": "October sales.csv", "sha256": hashlib.sha256(CSV.encode()).hexdigest(),
        "bytes": len(CSV), "status": "reading", "format": "csv", "encoding": shape["encoding"], "delimiter": ",",
        "sheet": None, "sheets": [], "header_line": 1, "columns": ["Email", "Amount"], "rows": 0, "problems": [],
        "reason": None,
    }  # fmt: skip
    store.read(int(shape["id"]))
    done = audrey.json("GET", f"/uploads/{shape['id']}")
    assert (done["status"], done["rows"]) == ("ready", 2)
    assert audrey.json("GET", "/uploads") == {"items": [done], "next": None}


def test_what_a_person_says_about_the_file_counts(olivia: Caller) -> None:
    text = "Report\n\nName;Ort\nJörg;Köln\n".encode("cp1252")
    shape = olivia.upload(text, header_line="3", delimiter=";", encoding="windows-1252", sheet="").json()
    assert (shape["header_line"], shape["delimiter"], shape["columns"]) == (3, ";", ["Name", "Ort"])
    store.read(int(shape["id"]))
    assert json.loads(Row.objects.get().cells) == ["Jörg", "Köln"]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"header_line": "-1"}, "header_line"),
        ({"header_line": "two"}, "header_line"),
        ({"delimiter": ";;"}, "delimiter"),
    ],
)
def test_options_that_cannot_be_taken_are_named(olivia: Caller, fields: dict[str, str], wrong: str) -> None:
    status, code, named = error_of(olivia.upload(CSV, **fields))
    assert (status, code, set(named)) == (422, "invalid", {wrong})


def test_what_is_wrong_is_said_in_our_words(olivia: Caller) -> None:
    assert error_of(olivia.upload(CSV, delimiter=";;"))[2] == {"delimiter": "Give one character, or the word tab."}


def test_a_second_file_is_not_lost_but_refused(olivia: Caller) -> None:
    files = [SimpleUploadedFile(name, CSV.encode()) for name in ("october.csv", "november.csv")]
    response = olivia.client.post("/api/v1/uploads", {"file": files}, headers=olivia.headers)
    assert error_of(response)[:2] == (422, "invalid") and set(response.json()["error"]["fields"]) == {"file"}
    assert not Upload.objects.exists()


def test_a_call_without_a_file_is_422(olivia: Caller) -> None:
    assert set(olivia.error("POST", "/uploads", {})[2]) == {"file"}
    response = olivia.client.post("/api/v1/uploads", {"file": "not a file"}, headers=olivia.headers)
    assert set(error_of(response)[2]) == {"file"}


def test_a_broken_form_is_400(olivia: Caller) -> None:
    for kind in ("multipart/form-data; boundary=x", "multipart/form-data"):
        assert olivia.error("POST", "/uploads", b"--x\r\nnonsense", content_type=kind)[0] in (400, 422)
    nul = olivia.upload(CSV, sheet="a\0b")
    assert error_of(nul)[:2] == (400, "bad_text")


def workbook_bomb() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sales.csv", b"a,b\n" + b"0" * 60_000_000)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("content", "name", "code"),
    [
        (b"", "empty.csv", "empty"), (b"%PDF-1.7\n1 0 obj", "sales.csv", "not_a_spreadsheet"),
        (b"<html><body>hi", "sales.csv", "not_a_spreadsheet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "sales.xls", None),
        (b"PK\x05\x06" + b"\0" * 18, "sales.xlsx", None), (workbook_bomb(), "sales.zip", None),
    ],
)  # fmt: skip
def test_a_refused_file_leaves_nothing_but_a_log_entry(
    olivia: Caller, content: bytes, name: str, code: str | None
) -> None:
    before = stored_files()
    status, found, fields = error_of(olivia.upload(content, name))
    assert (status, found) == (422, "refused") and set(fields) == {"code", "message"}
    assert code is None or fields["code"] == code
    assert not Upload.objects.exists() and stored_files() == before
    entry = AuditEntry.objects.filter(action="upload.refused").get()
    assert (entry.actor, json.loads(entry.detail)["code"]) == ("olivia", fields["code"])


@pytest.mark.parametrize("size", [1_500_000, 3_000_000])
def test_a_file_over_the_limit_is_413(olivia: Caller, settings: LazySettings, size: int) -> None:
    settings.PORTAL_MAX_UPLOAD_MB = 1
    before = stored_files()
    status, code, _fields = error_of(olivia.upload(b"a,b\n" + b"1,2\n" * (size // 4)))
    assert (status, code) == (413, "too_large")
    assert not Upload.objects.exists() and stored_files() == before
    assert AuditEntry.objects.filter(action="upload.refused", actor="olivia").count() == 1


@pytest.mark.parametrize("name", ["../../etc/passwd", 'a"b\r\nX: y.csv', "\u202egnp.csv", "x" * 300 + ".csv", "…"])
def test_names_are_made_safe(olivia: Caller, name: str) -> None:
    made: Any = olivia.upload(CSV, name)
    shown = made.json()["filename"]
    assert 0 < len(shown) <= 120 and not set(shown) & set('/\\"\r\n\u202e')


def test_the_same_key_and_file_is_one_upload(olivia: Caller) -> None:
    first, again = olivia.upload(CSV, key="file-1"), olivia.upload(CSV, key="file-1")
    assert first.json() == again.json() and again["Idempotency-Replayed"] == "true"
    assert Upload.objects.count() == 1
    assert error_of(olivia.upload(CSV + "x@y.z,3\n", key="file-1"))[:2] == (422, "idempotency_key_reused")
    assert error_of(olivia.upload(CSV, key="file-1", delimiter=","))[:2] == (422, "idempotency_key_reused")
