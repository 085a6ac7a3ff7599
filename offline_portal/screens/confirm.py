"""Step 5 of a new send: what will leave, once more in one place; now, or at a time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

import connectors
from offline_portal.access.roles import EVERYONE, OPS, role
from offline_portal.delivery import release
from offline_portal.delivery.states import Conflict
from offline_portal.models import Send
from offline_portal.screens import times
from offline_portal.screens.approval import deciders
from offline_portal.screens.leaving import facts, summed
from offline_portal.screens.steps import frame_of, is_open, the_send


@role(OPS)
@require_http_methods(["GET", "POST"])
def confirm(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what will be sent; a POST sends it, now or at its time, once, however often it comes."""
    send = the_send(pk)
    if request.method == "POST":
        try:
            return _queue(request, send, _wanted(request))
        except times.NotATime as wrong:
            if send.status == Send.Status.CHECKED:
                return _page(request, send, request.POST.get("at", ""), str(wrong))
    if not is_open(send):
        return redirect("send", pk)
    if send.status != Send.Status.CHECKED:
        return redirect("send-check" if send.destination_id else "send-columns", pk)
    later = send.scheduled_at if send.scheduled_at and send.scheduled_at > timezone.now() else None
    return _page(request, send, times.for_field(later))


@role(*EVERYONE)
def summary(request: HttpRequest, pk: int) -> HttpResponse:
    """Sums by currency, first and last date: counted apart, so that the page itself never waits."""
    send = the_send(pk)
    if send.destination is None:
        return HttpResponse(status=204)
    totals = summed(send, connectors.get(send.destination.connector))
    return render(request, "sends/summary.html", {"send": send, "totals": totals})


@role(OPS)
def when(request: HttpRequest, pk: int) -> HttpResponse:
    """The time that stands in the field, in both zones, or what is wrong with it."""
    return render(request, "sends/when.html", _reading(the_send(pk), request.GET.get("at", ""), _zone(request.GET)))


def _wanted(request: HttpRequest) -> datetime | None:
    """The time that was asked for; None for now. Raises NotATime."""
    if request.POST.get("when") != "later":
        return None
    return times.chosen(request.POST.get("at", ""), _zone(request.POST))


def _queue(request: HttpRequest, send: Send, at: datetime | None) -> HttpResponse:
    try:
        release.choose_time(send, at)
        release.queue(send, request.user)
    except Conflict as conflict:
        messages.warning(request, conflict.message)
        return redirect("send-check" if is_open(the_send(send.pk)) else "send", send.pk)
    return redirect("send", send.pk)


def _page(request: HttpRequest, send: Send, at: str, wrong: str = "") -> HttpResponse:
    zone = _zone(request.POST)
    context = {
        "at": at,
        "zone": zone,
        "soonest": times.for_field(timezone.now()),
        "deciders": deciders(request.user) if send.destination.require_approval else "",
        **(_reading(send, at, zone) if at else {}),
        **({"wrong": wrong} if wrong else {}),
    }
    rows_at = reverse("send-check", args=[send.pk]) + "?show="
    whole = frame_of(send, 5) | facts(send, rows_at) | context
    return render(request, "sends/confirm.html", whole, status=422 if wrong else 200)


def _reading(send: Send, at: str, zone: str) -> dict[str, Any]:
    try:
        return {"readings": times.in_zones(times.chosen(at, zone), send.destination)}
    except times.NotATime as wrong:
        return {"wrong": str(wrong)}


def _zone(given: Any) -> str:
    """The zone that the page named: between looking and sending, the viewer's cookie may have come to another."""
    return given.get("zone") or timezone.get_current_timezone_name()
