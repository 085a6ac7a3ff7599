"""The web server's settings: `gunicorn -c python:offline_portal.gunicorn offline_portal.wsgi`.

HOST, PORT and gunicorn's own WEB_CONCURRENCY (web processes) come from the environment.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import django
from django.core.checks import ERROR, run_checks
from django.core.exceptions import ImproperlyConfigured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "offline_portal.settings")
try:
    from offline_portal import settings
except ImproperlyConfigured as why:
    sys.exit(f"The portal cannot start: {why}")

bind = f"[{settings.HOST}]:{settings.PORT}" if ":" in settings.HOST else f"{settings.HOST}:{settings.PORT}"
worker_class = "gthread"
threads = 8
# A page never takes long, but an upload over a slow line may; a thread that waits does no harm.
timeout = 120
graceful_timeout = 10
max_requests = 0
loglevel = "warning"
control_socket_disable = True


def on_starting(server: Any) -> None:
    """Refuse to start on settings that a system check calls wrong."""
    django.setup()
    found = [message for message in run_checks() if message.level >= ERROR]
    if found:
        sys.exit("\n".join(f"{message.id}: {message.msg} {message.hint or ''}".rstrip() for message in found))
