"""A time at which a send shall start: read in the viewer's zone, told in theirs and in the destination's."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple

from django.conf import settings
from django.utils import timezone

from offline_portal.models import Destination
from offline_portal.screens.viewer import zone

_FIELD = "%Y-%m-%dT%H:%M"
_WRITTEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?", re.ASCII)
"""How `datetime-local` writes a time."""
_UNREADABLE = "This is not a day and a time. Write it like 2026-11-30T09:00."


class NotATime(ValueError):
    """Nothing can start then; the text is for a person."""


class Reading(NamedTuple):
    """A moment in one zone: in words, and whose zone it is."""

    at: datetime
    words: str
    zone: str
    whose: str


def chosen(text: str, zone_name: str) -> datetime:
    """The moment (in UTC) of a `datetime-local` field in the zone that its page named. Raises NotATime.

    A time that exists twice, when the clocks are put back, is the earlier one.
    """
    text = text.strip()
    if not _WRITTEN.fullmatch(text):
        raise NotATime(_UNREADABLE if text else "Choose a day and a time.")
    where = zone(zone_name or timezone.get_current_timezone_name())
    try:
        wall = datetime.fromisoformat(text)
        at = wall.replace(tzinfo=where).astimezone(UTC)
        exists = at.astimezone(where).replace(tzinfo=None) == wall
    except (ValueError, OverflowError):
        raise NotATime(_UNREADABLE) from None
    if not exists:
        raise NotATime(f"There is no such time in {where.key}: the clocks skip it that night. Choose another one.")
    if at <= timezone.now():
        raise NotATime(f"{_words(wall)} has passed already in {where.key}. Choose a later time.")
    return at


def in_zones(at: datetime, destination: Destination) -> list[Reading]:
    """The moment as the viewer's clock shows it, and as the destination's does where that is another zone."""
    own = timezone.get_current_timezone_name()
    there = str(destination.settings.get("timezone") or settings.PORTAL_TIMEZONE)
    readings = [_reading(at, own, "your time zone")]
    if there != own:
        readings.append(_reading(at, there, "the destination’s time zone"))
    return readings


def for_field(at: datetime | None) -> str:
    """As the value of a `datetime-local` field, in the viewer's zone."""
    return timezone.localtime(at).strftime(_FIELD) if at else ""


def _reading(at: datetime, name: str, whose: str) -> Reading:
    return Reading(at, _words(at.astimezone(zone(name))), name, whose)


def _words(at: datetime) -> str:
    return f"{at:%A}, {at.day} {at:%B %Y, %H:%M}"
