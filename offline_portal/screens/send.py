"""A send on its way: what became of its rows, live, and what a person may do with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from offline_portal import listing
from offline_portal.access.roles import EVERYONE, OPS, has_role, role
from offline_portal.api.shapes import delivery_shape
from offline_portal.delivery import control, release
from offline_portal.delivery.states import Conflict
from offline_portal.models import Attempt, AuditEntry, Delivery, Send
from offline_portal.screens import acts, approval, leaving, readback, tones
from offline_portal.screens.steps import (
    OVER,
    RUNNING,
    WAITING,
    after,
    is_open,
    next_step,
    sentence,
    settled,
    shown_cells,
    shown_columns,
    the_send,
)

A_PAGE = 50
_WINDOW = 20
"""Seconds over which the pace is measured."""
_ACTS: dict[str, Callable[..., Send]] = {
    "pause": control.pause,
    "resume": control.resume,
    "cancel": control.cancel,
    "take-back": release.take_back,
}
NOT_SENT = ("problem", "duplicate", "excluded")
TABS = (("rows", "Rows"), ("requests", "Requests"), ("history", "History"))


@role(*EVERYONE)
def send(request: HttpRequest, pk: int, tab: str = "rows") -> HttpResponse:
    """The page of a send. One that is not queued yet is continued at its step by those who may."""
    one = the_send(pk)
    if is_open(one) and has_role(request.user, OPS):
        return redirect(next_step(one))
    if tab not in dict(TABS):
        raise Http404
    show = {"rows": _rows, "requests": _requests, "history": _history}[tab]
    waiting = _waiting(request, one) if one.status in WAITING else {}
    return render(request, "sends/send.html", _frame(one, tab) | waiting | _live(one, request) | show(request, one))


@role(*EVERYONE)
def live(request: HttpRequest, pk: int) -> HttpResponse:
    """The moving part of the page; asked again and again while rows are on their way."""
    one = the_send(pk)
    was = request.GET.get("was")
    if was and was == one.status:
        return HttpResponse(status=204)
    lined_up = request.GET.get("lining") and one.status != Send.Status.QUEUEING
    if one.status not in RUNNING or lined_up or was:
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    return render(request, "sends/live.html", _frame(one, "") | _live(one, request) | {"fresh": True})


@role(OPS)
@require_POST
def act(request: HttpRequest, pk: int, what: str) -> HttpResponse:
    """Pause, resume, cancel, or take back what waits."""
    if what not in _ACTS:
        raise Http404
    return _done(request, pk, lambda: _ACTS[what](the_send(pk), request.user))


@role(OPS)
@require_POST
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Queue rejected or failed rows again."""
    statuses = [status for status in ("rejected", "failed") if status in request.POST.getlist("statuses")]
    return _done(
        request, pk, lambda: control.retry(the_send(pk), statuses, request.POST.get("reason", ""), request.user)
    )


def _done(request: HttpRequest, pk: int, act_on: Callable[[], Send]) -> HttpResponse:
    try:
        act_on()
    except Conflict as conflict:
        messages.warning(request, conflict.message)
    return redirect("send", pk)


def _frame(one: Send, tab: str) -> dict[str, Any]:
    tabs = [
        (
            reverse("send-tab", args=[one.pk, name]) if name != "rows" else reverse("send", args=[one.pk]),
            word,
            name == tab,
        )
        for name, word in TABS
    ]
    return {
        "send": one,
        "upload": one.upload,
        "destination": one.destination,
        "sentence": sentence(one),
        "tabs": tabs,
        "tab": tab,
        "retryable": one.status in ("paused", "finished") and (one.rejected or one.failed),
        "not_sent": [(name, getattr(one, name)) for name in NOT_SENT if getattr(one, name)],
        "not_accepted": one.rejected + one.failed + one.unknown + one.cancelled,
    }


def _waiting(request: HttpRequest, one: Send) -> dict[str, Any]:
    """What would leave, when, and who has to approve it."""
    late = one.scheduled_at is not None and one.scheduled_at <= timezone.now()
    asked = approval.awaited(one, request.user)
    return {"waiting": True, "late": late} | asked | leaving.to_review(one)


def _live(one: Send, request: HttpRequest) -> dict[str, Any]:
    """Pace and time left, measured since an earlier look; the look's moment travels in the address of the next one."""
    now, done = time.time(), settled(one)
    since, before = _number(request.GET.get("since"), now), _number(request.GET.get("settled"), done)
    pace = (done - before) / (now - since) if now - since > 1 and done > before else 0.0
    left = one.ready - done
    if now - since > _WINDOW:
        since, before = now - _WINDOW / 2, done - pace * _WINDOW / 2
    asked = {"since": f"{since:.1f}", "settled": int(before)}
    query = urlencode(asked | ({"lining": "yes"} if one.status == Send.Status.QUEUEING else {}))
    return {
        **readback.shown(one),
        "running": one.status in RUNNING,
        "over": one.status in OVER,
        "settled": done,
        "pace": round(pace),
        "left": _duration(left / pace) if pace and left else "",
        "left_rows": left,
        "live_address": f"{reverse('send-live', args=[one.pk])}?{query}",
        "tiles": [
            (
                status,
                getattr(one, status),
                f"{reverse('send', args=[one.pk])}?status={status}",
                request.GET.get("show") == status,
            )
            for status in tones.STATUSES
            if getattr(one, status) or status in ("accepted", "rejected", "unknown")
        ],
    }


def _rows(request: HttpRequest, one: Send) -> dict[str, Any]:
    """Deliveries by status once queued; before, the rows as checked."""
    verdict = request.GET.get("verdict", "")
    if not one.queued_at or verdict in NOT_SENT:
        return _checked_rows(request, one, verdict if verdict in NOT_SENT else "")
    status, state = request.GET.get("status", ""), request.GET.get("readback", "")
    status = status if status in Delivery.Status.values else ""
    state = state if state in readback.IN_VAIN else ""
    here = after(request)
    if state:
        status, page = "", listing.in_vain(one, state, here, A_PAGE)
    else:
        page = listing.send_deliveries(one, status or None, here, A_PAGE)
    rows = [(delivery, delivery_shape(delivery)) for delivery in page.items]
    more = _more(page.next, status=status, readback=state)
    return {"rows": rows, "status": status, "state": state, "next": more, "first": here is None}


def _checked_rows(request: HttpRequest, one: Send, verdict: str) -> dict[str, Any]:
    here, shown = after(request), shown_columns(one, request.user)
    page = listing.send_rows(one, verdict or None, here, A_PAGE)
    rows = [(row, shown_cells(row.cells, shown)) for row in page.items]
    return {
        "checked_rows": rows,
        "next": _more(page.next, verdict=verdict),
        "first": here is None,
        "verdict": verdict,
    }


def _requests(request: HttpRequest, one: Send) -> dict[str, Any]:
    here = after(request)
    found = Attempt.objects.filter(batch__send=one).select_related("answer", "copy", "batch")
    page = listing.page(found, here, A_PAGE, down=True)
    return {
        "attempts": [acts.told(attempt) for attempt in page.items],
        "next": _more(page.next),
        "first": here is None,
    }


def _history(request: HttpRequest, one: Send) -> dict[str, Any]:
    here = after(request)
    page = listing.page(AuditEntry.objects.filter(object=f"send:{one.pk}"), here, A_PAGE, key="seq", down=True)
    return {"entries": [acts.entry(entry) for entry in page.items], "next": _more(page.next), "first": here is None}


def _more(key: int | None, **filters: str) -> str:
    return "?" + urlencode({name: text for name, text in filters.items() if text} | {"after": key}) if key else ""


def _number(text: str | None, default: float) -> float:
    try:
        return float(text or default)
    except ValueError:
        return default


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
