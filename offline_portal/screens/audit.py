"""The audit: one search for any identifier, the log with its filters, its chain, and what is taken away of it."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from offline_portal import listing
from offline_portal.access.roles import ADMIN, AUDITOR, EVERYONE, has_role, role
from offline_portal.api.evidence import zipped
from offline_portal.api.shapes import delivery_shape
from offline_portal.audit import chain, evidence, export, search, signing
from offline_portal.models import AuditEntry, AuditHead
from offline_portal.screens import acts
from offline_portal.screens.steps import after, day_of, the_send

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


@role(AUDITOR, ADMIN)
def exported(request: HttpRequest) -> StreamingHttpResponse:
    """The entries that the filters let through, as a zip that verifies without the portal."""
    asked = _asked(request)
    wanted = {name: text for name, text in asked.items() if text}
    return zipped(export.of_log(_entries(asked), wanted, request.user.get_username()), "audit")


@role(AUDITOR, ADMIN)
def send_evidence(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """The whole story of a send, likewise."""
    return zipped(evidence.of_send(the_send(pk), request.user.get_username()), f"evidence-send-{pk}")


def _asked(request: HttpRequest) -> dict[str, str]:
    asked = {name: request.GET.get(name, "").strip() for name in ("action", "actor", "object", "from", "to")}
    return asked | {name: asked[name] if day_of(asked[name]) else "" for name in ("from", "to")}


def _entries(asked: dict[str, str]) -> QuerySet[AuditEntry]:
    start, end = day_of(asked["from"]), day_of(asked["to"])
    return listing.audit_entries(
        asked["action"] or None, asked["actor"] or None, asked["object"] or None, _midnight(start),
        _midnight(end + timedelta(days=1) if end else None),
    )  # fmt: skip


def _log(request: HttpRequest) -> dict[str, Any]:
    asked = _asked(request)
    here = after(request)
    page = listing.page(_entries(asked), here, A_PAGE, key="seq", down=True)
    filters = {name: text for name, text in asked.items() if text}
    return {
        "entries": [acts.entry(one) for one in page.items],
        "asked": asked,
        "filters": filters,
        "first": here is None,
        "next": f"?{urlencode(filters | {'after': page.next})}" if page.next else "",
        "head": AuditHead.objects.filter(pk=1).first(),
        "export": f"{reverse('audit-export')}?{urlencode(filters)}",
        "public_key": signing.public_key(),
        "actions": list(AuditEntry.objects.order_by("action").values_list("action", flat=True).distinct()[:100]),
    }


def _midnight(day: date | None) -> datetime | None:
    return timezone.make_aware(datetime.combine(day, time())) if day else None
