"""What a run needs for itself alone: its data folder and its ports."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Self

_NOTE = "run.json"


class Taken(Exception):
    """Another program has what this run needs; the text tells a person what to do."""


EMULATOR_PORTS = ("EMULATOR_PORT", "EMULATOR_FTP_PORT", "EMULATOR_SFTP_PORT")
SHARED = ("DEBUG", "PORTAL_DEMO", "PORTAL_ALLOW_PRIVATE_DESTINATIONS", "HOST", "PORT", *EMULATOR_PORTS)
"""What a command beside a run must know alike. No secret is among them: they lie in a file."""


class Lock:
    """Keeps a second run out of the same data folder for as long as this program lives.

    It also leaves there what commands in other terminals must know (see `join`).
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self._file = (data / "run.lock").open("a+")

    def __enter__(self) -> Self:
        """Take it. Raises Taken, naming the program that has it."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            owner = self._file.read().strip() or "unknown"
            self._file.close()
            raise Taken(
                f"The portal already runs on {self._data} (process {owner}). End that one first, or set "
                "PORTAL_DATA to another folder."
            ) from None
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()
        shared = {name: os.environ[name] for name in SHARED if name in os.environ}
        (self._data / _NOTE).write_text(json.dumps(shared))
        return self

    def __exit__(self, *_: object) -> None:
        (self._data / _NOTE).unlink(missing_ok=True)
        self._file.close()


def join(data: Path) -> None:
    """Take over the SHARED variables of the run that is alive on `data`, those that are not set here.

    So `manage.py token olivia` in a second terminal finds the portal that `make run` started in the first. Where no
    run is alive, nothing changes: what a demonstration left behind never weakens another start.
    """
    try:
        with (data / "run.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        with suppress(OSError, ValueError):
            for name, value in json.loads((data / _NOTE).read_text()).items():
                os.environ.setdefault(name, value)
    except OSError:
        pass


def check_port(host: str, port: int, variable: str) -> None:
    """Make sure that nothing listens on `port` yet. Raises Taken, naming the variable to change."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Taken(_why_not(error, host, port, variable)) from None


def _why_not(error: OSError, host: str, port: int, variable: str) -> str:
    if error.errno == errno.EADDRINUSE:
        why = f"Port {port} is already used by another program. End that one"
    elif error.errno == errno.EACCES:
        why = f"This user may not listen on port {port}. Ask for the right to"
    else:
        return f"{host} is not an address of this machine ({error.strerror}). Set HOST to one that is."
    return f"{why}, or choose another port: {variable}={port + 1} make run"
