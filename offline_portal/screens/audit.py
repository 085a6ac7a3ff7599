"""The audit: one search for any identifier, the log with its filters, and whether its chain holds."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from offline_portal import listing
from offline_portal.access.roles import ADMIN, AUDITOR, EVERYONE, has_role, role
from offline_portal.api.shapes import delivery_shape
from offline_portal.audit import chain, search
from offline_portal.models import AuditEntry, AuditHead
from offline_portal.screens import acts
from offline_portal.screens.steps import after, day_of

A_PAGE = 50


@role(*EVERYONE)
def audit(request: HttpRequest) -> HttpResponse:
    """Rows by identifier for everyone; the log for auditors and admins."""
    text = request.GET.get("q", "").strip()
    context: dict[str, Any] = {"q": text, "may_read_log": has_role(request.user, AUDITOR, ADMIN)}
    if text:
        context |= _found(request, text)
    elif context["may_read_log"]:
        context |= _log(request)
    return render(request, "audit/audit.html", context)


@role(AUDITOR, ADMIN)
@require_POST
def verify(request: HttpRequest) -> HttpResponse:
    """Recompute the whole chain now, and say whether it holds."""
    found = chain.verify()
    if found.ok:
        messages.success(request, f"The chain holds: all {found.checked:,} entries were recomputed just now.")
    else:
        messages.error(request, f"The chain does not hold. {found.reason}")
    return redirect("audit")


def _found(request: HttpRequest, text: str) -> dict[str, Any]:
    try:
        found = search.find(text, A_PAGE, request.GET.get("cursor") or None)
    except search.BadCursor:
        found = search.find(text, A_PAGE)
    more = f"{reverse('audit')}?{urlencode({'q': text, 'cursor': found.next})}" if found.next else ""
    rows = [(delivery, delivery_shape(delivery)) for delivery in found.deliveries if delivery.send.destination]
    return {"rows": rows, "next": more, "searched": True}


def _log(request: HttpRequest) -> dict[str, Any]:
    asked = {name: request.GET.get(name, "").strip() for name in ("action", "actor", "object", "from", "to")}
    start, end = day_of(asked["from"]), day_of(asked["to"])
    found = listing.audit_entries(
        asked["action"] or None, asked["actor"] or None, asked["object"] or None, _midnight(start),
        _midnight(end + timedelta(days=1) if end else None),
    )  # fmt: skip
    here = after(request)
    page = listing.page(found, here, A_PAGE, key="seq", down=True)
    filters = {name: text for name, text in asked.items() if text}
    head = AuditHead.objects.filter(pk=1).first()
    return {
        "entries": [acts.entry(one) for one in page.items],
        "asked": asked,
        "filters": filters,
        "first": here is None,
        "next": f"?{urlencode(filters | {'after': page.next})}" if page.next else "",
        "head": head,
        "actions": list(AuditEntry.objects.order_by("action").values_list("action", flat=True).distinct()[:100]),
    }


def _midnight(day: date | None) -> datetime | None:
    return timezone.make_aware(datetime.combine(day, time())) if day else None
