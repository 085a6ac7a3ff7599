"""Error pages, with an id to quote."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable

from allauth.core.exceptions import ImmediateHttpResponse, ReauthenticationRequired
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.core.signals import got_request_exception
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

log = logging.getLogger("offline_portal.screens")


_FOR_ALLAUTH = (ReauthenticationRequired, ImmediateHttpResponse)
"""Its middleware turns these into the way to another page."""
_ROLE_WORDS = {"ops": "marketing ops", "admin": "admins", "auditor": "auditors"}


class Plainly:
    """Middleware: with DEBUG too a person meets these pages, and the traceback goes to the log only."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request; where no address fits, with our page."""
        answer = self.get_response(request)
        if settings.DEBUG and answer.status_code == 404 and request.resolver_match is None:
            return not_found(request)
        return answer

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Our page for what a screen raised; the API answers for itself."""
        if not settings.DEBUG or request.path.startswith("/api/") or isinstance(exception, _FOR_ALLAUTH):
            return None
        if isinstance(exception, Http404):
            return not_found(request, exception)
        if isinstance(exception, PermissionDenied):
            return not_allowed(request, exception)
        got_request_exception.send(sender=type(self), request=request)
        return _page(request, 500, exception=exception)


def not_allowed(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """403: the role may not."""
    words = str(exception) if isinstance(exception, PermissionDenied) else ""
    return _page(request, 403, re.sub(r"\b(ops|admin|auditor)\b", lambda found: _ROLE_WORDS[found[0]], words))


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404: nothing there."""
    return _page(request, 404)


def too_large(request: HttpRequest) -> HttpResponse:
    """413: more than is taken."""
    return _page(request, 413)


def broken(request: HttpRequest) -> HttpResponse:
    """500: our fault; the id leads to the log line. Touches neither database nor session."""
    return _page(request, 500)


def no_csrf(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form that was open too long, or came from elsewhere."""
    return _page(
        request,
        403,
        "This form was open for too long, or it came from another page. Go back, reload, and try again.",
    )


def _page(request: HttpRequest, status: int, words: str = "", exception: Exception | None = None) -> HttpResponse:
    quoted = secrets.token_hex(4)
    level = logging.ERROR if status >= 500 else logging.INFO
    log.log(level, "Error page %s for %s, id %s", status, request.path, quoted, exc_info=exception)
    # After our own fault nothing is asked of the database or the session again.
    template, asked = f"errors/{status}.html", None if status >= 500 else request
    return render(asked, template, {"quoted": quoted, "words": words}, status=status)
