"""Step 1 of a new send: the file."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from offline_portal import checks
from offline_portal.access.roles import OPS, role
from offline_portal.intake import Refused
from offline_portal.intake.store import accept
from offline_portal.screens.samples import offered
from offline_portal.screens.steps import frame_of, is_open, steps, the_send


@role(OPS)
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Choose a file, and take it in; a file that cannot be read is told why and leaves nothing."""
    if request.method == "GET":
        return render(request, "sends/file.html", _context())
    given = request.FILES.get("file")
    if not isinstance(given, TemporaryUploadedFile):
        return _refused(request, "Choose a file first.", 422)
    if given.size > settings.PORTAL_MAX_UPLOAD_MB * 1024 * 1024:
        most = settings.PORTAL_MAX_UPLOAD_MB
        words = f"This file has {given.size / 1024 / 1024:,.0f} MB; at most {most} MB are taken. Split it, or zip it."
        return _refused(request, words, 413, given.name or "")
    try:
        upload = accept(given.temporary_file_path(), given.name or "file", request.user)
    except Refused as refusal:
        return _refused(request, refusal.message, 422, given.name or "", refusal.code)
    return redirect("send-recognised", checks.draft(upload, request.user).pk)


@role(OPS)
def chosen(request: HttpRequest, pk: int) -> HttpResponse:
    """The file of a send that was begun, and the way to begin with another one."""
    send = the_send(pk)
    if not is_open(send):
        return redirect("send", pk)
    return render(request, "sends/file.html", _context() | frame_of(send, 1))


def _refused(request: HttpRequest, words: str, status: int, name: str = "", code: str = "") -> HttpResponse:
    context = _context() | {"problem": words, "name": name, "code": code}
    return render(request, "sends/file.html", context, status=status)


def _context() -> dict[str, Any]:
    return {
        "steps": steps(None, 1),
        "samples": offered(),
        "most_mb": settings.PORTAL_MAX_UPLOAD_MB,
        "most_bytes": settings.PORTAL_MAX_UPLOAD_MB * 1024 * 1024,
        "most_rows": settings.PORTAL_MAX_ROWS,
        "most_columns": settings.PORTAL_MAX_COLUMNS,
    }
