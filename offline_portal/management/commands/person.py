"""`manage.py person USERNAME`"""

from __future__ import annotations

import argparse

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import CommandError

from offline_portal import people
from offline_portal.access.roles import EVERYONE, ensure_groups
from offline_portal.checks_system import PORTAL
from offline_portal.management.command import PortalCommand


class Command(PortalCommand):
    """Make the first admin, and people from scripts."""

    help = (
        "Make a person, or change one: give roles, disable, let in again. Prints a one-time link with which the "
        "person chooses a password; it works for three days. Without options it tells who the person is."
    )
    requires_system_checks = (PORTAL,)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Who, and what is to become of them."""
        parser.add_argument("username", help="the name that the person signs in with")
        parser.add_argument("--role", action="append", choices=EVERYONE, help="exactly these roles; may be repeated")
        parser.add_argument("--name", default="", help="the full name of a new person")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--disable", action="store_true", help="end password, sessions and tokens at once")
        what.add_argument("--enable", action="store_true", help="let a disabled person in again")
        what.add_argument("--link", action="store_true", help="a new link; the old password ends")

    def handle(self, *args: object, username: str, **options: object) -> None:
        """Do it, and tell; 2 with one line where it cannot be."""
        ensure_groups()
        person = User.objects.filter(username=username).first()
        try:
            if person is None:
                person = self._make(username, options)
                wants_link = True
            else:
                wants_link = self._change(person, options)
            self._tell(User.objects.get(pk=person.pk))
            if wants_link:
                self.stdout.write(origin() + people.link(person, people.PORTAL))
        except (people.Invalid, people.NotAllowed) as why:
            raise CommandError(str(why), returncode=2) from None

    def _make(self, username: str, options: dict[str, object]) -> User:
        if options["disable"] or options["enable"] or options["link"]:
            raise CommandError(f"There is no person named {username!r}.", returncode=2)
        if not options["role"]:
            told = f"There is no person named {username!r}. To make one, name a role: --role {'|'.join(EVERYONE)}"
            raise CommandError(told, returncode=2)
        return people.create(username, options["role"], people.PORTAL, str(options["name"]))

    def _change(self, person: User, options: dict[str, object]) -> bool:
        """Whether the person needs a link now."""
        if options["role"]:
            people.set_roles(person, options["role"], people.PORTAL)
        if options["disable"]:
            people.disable(person, people.PORTAL)
        if options["enable"]:
            people.enable(person, people.PORTAL)
        return bool(options["enable"] or options["link"])

    def _tell(self, person: User) -> None:
        roles = ", ".join(people.roles_of(person)) or "no role"
        self.stdout.write(f"{person.username}: {roles}{'' if person.is_active else ', disabled'}")


def origin() -> str:
    """Scheme, host and port under which people reach the portal, as far as the settings tell."""
    for address in settings.CSRF_TRUSTED_ORIGINS:
        if "*" not in address:
            return address.rstrip("/")
    host = f"[{settings.HOST}]" if ":" in settings.HOST else settings.HOST
    return f"http://{host}:{settings.PORT}"
