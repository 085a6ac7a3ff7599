"""The emulator's FTP door, which offers TLS: pyftpdlib in a thread of its own."""

import asyncio
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyftpdlib.authorizers import AuthenticationFailed
from pyftpdlib.exceptions import FilesystemError
from pyftpdlib.filesystems import AbstractedFS
from pyftpdlib.handlers import TLS_FTPHandler
from pyftpdlib.ioloop import IOLoop
from pyftpdlib.servers import FTPServer

from connectors.emulator.depot import AT_LOGIN, AT_RENAME, AT_STORE, Depot, words
from connectors.emulator.keys import Keys

logging.getLogger("pyftpdlib").setLevel(logging.CRITICAL)

Ask = Callable[..., Any]
"""Calls a function in the thread that owns ledger and switches, and waits for what it gives."""


class FtpDoor:
    """Listens from `start` to `stop`."""

    def __init__(self, depot: Depot, keys: Keys, host: str, port: int) -> None:
        """Raises OSError where the port is taken."""
        loop = asyncio.get_running_loop()

        def ask(function: Callable[..., Any], *arguments: Any) -> Any:
            async def call() -> Any:
                return function(*arguments)

            return asyncio.run_coroutine_threadsafe(call(), loop).result(10)

        handler = type("Handler", (_Handler,), {
            "depot": depot, "ask": staticmethod(ask), "authorizer": _Authorizer(depot, ask), "ssl_context": None,
            "certfile": str(keys.tls),
        })  # fmt: skip
        self._loop = IOLoop()
        self._server = FTPServer((host, port), handler, ioloop=self._loop)
        self.port = int(self._server.address[1])
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="ftp", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    async def stop(self) -> None:
        """Hang up on everybody."""
        self._over.set()
        await asyncio.to_thread(self._thread.join, 2)

    def _serve(self) -> None:
        while not self._over.is_set():
            self._loop.loop(timeout=0.1, blocking=False)
        self._server.close_all()


class _Folders(AbstractedFS):
    """Any folder that is asked for is there."""

    def chdir(self, path: str) -> None:
        folder = Path(path)
        if folder.is_file():
            raise FilesystemError("Not a directory")
        folder.mkdir(parents=True, exist_ok=True)
        self.cwd = self.fs2ftp(path)


class _Authorizer:
    """Lets everybody in, unless a switch says otherwise; an account is a user name."""

    def __init__(self, depot: Depot, ask: Ask) -> None:
        self._depot, self._ask = depot, ask

    def validate_authentication(self, username: str, password: str, handler: Any) -> None:
        if self._ask(self._depot.meets, username, AT_LOGIN):
            raise AuthenticationFailed("Login incorrect.")

    def get_home_dir(self, username: str) -> str:
        return str(self._depot.home(username))

    def has_user(self, username: str) -> bool:
        return True

    def has_perm(self, username: str, perm: str, path: str | None = None) -> bool:
        return True

    def get_perms(self, username: str) -> str:
        return "elradfmwMT"

    def get_msg_login(self, username: str) -> str:
        return "Login successful."

    def get_msg_quit(self, username: str) -> str:
        return "Goodbye."

    def impersonate_user(self, username: str, password: str) -> None: ...

    def terminate_impersonation(self, username: str) -> None: ...


class _Handler(TLS_FTPHandler):
    """One session; the switches that meet it decide how its transfers and renames end."""

    depot: Depot
    ask: Ask
    abstracted_fs = _Folders
    banner = "Vendor emulator"
    auth_failed_timeout = 0
    use_sendfile = False
    _met: dict[str, Any] = {}

    def ftp_STOR(self, file: str, mode: str = "w") -> Any:
        self._met = self.ask(self.depot.meets, self.username, AT_STORE)
        if "reply" in self._met or "no_space" in self._met:
            code = self._met.get("reply", 552)
            self._shutdown_connecting_dtp()
            if self.data_channel is not None:
                self.data_channel.close()
            self.respond(f"{code} {words(self._met)}")
            return None
        return super().ftp_STOR(file, mode)

    def respond(self, resp: str, logfun: Any = None) -> None:
        if resp.startswith("226") and "cut_transfer" in self._met:
            self.ioloop.call_later(0, self.close)
        elif resp.startswith("226") and "slow_transfer" in self._met:
            self.ioloop.call_later(self._met["slow_transfer"] / 1000, self._respond_late, resp)
        else:
            super().respond(resp)

    def _respond_late(self, resp: str) -> None:
        if self.connected:
            super().respond(resp)

    def on_file_received(self, file: str) -> None:
        path = Path(file)
        if "cut_transfer" in self._met:
            content = path.read_bytes()
            path.write_bytes(content[: len(content) // 2])
        else:
            self.ask(self.depot.finished, self.username, path)

    def ftp_RNTO(self, path: str) -> Any:
        met = self.ask(self.depot.meets, self.username, AT_RENAME)
        account, lost = self.username, met.get("lost_rename")
        if lost == "before":
            self.close()
            return None
        if lost == "after" and self._rnfr:
            Path(self._rnfr).rename(path)
            self.ask(self.depot.finished, account, Path(path))
            self.close()
            return None
        renamed = super().ftp_RNTO(path)
        if renamed:
            self.ask(self.depot.finished, account, Path(path))
        return renamed
