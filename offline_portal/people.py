"""People: made, given roles, disabled and let in again, every act audited. Nobody ever picks a password for another."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group, User
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from offline_portal.access.roles import ADMIN, EVERYONE
from offline_portal.audit import chain
from offline_portal.models import Token

PORTAL = "portal"
"""The name under which the portal itself acts: in the audit log no person may be mistaken for it."""
_NAME_TAKEN = "Somebody has this name already, perhaps in capitals. Choose another one."


class Invalid(Exception):
    """What was given cannot be taken: `fields` says why, by `username` and `roles`."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(" ".join(fields.values()))
        self.fields = fields


class NotAllowed(Exception):
    """The act would lock everybody out, or is one that nobody does to themselves. The text says which."""


class _LinkKeys(PasswordResetTokenGenerator):
    key_salt = "offline_portal.people.link"


link_keys = _LinkKeys()
"""Keys of the one-time links: void once a password is set, a newer link is made, or PASSWORD_RESET_TIMEOUT is over."""


def everybody() -> QuerySet[User]:
    """All people, those who may sign in first, with their roles and second factors."""
    found = User.objects.order_by("-is_active", "username")
    return found.prefetch_related("groups", "authenticator_set")


def roles_of(person: User) -> list[str]:
    """The roles that a person has, disabled or not, in the order ops, admin, auditor."""
    names = {group.name for group in person.groups.all()}
    return [role for role in EVERYONE if role in names]


def create(username: str, roles: Iterable[str], by: str, full_name: str = "") -> User:
    """A new person without a password; `link` lets them choose one. `by` is the username of who does it.

    Raises Invalid.
    """
    username = unicodedata.normalize("NFKC", username).strip()
    roles = _in_order(roles)
    wrong = _wrong_name(username) | _wrong_roles(roles)
    if wrong:
        raise Invalid(wrong)
    try:
        with transaction.atomic():
            person = User.objects.create_user(username, first_name=full_name.strip()[:150])
            person.groups.set(Group.objects.filter(name__in=roles))
            detail = {"username": username, "roles": roles}
            chain.add(by, "person.created", _object(person), detail)
    except IntegrityError:
        raise Invalid({"username": _NAME_TAKEN}) from None
    return person


def set_roles(person: User, roles: Iterable[str], by: str) -> None:
    """Give a person exactly these roles; they hold from the person's next request on. Raises Invalid, NotAllowed."""
    roles = _in_order(roles)
    if wrong := _wrong_roles(roles):
        raise Invalid(wrong)
    with transaction.atomic():
        person = _locked(person)
        before = roles_of(person)
        if before == roles:
            return
        _never_oneself(person, by, "Nobody changes their own roles. Ask another admin.")
        if ADMIN not in roles:
            _never_the_last_admin(person)
        person.groups.set(Group.objects.filter(name__in=roles))
        detail = {"username": person.username, "roles": [before, roles]}
        chain.add(by, "person.roles_changed", _object(person), detail)


def disable(person: User, by: str) -> None:
    """Keep a person out from now on: password, sessions and tokens end at once. What they queued goes on.

    Disabling twice changes nothing. Raises NotAllowed.
    """
    with transaction.atomic():
        person = _locked(person)
        if not person.is_active:
            return
        _never_oneself(person, by, "Nobody disables themselves. Ask another admin.")
        _never_the_last_admin(person)
        person.is_active = False
        # Sessions are bound to the password: without it those of today stay ended when the person comes back.
        person.set_unusable_password()
        person.save(update_fields=["is_active", "password"])
        living = Token.objects.select_for_update().filter(user=person, revoked_at=None).order_by("pk")
        tokens = list(living.values_list("pk", "hint"))
        Token.objects.filter(pk__in=[pk for pk, _ in tokens]).update(revoked_at=timezone.now())
        ended = [
            (by, "token.revoked", f"token:{pk}", {"user": person.username, "hint": hint}) for pk, hint in tokens
        ]
        chain.add_many([(by, "person.disabled", _object(person), {"username": person.username}), *ended])


def enable(person: User, by: str) -> None:
    """Let a disabled person in again, with a new password that `link` lets them choose, and without old tokens."""
    with transaction.atomic():
        if User.objects.filter(pk=person.pk, is_active=False).update(is_active=True):
            chain.add(by, "person.enabled", _object(person), {"username": person.username})


def link(person: User, by: str) -> str:
    """The path of a link by which the person chooses a password, once; their old password and sessions end now.

    Earlier links are void. Raises NotAllowed for a disabled person.
    """
    with transaction.atomic():
        person = _locked(person)
        if not person.is_active:
            raise NotAllowed(f"{person.username} is disabled. Enable them first.")
        person.set_unusable_password()
        person.save(update_fields=["password"])
        chain.add(by, "person.link_made", _object(person), {"username": person.username})
    number = urlsafe_base64_encode(force_bytes(person.pk))
    return reverse("first-password", args=[number, link_keys.make_token(person)])


def drop_factors(person: User, by: str) -> int:
    """Take away the second factors of a person who lost theirs; gives how many there were."""
    with transaction.atomic():
        count, _ = Authenticator.objects.filter(user=person).delete()
        if count:
            chain.add(by, "person.factors_dropped", _object(person), {"username": person.username, "factors": count})
    return count


def note_password(person: User) -> None:
    """Log that the person chose a password through their link; inside the transaction that sets it."""
    chain.add(person.username, "person.password_set", _object(person), {"username": person.username})


def _object(person: User) -> str:
    return f"user:{person.pk}"


def _in_order(roles: Iterable[str]) -> list[str]:
    given = set(roles)
    return [role for role in EVERYONE if role in given] + sorted(given - set(EVERYONE))


def _wrong_name(username: str) -> dict[str, str]:
    problem = ""
    if not username:
        problem = "Give the name that the person signs in with."
    elif len(username) > 150:
        problem = "A username has at most 150 characters."
    elif not all(sign.isalnum() or sign in "@.+-_" for sign in username):
        problem = "A username has letters, digits and @ . + - _ only, and no spaces."
    elif username.casefold() == PORTAL:
        problem = "The portal itself acts under this name. Choose another one."
    elif username.casefold() in {name.casefold() for name in User.objects.values_list("username", flat=True)}:
        problem = _NAME_TAKEN
    return {"username": problem} if problem else {}


def _wrong_roles(roles: list[str]) -> dict[str, str]:
    unknown = [role for role in roles if role not in EVERYONE]
    if unknown:
        return {"roles": f"There is no role {unknown[0]!r}. There are: {', '.join(EVERYONE)}."}
    return {} if roles else {"roles": "Choose at least one role: without one a person sees nothing."}


def _locked(person: User) -> User:
    """The person as stored now. Acts on people come one after the other, so that two admins cannot oust each other."""
    list(Group.objects.select_for_update().filter(name=ADMIN))
    return User.objects.select_for_update().get(pk=person.pk)


def _never_oneself(person: User, by: str, words: str) -> None:
    if person.username == by:
        raise NotAllowed(words)


def _never_the_last_admin(person: User) -> None:
    admins = User.objects.filter(is_active=True, groups__name=ADMIN)
    if admins.filter(pk=person.pk).exists() and not admins.exclude(pk=person.pk).exists():
        raise NotAllowed(f"{person.username} is the last admin. Make somebody else an admin first.")
