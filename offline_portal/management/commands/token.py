"""`manage.py token USERNAME`"""

from __future__ import annotations

import argparse

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError

from offline_portal.access import tokens
from offline_portal.checks_system import PORTAL
from offline_portal.management.command import PortalCommand


class Command(PortalCommand):
    """A new API token for a person."""

    help = "Print a new API token for a person. It is shown only now; the portal keeps a digest of it."
    requires_system_checks = (PORTAL,)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """For whom."""
        parser.add_argument("username", help="the name that the person signs in with")

    def handle(self, *args: object, username: str, **options: object) -> None:
        """Print it; 2 where there is no such person, or one that may not sign in."""
        user = get_user_model().objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no person named {username!r}.", returncode=2)
        if not user.is_active:
            raise CommandError(f"{username} may not sign in any more.", returncode=2)
        self.stdout.write(tokens.make(user))
