"""`manage.py pause_all REASON`"""

from __future__ import annotations

import argparse

from django.db import transaction

from offline_portal.checks_system import PORTAL
from offline_portal.delivery.pausing import pause_destination
from offline_portal.management.command import PortalCommand
from offline_portal.models import Destination


class Command(PortalCommand):
    """Nothing leaves any more, until an admin opens a destination."""

    help = (
        "Pause every destination, with the reason. Needed after an older database was restored: what was sent since "
        "the backup stands there as not sent, and would be sent again."
    )
    requires_system_checks = (PORTAL,)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Why."""
        parser.add_argument("reason", help="what admins and marketing ops read beside the pause")

    def handle(self, *args: object, reason: str, **options: object) -> None:
        """Pause what is open, each with an audit entry."""
        paused = 0
        for pk in Destination.objects.filter(archived_at=None, paused=False).values_list("pk", flat=True):
            with transaction.atomic():
                paused += pause_destination(pk, reason[:300])
        self.stdout.write(f"{paused} paused. Admins open each one on its page.")
