"""`manage.py sweeper`"""

from __future__ import annotations

import logging
import signal
import threading

from django.conf import settings
from django.db import close_old_connections
from django.db.utils import DatabaseError
from redis.exceptions import RedisError

from offline_portal.checks_system import PORTAL
from offline_portal.delivery.sweep import one_pass
from offline_portal.management.command import PortalCommand

log = logging.getLogger(__name__)


class Command(PortalCommand):
    """The sweeper, pass after pass."""

    help = "Sweep every PORTAL_SWEEP_EVERY seconds until SIGTERM. One is enough; several do no harm."
    requires_system_checks = (PORTAL,)

    def handle(self, *args: object, **options: object) -> None:
        """Sweep until asked to end; a database or Redis that is away is waited for."""
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        while not ended.is_set():
            close_old_connections()
            try:
                one_pass()
            except (DatabaseError, RedisError, OSError) as error:
                log.warning("a pass was cut short (%s), the next one follows", error)
            ended.wait(settings.PORTAL_SWEEP_EVERY)
