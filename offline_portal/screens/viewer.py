"""Whose eyes: the viewer's time zone and the way their numbers are written."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from contextvars import ContextVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import formats, timezone
from django.utils.translation import get_supported_language_variant
from django.utils.translation.trans_real import parse_accept_lang_header

ZONE_COOKIE = "zone"
THEME_COOKIE = "theme"
THEMES = ("light", "dark")

_language: ContextVar[str] = ContextVar("viewer_language", default="en")


class Viewer:
    """Middleware: times are shown in the zone that the browser named in a cookie, else in the portal's."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request with the viewer's zone and language set."""
        kept = _language.set(_wanted(request.META.get("HTTP_ACCEPT_LANGUAGE", "")))
        try:
            with timezone.override(zone(request.COOKIES.get(ZONE_COOKIE, ""))):
                return self.get_response(request)
        finally:
            _language.reset(kept)


def theme(request: HttpRequest) -> str:
    """`light`, `dark`, or empty for what the system says."""
    chosen = request.COOKIES.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else ""


def zone(name: str) -> zoneinfo.ZoneInfo:
    """The time zone of this name; for a name that nobody knows the portal's."""
    for candidate in (name, settings.PORTAL_TIMEZONE):
        try:
            return zoneinfo.ZoneInfo(candidate)
        except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
            continue
    return zoneinfo.ZoneInfo("UTC")


def grouped(number: int | str) -> str:
    """A number with a dot as the viewer writes it: 4960 is `4,960` in English, `4.960` in German."""
    language = _language.get()
    sign, text = ("-", str(number)[1:]) if str(number).startswith("-") else ("", str(number))
    whole, _, fraction = text.partition(".")
    separator = formats.get_format("THOUSAND_SEPARATOR", lang=language, use_l10n=True)
    if whole.isdigit():
        whole = f"{int(whole):,}".replace(",", separator)
    mark = formats.get_format("DECIMAL_SEPARATOR", lang=language, use_l10n=True)
    return f"{sign}{whole}{mark}{fraction}" if fraction else f"{sign}{whole}"


def _wanted(header: str) -> str:
    for code, _weight in parse_accept_lang_header(header):
        try:
            return get_supported_language_variant(code)
        except LookupError:
            continue
    return "en"
