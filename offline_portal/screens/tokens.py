"""A person's own tokens: made, shown once, and ended."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from offline_portal.access import tokens as keys
from offline_portal.access.roles import EVERYONE, role
from offline_portal.models import Token


@role(*EVERYONE)
@require_http_methods(["GET", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """My tokens. A POST makes one; its answer is the only page that ever shows it."""
    made = keys.make(request.user) if request.method == "POST" else ""
    mine = Token.objects.filter(user=request.user).order_by("-pk")
    rows = {"living": mine.filter(revoked_at=None), "ended": mine.exclude(revoked_at=None)[:10]}
    answer = render(request, "tokens/tokens.html", {"made": made, **rows})
    if made:
        answer["Cache-Control"] = "no-store"
    return answer


@role(*EVERYONE)
@require_POST
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """End one of my tokens at once."""
    token = get_object_or_404(Token.objects.select_related("user"), pk=pk, user=request.user)
    keys.revoke(token, request.user.get_username())
    messages.success(request, f"The token {token.hint} has ended. Scripts that use it are answered 401 from now on.")
    return redirect("tokens")
