"""`manage.py worker delivery|intake`"""

from __future__ import annotations

import argparse

from django.conf import settings
from django.core.management.base import CommandError

from offline_portal import worker
from offline_portal.checks_system import PORTAL
from offline_portal.management.command import PortalCommand


class Command(PortalCommand):
    """One more worker, on any machine with the same environment."""

    help = (
        "Work on one queue until SIGTERM: 'delivery' sends rows to vendors, 'intake' reads files, checks "
        "rows and prepares sends. As many as wanted may run."
    )
    requires_system_checks = (PORTAL,)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """One queue: a worker on two could lose what it just took."""
        parser.add_argument("queue", choices=worker.QUEUES, help="the queue to work on")

    def handle(self, *args: object, queue: str, **options: object) -> None:
        """Work; 2 where no Redis is known."""
        if not settings.REDIS_URL:
            why = "No Redis is known. Set REDIS_URL, or start the portal with make run."
            raise CommandError(why, returncode=2)
        worker.work(queue)
