"""Error pages, with an id to quote."""

from __future__ import annotations

import logging
import re
import secrets
import sys
from collections.abc import Callable
from typing import Any

from allauth.core.exceptions import ImmediateHttpResponse, ReauthenticationRequired
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.core.signals import got_request_exception
from django.dispatch import receiver
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from offline_portal.trouble import DATABASE_TROUBLE, disk_is_full, first_line

log = logging.getLogger("offline_portal.screens")


_NO_ROOM = "There is no room left on the disk of the portal, so nothing can be stored. Tell whoever runs the portal."
_FOR_ALLAUTH = (ReauthenticationRequired, ImmediateHttpResponse)
"""Its middleware turns these into the way to another page."""
_TRY_AGAIN_AFTER = 5
"""Seconds after which a page that could not be shown may be asked for again."""
_ROLE_WORDS = {"ops": "marketing ops", "admin": "admins", "auditor": "auditors"}


class Plainly:
    """Middleware: with DEBUG too a person meets these pages, and the traceback goes to the log only."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request; where no address fits, or where a middleware failed, with our page."""
        answer = self.get_response(request)
        if not settings.DEBUG:
            return answer
        if answer.status_code == 404 and request.resolver_match is None:
            return not_found(request)
        error = getattr(request, "portal_error", None)
        return _failed(request, error) if error and not hasattr(answer, "is_ours") else answer

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Our page for what a screen raised; the API answers for itself."""
        if not settings.DEBUG or request.path.startswith("/api/") or isinstance(exception, _FOR_ALLAUTH):
            return None
        if isinstance(exception, Http404):
            return not_found(request, exception)
        if isinstance(exception, PermissionDenied):
            return not_allowed(request, exception)
        got_request_exception.send(sender=type(self), request=request)
        return _failed(request, exception)


@receiver(got_request_exception, dispatch_uid="portal.errors")
def _keep(request: HttpRequest | None = None, **_: Any) -> None:
    """What failed, for the page that tells of it."""
    if request is not None:
        request.portal_error = sys.exc_info()[1]  # type: ignore[attr-defined]


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
    """500: our fault; the id leads to the log line. 503: the database or the disk is away. Touches neither."""
    return _failed(request, getattr(request, "portal_error", None))


def _failed(request: HttpRequest, error: BaseException | None) -> HttpResponse:
    if not (isinstance(error, DATABASE_TROUBLE) or disk_is_full(error)):
        return _page(request, 500, exception=error if settings.DEBUG else None)
    log.warning("The database or the disk is away: %s", first_line(error))
    page = _page(request, 503, _NO_ROOM if disk_is_full(error) else "")
    page["Retry-After"] = str(_TRY_AGAIN_AFTER)
    return page


def no_csrf(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form that was open too long, or came from elsewhere."""
    return _page(
        request,
        403,
        "This form was open for too long, or it came from another page. Go back, reload, and try again.",
    )


def _page(request: HttpRequest, status: int, words: str = "", exception: BaseException | None = None) -> HttpResponse:
    quoted = secrets.token_hex(4)
    level = logging.ERROR if status == 500 else logging.INFO
    log.log(level, "Error page %s for %s, id %s", status, request.path, quoted, exc_info=exception)
    # After our own fault nothing is asked of the database or the session again.
    template, asked = f"errors/{status}.html", None if status >= 500 else request
    page = render(asked, template, {"quoted": quoted, "words": words}, status=status)
    page.is_ours = True  # type: ignore[attr-defined]
    return page
