"""The portal for gunicorn, whose server is killed after each commit, before anybody is woken."""

import os
import signal

from offline_portal import wake
from offline_portal.wsgi import application  # noqa: F401


def _die(*_arguments: object) -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


wake._enqueue = _die
