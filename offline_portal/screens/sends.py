"""The list of sends."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from offline_portal import listing
from offline_portal.access.roles import EVERYONE, role
from offline_portal.models import Destination, Send
from offline_portal.screens import tones
from offline_portal.screens.samples import offered
from offline_portal.screens.steps import after, day_of

A_PAGE = 25


@role(*EVERYONE)
def sends(request: HttpRequest) -> HttpResponse:
    """All sends, the newest first; by status, destination and file name."""
    status = request.GET.get("status", "")
    status = status if status in Send.Status.values else ""
    target = request.GET.get("destination", "")
    name = request.GET.get("q", "").strip()
    found = listing.sends(status or None, int(target) if target.isascii() and target.isdigit() else None)
    if day := day_of(request.GET.get("day", "")):
        found = found.filter(queued_at__date=day)
    if name:
        found = found.filter(upload__filename__icontains=name)
    here = after(request)
    page = listing.page(found, here, A_PAGE, down=True)
    filters = {
        key: text
        for key, text in {"status": status, "destination": target, "q": name, "day": str(day or "")}.items()
        if text
    }
    more = f"{reverse('sends')}?{urlencode(filters | {'after': page.next})}" if page.next else ""
    return render(
        request,
        "sends/list.html",
        {
            "sends": page.items,
            "next": more,
            "first": here is None,
            "filters": filters,
            "status": status,
            "target": target,
            "name": name,
            "day": day,
            "statuses": [(key, look.word) for key, look in tones.SENDS.items()],
            "places": Destination.objects.order_by("name"),
            "samples": offered(),
        },
    )
