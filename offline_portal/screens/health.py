"""Health: whether the parts of the portal answer, for admins."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.dateparse import parse_datetime

from offline_portal import health as facts
from offline_portal.access.roles import ADMIN, role
from offline_portal.models import Batch, Wakeup


@role(ADMIN)
def health(request: HttpRequest) -> HttpResponse:
    """Database, Redis, workers, sweeper, and what waits."""
    found = facts.health()
    workers = [worker | {"seen": parse_datetime(worker["last_seen"] or "")} for worker in found["workers"]]
    oldest = Batch.objects.filter(done=False).order_by("due_at").first()
    return render(
        request,
        "health/health.html",
        {
            "facts": found,
            "healthy": facts.is_healthy(found),
            "workers": workers,
            "oldest": oldest,
            "pass": parse_datetime(found["sweeper"]["last_pass"] or ""),
            "waiting": Batch.objects.filter(done=False).count(),
            "wakeups": Wakeup.objects.count(),
        },
    )
