"""Who acts through a command, and on what."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import CommandError
from django.db.models import QuerySet

from offline_portal.access.roles import OPS, has_role
from offline_portal.management.command import WRONG_USE

DEMO_PERSON = "olivia"


def sender(username: str | None) -> User:
    """The person who sends; with PORTAL_DEMO=1 olivia, where nobody is named. Raises CommandError, exit code 2."""
    username = username or (DEMO_PERSON if settings.PORTAL_DEMO else "")
    if not username:
        raise CommandError("Say who sends: --as USER.", returncode=WRONG_USE)
    person = User.objects.filter(username=username).first()
    if person is None or not has_role(person, OPS):
        raise CommandError(f"{username} is not a person who may send (marketing ops).", returncode=WRONG_USE)
    return person


def found(things: QuerySet[Any], what: str, number: str) -> Any:
    """What has this id. Raises CommandError, exit code 2."""
    is_id = number.isascii() and number.isdigit() and len(number) < 19
    thing = things.filter(pk=int(number)).first() if is_id else None
    if thing is None:
        raise CommandError(f"There is no {what} {number!r}.", returncode=WRONG_USE)
    return thing
