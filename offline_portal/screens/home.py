"""Home: what needs me, what is running, and the last 30 days as a picture."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import Any, NamedTuple

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from offline_portal import health, listing
from offline_portal.access.roles import ADMIN, EVERYONE, OPS, has_role, role
from offline_portal.models import Destination, Send
from offline_portal.screens import approval, chart
from offline_portal.screens.samples import offered
from offline_portal.screens.steps import next_step
from offline_portal.screens.viewer import grouped

DAYS = 30
_RUNNING = ("checking", "awaiting_approval", "scheduled", "queueing", "queued", "sending", "paused")


class Need(NamedTuple):
    """Something that waits for a person."""

    tone: str
    icon: str
    title: str
    why: str
    address: str


@role(*EVERYONE)
def home(request: HttpRequest) -> HttpResponse:
    """The first page."""
    recent = list(listing.sends().order_by("-pk")[:6])
    to_approve = approval.waiting_for(request.user)
    running = listing.sends().filter(status__in=_RUNNING).exclude(pk__in=[send.pk for send in to_approve])
    return render(
        request,
        "home/home.html",
        {
            "needs": [*_approvals(to_approve), *_needs(request)],
            "running": list(running.order_by("-pk")[:8]),
            "recent": recent,
            "chart": chart.drawn(_days(), DAYS) if recent else None,
            "samples": offered(),
            "days": DAYS,
        },
    )


@role(*EVERYONE)
def line(request: HttpRequest) -> HttpResponse:
    """The one quiet line about health; asked apart, because a store that does not answer takes its time."""
    found = health.health()
    return render(request, "home/health_line.html", {"facts": found, "healthy": health.is_healthy(found)})


def _approvals(sends: list[Send]) -> list[Need]:
    return [
        Need(
            "warn",
            "people",
            f"Waiting for approval: {one.upload.filename}",
            f"{one.queued_by} asks to send {grouped(one.ready)} rows to “{one.destination}”.",
            reverse("send", args=[one.pk]),
        )
        for one in sends
    ]


def _needs(request: HttpRequest) -> list[Need]:
    needs = [] if not has_role(request.user, OPS) else [*_unknown(), *_unfinished(request)]
    for place in Destination.objects.filter(paused=True, archived_at=None).order_by("name"):
        who = "" if has_role(request.user, ADMIN) else " An admin has to open it."
        address = reverse("destination", args=[place.pk])
        needs.insert(0, Need("warn", "pause", f"“{place.name}” is paused", place.reason + who, address))
    return needs


def _unknown() -> list[Need]:
    found = listing.sends().filter(unknown__gt=0).order_by("-pk")[:5]
    why = "They may have arrived. Decide what they count as."
    wait = "They may have arrived. The portal is looking them up at the vendor; wait, or decide what they count as."
    return [
        Need(
            "warn",
            "question",
            f"{grouped(one.unknown)} unknown in {one.upload.filename}",
            wait if one.readback_looking else why,
            f"{reverse('send', args=[one.pk])}?status=unknown",
        )
        for one in found
    ]


def _unfinished(request: HttpRequest) -> list[Need]:
    """Sends of mine that stopped before the last step."""
    mine = (
        listing.sends()
        .filter(created_by=request.user)
        .filter(Q(status__in=("draft", "checked", "failed"), queued_at=None))
    )
    needs = []
    for one in mine.order_by("-pk")[:5]:
        if one.status == "checked" and one.reason:
            title, tone, why = f"{one.upload.filename} came back", "warn", one.reason
        elif one.status == "checked" and one.problem:
            title, tone = f"{grouped(one.problem)} rows with problems in {one.upload.filename}", "bad"
            why = f"{grouped(one.ready)} of {grouped(one.total)} rows are ready to be sent."
        elif one.status == "checked":
            title, tone, why = (
                f"{one.upload.filename} is ready",
                "wait",
                f"{grouped(one.ready)} rows wait for you to send them.",
            )
        elif one.status == "failed":
            title, tone, why = f"{one.upload.filename} could not be checked", "bad", one.reason
        else:
            title, tone, why = f"{one.upload.filename} is not sent yet", "quiet", "Go on where you left it."
        needs.append(Need(tone, "problem" if tone == "bad" else "edit", title, why, next_step(one)))
    return needs


def _days() -> dict[Any, dict[str, int]]:
    """Rows by the day on which their send was queued, and what became of them; from the counters of the sends."""
    start = timezone.now() - timedelta(days=DAYS)
    days: dict[Any, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    names = ("queued_at", *chart.STATUSES)
    for queued_at, *counts in Send.objects.filter(queued_at__gte=start).values_list(*names):
        for status, rows in zip(chart.STATUSES, counts, strict=True):
            days[timezone.localdate(queued_at)][status] += rows
    return days
