"""Taking a file in, and streaming it into Rows."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import DatabaseError, connection, transaction

from offline_portal import bulk, claims
from offline_portal.audit import chain
from offline_portal.collector import looking_between
from offline_portal.compact_json import encoder
from offline_portal.intake import Limits, Options, Problem, Reading, Refused, SourceRow, open_file, safe_name
from offline_portal.models import Row, Send, Upload
from offline_portal.wake import wake

CHUNK = 5_000
PROBLEMS_KEPT = 200
"""Problems of rows listed on the Upload; every row keeps its own in any case."""

_encode = encoder()


def limits() -> Limits:
    """The limits of an upload, from the settings."""
    return Limits(
        max_bytes=settings.PORTAL_MAX_UPLOAD_MB * 1024 * 1024,
        max_rows=settings.PORTAL_MAX_ROWS,
        max_columns=settings.PORTAL_MAX_COLUMNS,
        max_cell_bytes=settings.PORTAL_MAX_CELL_KB * 1024,
    )


def accept(source: str | Path, filename: str, actor: User, options: Options | None = None) -> Upload:
    """Take the file at `source` in: look at its kind, limits and first rows, keep it, and have a worker read it.

    `filename` is the name the person gave it. Raises Refused (code, message) for a file that cannot be read; then
    nothing is kept but an audit entry.
    """
    source, options, shown = Path(source), options or Options(), safe_name(filename)
    sha256 = _sha256(source)
    try:
        reading = open_file(source, filename, options, limits())
        sample = [[row.line, row.cells] for row in islice(reading.rows(), 20)]
    except Refused as refusal:
        with transaction.atomic():
            chain.add(
                actor.get_username(), "upload.refused", f"sha256:{sha256[:16]}",
                {"code": refusal.code, "sha256": sha256, "bytes": source.stat().st_size},
            )
        raise
    stored = f"uploads/{uuid.uuid4().hex}"
    try:
        with source.open("rb") as file:
            stored = default_storage.save(stored, File(file))
        with transaction.atomic():
            upload = Upload.objects.create(
                filename=shown, sha256=sha256, bytes=source.stat().st_size, file=stored, options=asdict(options),
                problems=[_shown(problem) for problem in reading.problems[:PROBLEMS_KEPT]], sample=sample,
                created_by=actor, **_recognised(reading),
            )
            chain.add(
                actor.get_username(), "upload.accepted", f"upload:{upload.pk}",
                {"sha256": sha256, "bytes": upload.bytes, "format": upload.format},
            )
            wake("intake", f"read:{upload.pk}")
    except BaseException:
        _delete_unless_committed(stored)
        raise
    return upload


def _delete_unless_committed(stored: str) -> None:
    """A lost connection may have cost us only the answer to COMMIT; while nobody can tell, the file stays."""
    with contextlib.suppress(DatabaseError):
        connection.close_if_unusable_or_obsolete()
        if not Upload.objects.filter(file=stored).exists():
            default_storage.delete(stored)


def reopen(upload: Upload, options: Options, actor: User) -> Upload:
    """Read an Upload again as the person says (sheet, header line, encoding, delimiter).

    Raises Refused when it cannot be read like that; then everything stays as it was.
    """
    with _local(upload) as path:
        reading = open_file(path, upload.filename, options, limits())
        sample = [[row.line, row.cells] for row in islice(reading.rows(), 20)]
    with transaction.atomic():
        Row.objects.filter(upload=upload).delete()
        changes = _recognised(reading) | {
            "options": asdict(options), "sample": sample, "rows": 0, "status": Upload.Status.READING,
            "problems": [_shown(problem) for problem in reading.problems[:PROBLEMS_KEPT]],
            "fence": upload.fence + 1, "lease_until": None,
        }
        Upload.objects.filter(pk=upload.pk).update(**changes)
        chain.add(
            actor.get_username(), "upload.reopened", f"upload:{upload.pk}",
            {key: value for key, value in asdict(options).items() if value is not None},
        )
        wake("intake", f"read:{upload.pk}")
    upload.refresh_from_db()
    return upload


def read(upload_id: int) -> None:
    """Worker: stream the file into Rows, resuming behind the last line stored."""
    fence = claims.take(Upload, upload_id, status=Upload.Status.READING)
    if fence is None:
        return
    upload = Upload.objects.get(pk=upload_id)
    try:
        with _local(upload) as path:
            reading = open_file(path, upload.filename, Options(**upload.options), limits())
            _store_rows(upload, fence, reading)
    except Refused as refusal:
        _refuse(upload, fence, refusal)
    except claims.ClaimLost:
        return
    for send_id in Send.objects.filter(upload=upload, status=Send.Status.CHECKING).values_list("pk", flat=True):
        wake("intake", f"check:{send_id}")


def _store_rows(upload: Upload, fence: int, reading: Reading) -> None:
    last = Row.objects.filter(upload=upload).order_by("-line").values_list("line", flat=True).first() or 0
    stored, problems = upload.rows, upload.problems
    for chunk in looking_between(reading.chunks(CHUNK)):
        fresh = chunk if chunk[0].line > last else [row for row in chunk if row.line > last]
        if not fresh:
            continue
        stored += len(fresh)
        room = PROBLEMS_KEPT - len(problems)
        if room > 0:
            problems += [_shown(problem) for row in fresh for problem in row.problems or ()][:room]
        with transaction.atomic():
            claims.keep(Upload, upload.pk, fence, rows=stored, problems=problems)
            bulk.insert(Row, ("upload_id", "line", "cells", "problems"), _row_tuples(upload.pk, fresh))
    # What only shows while the whole file is read: blank lines, mixed line ends, merged cells.
    late = [shown for shown in map(_shown, reading.problems) if shown not in problems]
    problems += late[: PROBLEMS_KEPT - len(problems)]
    with transaction.atomic():
        if claims.give_back(Upload, upload.pk, fence, status=Upload.Status.READY, rows=stored, problems=problems):
            chain.add("portal", "upload.read", f"upload:{upload.pk}", {"rows": stored})


def _row_tuples(upload_id: int, rows: list[SourceRow]) -> Iterator[tuple[Any, ...]]:
    for row in rows:
        wrong = _encode([_shown(problem) for problem in row.problems]) if row.problems else None
        yield upload_id, row.line, _encode(row.cells), wrong


def _refuse(upload: Upload, fence: int, refusal: Refused) -> None:
    """What shows only while streaming (a limit, a broken part): the Upload keeps its reason, but nothing else."""
    with transaction.atomic():
        changes = {"status": Upload.Status.REFUSED, "reason": refusal.message, "rows": 0, "sample": [], "problems": []}
        if not claims.give_back(Upload, upload.pk, fence, **changes):
            return
        Row.objects.filter(upload=upload)._raw_delete("default")  # type: ignore[attr-defined]
        chain.add("portal", "upload.refused", f"upload:{upload.pk}", {"code": refusal.code, "sha256": upload.sha256})
        transaction.on_commit(lambda: default_storage.delete(upload.file.name))


def _recognised(reading: Reading) -> dict[str, Any]:
    return {
        "format": reading.format, "encoding": reading.encoding or "", "delimiter": reading.delimiter or "",
        "quote": reading.quote or "", "sheet": reading.sheet or "", "sheets": reading.sheets or [],
        "header_line": reading.header_line, "columns": reading.columns,
    }


def _shown(problem: Problem) -> dict[str, Any]:
    return {"line": problem.line, "column": problem.column, "code": problem.code, "message": problem.message}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _local(upload: Upload) -> Iterator[Path]:
    """The file of an Upload on this machine, whatever the storage. Raises Refused when it is gone."""
    if not default_storage.exists(upload.file.name):
        raise Refused("file_lost", "The file of this upload is no longer there. Upload it again.")
    try:
        yield Path(upload.file.path)
    except NotImplementedError:
        with tempfile.NamedTemporaryFile(prefix="upload-") as copy, default_storage.open(upload.file.name) as file:
            shutil.copyfileobj(file, copy)
            copy.flush()
            yield Path(copy.name)
