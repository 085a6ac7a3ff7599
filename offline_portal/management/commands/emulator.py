"""`manage.py emulator`"""

from __future__ import annotations

import argparse

from django.conf import settings
from django.core.management.base import CommandError

from connectors import emulator
from offline_portal.checks_system import PORTAL
from offline_portal.management.command import PortalCommand


class Command(PortalCommand):
    """The vendor emulator alone."""

    help = "Run the stand-ins of the vendors, for training and tests, until Ctrl-C."
    requires_system_checks = (PORTAL,)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Where to listen."""
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
        port = settings.EMULATOR_PORT
        parser.add_argument("--port", type=int, default=port, help=f"port to listen on (default {port})")
        for name, port in (("ftp", settings.EMULATOR_FTP_PORT), ("sftp", settings.EMULATOR_SFTP_PORT)):
            help_text = f"port of its {name.upper()} door (default {port})"
            parser.add_argument(f"--{name}-port", type=int, default=port, help=help_text)

    def handle(
        self, *args: object, host: str, port: int, ftp_port: int, sftp_port: int, **options: object
    ) -> None:
        """Serve; 2 where the address cannot be taken."""
        doors = f"files at ftp://{host}:{ftp_port} and sftp://{host}:{sftp_port}"
        self.stdout.write(f"Vendor emulator at http://{host}:{port}, {doors}; end it with Ctrl-C")
        self.stdout.flush()
        try:
            emulator.serve(host, port, ftp_port, sftp_port, settings.PORTAL_DATA / "emulator")
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise CommandError(f"Cannot listen on {host}:{port}: {reason}", returncode=2) from None
