"""Who may do what: three groups, asked anew on every request."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import quote

from django.contrib.auth.models import AnonymousUser, Group, User
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase

from offline_portal.audit import chain

OPS, ADMIN, AUDITOR = "ops", "admin", "auditor"
EVERYONE = (OPS, ADMIN, AUDITOR)

Person = User | AnonymousUser
View = Callable[..., HttpResponseBase]


def roles_of(user: Person) -> frozenset[str]:
    """The roles of a person; none for a stranger and for a disabled account. Asked once a request."""
    if not (user.is_authenticated and user.is_active):
        return frozenset()
    known = getattr(user, "_portal_roles", None)
    if known is None:
        known = frozenset(user.groups.filter(name__in=EVERYONE).values_list("name", flat=True))
        user._portal_roles = known  # type: ignore[union-attr]
    return known


def has_role(user: Person, *roles: str) -> bool:
    """Whether the person has at least one of these roles."""
    return not roles_of(user).isdisjoint(roles)


def people_with(*roles: str) -> QuerySet[User]:
    """Everyone who has at least one of these roles and may sign in, by name."""
    return User.objects.filter(is_active=True, groups__name__in=roles).distinct().order_by("username")


def ensure_groups(**_: Any) -> None:
    """Make the three groups; a `post_migrate` receiver."""
    for name in EVERYONE:
        Group.objects.get_or_create(name=name)


def note_refused(request: HttpRequest, roles: tuple[str, ...]) -> None:
    """Log that the person of this request was kept out. The query is left out: it may name a customer."""
    user = request.user
    call = f"{request.method} {quote(request.path)}"[:300]
    with transaction.atomic():
        chain.add(user.get_username(), "access.refused", f"user:{user.pk}", {"call": call, "needs": list(roles)})


def role(*roles: str) -> Callable[[View], View]:
    """A screen for these roles only: strangers are led to sign in, others get the 403 page and a log entry."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            if has_role(request.user, *roles):
                return view(request, *args, **kwargs)
            note_refused(request, roles)
            raise PermissionDenied(f"This page is for {' and '.join(roles)}.")

        guarded.roles = roles  # type: ignore[attr-defined]
        return guarded

    return decorate
