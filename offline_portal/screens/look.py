"""The look: the switch between light and dark, and a page that shows every piece."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from offline_portal.screens import tones, viewer

_YEAR = 365 * 24 * 3600


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keep the chosen look in a cookie and go back to where the person was."""
    back = request.POST.get("next") or request.META.get("HTTP_REFERER", "/")
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}, request.is_secure()):
        back = "/"
    answer = HttpResponseRedirect(back)
    chosen = request.POST.get("theme", "")
    if chosen in viewer.THEMES:
        answer.set_cookie(viewer.THEME_COOKIE, chosen, max_age=_YEAR, samesite="Lax")
    else:
        answer.delete_cookie(viewer.THEME_COOKIE, samesite="Lax")
    return answer


class _Example(forms.Form):
    name = forms.CharField(
        label="Name", help_text="As your team calls it. Names are unique.", initial="KISSmetrics, main"
    )
    address = forms.URLField(label="Address", assume_scheme="https")
    zone = forms.ChoiceField(label="Time zone", choices=[("a", "Europe/Berlin"), ("b", "UTC")], required=False)
    live = forms.BooleanField(label="Live account", help_text="Rows sent there count as real.", required=False)


def style(request: HttpRequest) -> HttpResponse:
    """All pieces on one page, for whoever builds screens (development only)."""
    form = _Example({"name": "KISSmetrics, main", "address": "nonsense"})
    form.is_valid()
    counts: dict[str, Any] = dict.fromkeys(("total", "unchecked", "ready", "problem", "duplicate", "excluded"), 0)
    counts |= dict.fromkeys(tones.STATUSES, 0)
    running = SimpleNamespace(
        **counts
        | {
            "total": 5000,
            "ready": 4946,
            "accepted": 3120,
            "sending": 40,
            "queued": 1700,
            "unknown": 31,
            "rejected": 55,
            "queued_at": timezone.now(),
        }
    )
    checked = SimpleNamespace(
        **counts | {"total": 5000, "ready": 4946, "problem": 40, "duplicate": 12, "excluded": 2, "queued_at": None}
    )
    return render(
        request,
        "style.html",
        {
            "form": form,
            "sends": tones.SENDS,
            "rows": tones.ROWS,
            "grades": tones.GRADES,
            "running": running,
            "checked": checked,
            "live": {"name": "Qubit, shop", "live": True},
            "test": {"name": "Qubit, trial", "live": False},
            "steps": [
                {"word": "File", "done": True, "here": False, "address": "#"},
                {"word": "Recognised", "done": True, "here": False, "address": "#"},
                {"word": "Destination and columns", "done": False, "here": True, "address": "#"},
                {"word": "Check", "done": False, "here": False, "address": ""},
                {"word": "Send", "done": False, "here": False, "address": ""},
            ],
            "grid": [
                [str(line), "2026-10-0" + str(line % 9 + 1), f"A-10{line:02}", "49.90", "EUR", "jana@example.com"]
                for line in range(2, 12)
            ],
            "icons": [
                "home",
                "send",
                "audit",
                "destination",
                "mapping",
                "health",
                "people",
                "user",
                "key",
                "plus",
                "check",
                "check-circle",
                "cross",
                "cross-circle",
                "clock",
                "alert",
                "problem",
                "question",
                "info",
                "pause",
                "play",
                "stop",
                "retry",
                "upload",
                "download",
                "file",
                "sheet",
                "search",
                "right",
                "left",
                "down",
                "arrow",
                "theme",
                "copy",
                "edit",
                "eye",
                "lock",
                "link",
                "archive",
                "minus-circle",
                "twin",
                "motion",
                "leave",
                "filter",
                "out",
                "test",
                "live",
                "list",
                "more",
                "shield",
                "plug",
                "undo",
                "calendar",
            ],
        },
    )
