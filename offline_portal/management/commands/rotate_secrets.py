"""manage.py rotate_secrets"""

from __future__ import annotations

import sys
from typing import Any

from offline_portal import secrets
from offline_portal.management.command import PortalCommand


class Command(PortalCommand):
    help = (
        "Encrypt every stored vendor secret under the first key of PORTAL_ENCRYPTION_KEYS. Put the new key first,"
        " keep the old one behind it, restart everything, run this, then take the old key away."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            result = secrets.rotate()
        except secrets.Unreadable as error:
            self.stderr.write(str(error))
            sys.exit(1)
        self.stdout.write(f"{result.rotated} encrypted anew, {result.already} were under the first key already.")
