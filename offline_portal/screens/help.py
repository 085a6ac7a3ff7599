"""What the words on the screens mean, and what to do about each."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from offline_portal.access.roles import EVERYONE, role
from offline_portal.screens import tones


@role(*EVERYONE)
def statuses(request: HttpRequest) -> HttpResponse:
    """Every verdict, status and grade of evidence, from the declarations that the pills are drawn from."""
    parts = [
        ("sent", "Rows that were sent", "row", _rows(*tones.STATUSES)),
        ("checked", "Rows after the check", "row", _rows(*tones.VERDICTS, "unchecked")),
        ("sends", "Sends", "send", list(tones.SENDS.items())),
        ("files", "Files", "upload", list(tones.UPLOADS.items())),
    ]
    grades = sorted(tones.GRADES.items(), key=lambda item: -item[1].level)
    return render(request, "help/statuses.html", {"parts": parts, "grades": grades})


def _rows(*names: str) -> list[tuple[str, tones.Look]]:
    return [(name, tones.ROWS[name]) for name in names]
