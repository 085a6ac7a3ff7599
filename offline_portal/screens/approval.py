"""A second person's yes or no: what they see of it, and their decision."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from offline_portal.access.roles import ADMIN, OPS, has_role, people_with, role
from offline_portal.delivery import approval, release
from offline_portal.delivery.states import Conflict
from offline_portal.models import Send
from offline_portal.screens.steps import the_send

_NAMED = 6
_NO_REASON = "Say why: whoever asked has to know what to change. Nothing was decided yet."


@role(OPS, ADMIN)
@require_POST
def decide(request: HttpRequest, pk: int, what: str) -> HttpResponse:
    """Approve or reject; a rejection needs its reason."""
    if what not in ("approve", "reject"):
        raise Http404
    send, reason = the_send(pk), request.POST.get("reason", "").strip()
    try:
        if what == "approve":
            release.approve(send, request.user, reason)
            messages.success(request, "Approved.")
        elif reason:
            release.reject(send, request.user, reason)
            messages.success(request, "Rejected. Whoever asked can change it and ask again.")
        else:
            messages.warning(request, _NO_REASON)
    except Conflict as conflict:
        messages.warning(request, conflict.message)
    return redirect("send", pk)


def awaited(send: Send, viewer: User) -> dict[str, Any]:
    """Who asked, whether the viewer may decide, and who else may; template context of a waiting send."""
    asked = approval.awaited(send)
    if asked is None:
        return {}
    own = asked.asked_by_id == viewer.pk
    return {
        "asked": asked,
        "own": own,
        "may_decide": not own and has_role(viewer, OPS, ADMIN),
        "deciders": deciders(asked.asked_by),
    }


def deciders(asker: User) -> str:
    """Who may approve what this person asks for, by name; empty when there is nobody else."""
    names = list(people_with(OPS, ADMIN).exclude(pk=asker.pk).values_list("username", flat=True))
    if len(names) > _NAMED:
        return f"{', '.join(names[:_NAMED])} or one of {len(names) - _NAMED} others"
    return " or ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def waiting_for(viewer: User) -> list[Send]:
    """Sends that this person may approve, those that wait longest first."""
    if not has_role(viewer, OPS, ADMIN):
        return []
    found = Send.objects.filter(status=Send.Status.AWAITING_APPROVAL).exclude(queued_by=viewer)
    return list(found.select_related("upload", "destination", "queued_by").order_by("pk"))
