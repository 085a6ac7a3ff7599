"""What every page carries: who is signed in, where they may go, and how it looks."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.http import HttpRequest
from django.urls import reverse

from offline_portal.access.roles import ADMIN, AUDITOR, EVERYONE, OPS, has_role, roles_of
from offline_portal.screens import viewer


class Place(NamedTuple):
    """One entry of the rail."""

    word: str
    icon: str
    address: str
    here: bool


_MAIN = (
    ("Home", "home", "home", EVERYONE),
    ("Sends", "send", "sends", EVERYONE),
    ("Audit", "audit", "audit", EVERYONE),
    ("Destinations", "destination", "destinations", EVERYONE),
    ("Mappings", "mapping", "mappings", EVERYONE),
)
_SECOND = (
    ("People", "people", "people", (ADMIN,)),
    ("Health", "health", "health", (ADMIN,)),
    ("Tokens", "key", "tokens", EVERYONE),
    ("Help", "question", "help-statuses", EVERYONE),
)
_ROLE_WORDS = {"ops": "Marketing ops", "admin": "Admin", "auditor": "Auditor"}


def frame(request: HttpRequest) -> dict[str, Any]:
    """Template context of every page."""
    user = getattr(request, "user", None)
    known = user is not None and user.is_authenticated
    return {
        "theme": viewer.theme(request),
        "main_places": _places(request, _MAIN) if known else [],
        "more_places": _places(request, _SECOND) if known else [],
        "role_words": " and ".join(_ROLE_WORDS[name] for name in EVERYONE if name in roles_of(user))
        if known
        else "",
        "may_send": known and has_role(user, OPS),
        "may_administer": known and has_role(user, ADMIN),
        "may_take_evidence": known and has_role(user, AUDITOR, ADMIN),
    }


def _places(request: HttpRequest, entries: tuple[tuple[str, str, str, tuple[str, ...]], ...]) -> list[Place]:
    places = []
    for word, icon, name, roles in entries:
        if has_role(request.user, *roles):
            address = reverse(name)
            here = request.path == address or (address != "/" and request.path.startswith(address))
            here = here or (name == "sends" and request.path.startswith("/rows/"))
            places.append(Place(word, icon, address, here))
    return places
