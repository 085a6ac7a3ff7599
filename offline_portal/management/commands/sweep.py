"""`manage.py sweep`"""

from __future__ import annotations

import sys

from offline_portal.checks_system import PORTAL
from offline_portal.delivery.sweep import one_pass
from offline_portal.management.command import PortalCommand


class Command(PortalCommand):
    """One pass of the sweeper."""

    help = "One pass of the sweeper: wake workers for what is due, take over what a dead worker left."
    requires_system_checks = (PORTAL,)

    def handle(self, *args: object, **options: object) -> None:
        """Sweep once; 1 where the database is another version's, and nothing was done."""
        if not one_pass():
            sys.exit(1)
