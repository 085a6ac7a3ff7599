"""System checks: wrong settings stop the start, with a number and a hint (listed in docs/operating.md)."""

from __future__ import annotations

import ipaddress
from typing import Any
from zoneinfo import available_timezones

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connection as database

from connectors import all_connectors
from offline_portal.models import Destination

PORTAL = "portal"
"""The tag of these checks. Commands run only them: Django's own load every page, which takes a second."""
SHORTEST_KEY = 32
_MAKE_KEY = 'Make one: python -c "import secrets; print(secrets.token_urlsafe(48))"'
_MAKE_FERNET_KEY = "Make one: openssl rand -base64 32 | tr +/ -_"


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine can reach what listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@register(PORTAL)
def check_demonstration(**_: Any) -> list[CheckMessage]:
    """portal.E001: known passwords must not be reachable from other machines."""
    if not settings.PORTAL_DEMO or is_loopback(settings.HOST):
        return []
    return [
        Error(
            f"PORTAL_DEMO=1 makes people with known passwords, and others can reach HOST={settings.HOST}.",
            hint="Set HOST=127.0.0.1, or PORTAL_DEMO=0.",
            id="portal.E001",
        )
    ]


@register(PORTAL)
def check_keys(**_: Any) -> list[CheckMessage]:
    """portal.E002 to portal.E004: the keys are what they must be."""
    found: list[CheckMessage] = []
    for number, key in enumerate(settings.PORTAL_ENCRYPTION_KEYS, start=1):
        try:
            Fernet(key)
        except ValueError:
            found.append(
                Error(
                    f"Key {number} of PORTAL_ENCRYPTION_KEYS is not a Fernet key.",
                    hint=_MAKE_FERNET_KEY,
                    id="portal.E002",
                )
            )
    found += [
        Error(f"{name} is shorter than {SHORTEST_KEY} characters.", hint=_MAKE_KEY, id="portal.E003")
        for name in ("SECRET_KEY", "PORTAL_INDEX_KEY")
        if len(getattr(settings, name)) < SHORTEST_KEY
    ]
    keys = [settings.SECRET_KEY, settings.PORTAL_INDEX_KEY, *settings.PORTAL_ENCRYPTION_KEYS]
    if len(set(keys)) < len(keys):
        found.append(
            Error(
                "One key serves two purposes among SECRET_KEY, PORTAL_ENCRYPTION_KEYS and PORTAL_INDEX_KEY.",
                hint="Make another: a key that leaks must not open more than one door.",
                id="portal.E004",
            )
        )
    return found


@register(PORTAL)
def check_time_zone(**_: Any) -> list[CheckMessage]:
    """portal.E005: dates without a zone could not be read."""
    if settings.PORTAL_TIMEZONE in available_timezones():
        return []
    return [
        Error(
            f"PORTAL_TIMEZONE={settings.PORTAL_TIMEZONE} is not a known time zone.",
            hint="Give an IANA name, such as Europe/Berlin.",
            id="portal.E005",
        )
    ]


@register(Tags.database)
def check_connectors(databases: list[str] | None = None, **_: Any) -> list[CheckMessage]:
    """portal.E007: every destination's vendor must be known, or its pages and sends would fail later."""
    table = Destination._meta.db_table
    if "default" not in (databases or []) or table not in database.introspection.table_names():
        return []
    slugs = Destination.objects.values_list("connector", flat=True).distinct().order_by("connector")
    return [
        Error(
            f"There are destinations of the vendor “{slug}”, which this version of the portal does not know.",
            hint=f"Put connectors/{slug}.py back.",
            id="portal.E007",
        )
        for slug in slugs
        if slug not in all_connectors()
    ]


@register(PORTAL)
def check_production(**_: Any) -> list[CheckMessage]:
    """portal.W001, portal.W002: what works but should not be so in production."""
    if settings.DEBUG:
        return []
    found: list[CheckMessage] = []
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        found.append(
            Warning(
                "DATABASE_URL is not set: the portal keeps its data in one SQLite file.",
                hint="For several machines and large sends use PostgreSQL: DATABASE_URL=postgres://…",
                id="portal.W001",
            )
        )
    if settings.PORTAL_ALLOW_PRIVATE_DESTINATIONS:
        found.append(
            Warning(
                "PORTAL_ALLOW_PRIVATE_DESTINATIONS=1: destinations may point into your own network.",
                hint="Only for training. Set it to 0.",
                id="portal.W002",
            )
        )
    return found

