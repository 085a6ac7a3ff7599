"""FTP and FTPS (RFC 959, 4217) for `connectors.files`: stdlib ftplib in a thread, over a socket given to it."""

from __future__ import annotations

import asyncio
import ftplib
import re
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from typing import Any, NoReturn

from connectors import files
from connectors.base import Blocked
from connectors.by_file import Door

SILENCE = 30.0
"""Seconds without a byte after which a connection counts as lost; the deadline of the transfer comes on top."""
PIECE = 64 * 1024
LONGEST_REPLY = 64 * 1024
NOT_OFFERED = (500, 501, 502, 504)
_CODE = re.compile(r"[1-5][0-9][0-9]")


async def enter(
    sock: socket.socket, door: Door, verify: ssl.SSLContext | None, threads: ThreadPoolExecutor
) -> FtpSession:
    """Log in over a connected socket and go to the folder. Raises Reply, Lost or Blocked."""
    session = FtpSession(sock, door, verify or _trusted_certificates(), threads)
    try:
        await session.call(session.wire.enter, sock, door)
    except BaseException:
        session.abort()
        raise
    return session


class FtpSession:
    """A login at an FTP server; see `files.Session`."""

    def __init__(self, sock: socket.socket, door: Door, context: ssl.SSLContext, threads: ThreadPoolExecutor) -> None:
        sock.settimeout(SILENCE)
        self.wire = _Wire(context=context, timeout=SILENCE, encoding="utf-8")
        self.wire.sock = sock
        self._threads = threads
        self._place = files.place_of(door)

    async def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run one exchange in a thread; its errors are ours. Raises Reply, Lost or Blocked."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        except (ftplib.error_temp, ftplib.error_perm, ftplib.error_reply) as error:
            _reply(str(error), self._place)
        except ssl.SSLCertVerificationError as error:
            why = (error.verify_message or "it does not fit").rstrip(".")
            raise Blocked(f"The certificate of {self._place} cannot be trusted: {why}.") from None
        except ssl.SSLError as error:
            reason = (error.reason or "TLS failed").replace("_", " ").lower()
            raise files.Lost(f"No secure connection to {self._place} came about ({reason}).") from None
        except (ftplib.error_proto, UnicodeError, ValueError):
            raise files.Lost(f"{self._place} does not answer as an FTP server does.") from None
        except TimeoutError:
            raise files.Lost(f"{self._place} fell silent.") from None
        except (EOFError, OSError):
            raise files.Lost(f"{self._place} closed the connection.") from None

    async def size(self, name: str) -> int | None:
        try:
            size = await self.call(self.wire.size, name)
        except files.Reply as reply:
            if reply.code == 550:
                return None
            if reply.code in NOT_OFFERED:
                raise files.SizeUntold from None
            raise
        if size is None:
            raise files.SizeUntold
        return int(size)

    async def store(self, name: str, content: bytes) -> str:
        return str(await self.call(self.wire.put, name, content))

    async def rename(self, name: str, new_name: str) -> str:
        await self.call(self.wire.announce_rename, name)
        return str(await self.call(self.wire.voidcmd, f"RNTO {new_name}"))

    async def leave(self) -> None:
        with suppress(files.Reply, files.Lost, Blocked, TimeoutError):
            async with asyncio.timeout(2):
                await self.call(self.wire.quit)

    def abort(self) -> None:
        for sock in (self.wire.data, self.wire.sock):
            if sock is not None:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                sock.close()


class _Wire(ftplib.FTP_TLS):
    """ftplib over a socket that somebody else connected. Its data go to the peer of that socket and nowhere else."""

    data: socket.socket | None = None
    _heard = 0

    def enter(self, sock: socket.socket, door: Door) -> None:
        """Greet, secure, log in, go to the folder."""
        self.host, self.port, self.af = door.host, door.port, sock.family
        if door.implicit_tls:
            self.sock = self.context.wrap_socket(sock, server_hostname=door.host)
        self.file = self.sock.makefile("r", encoding=self.encoding)
        self.welcome = self.getresp()
        if door.protocol == "ftps":
            self._secure()
        self.login(door.username, door.password, secure=False)
        if door.protocol == "ftps":
            self.prot_p()
        self.voidcmd("TYPE I")
        if door.path:
            self.cwd(door.path)

    def _secure(self) -> None:
        if isinstance(self.sock, ssl.SSLSocket):
            return
        try:
            self.auth()
        except ftplib.error_perm:
            raise Blocked(
                f"{self.host} offers no TLS on this port. Nothing was sent: choose another port or protocol."
            ) from None

    def put(self, name: str, content: bytes) -> str:
        """Store one file; the server's last words."""
        with self.transfercmd(f"STOR {name}") as self.data:
            try:
                view = memoryview(content)
                for start in range(0, len(view), PIECE):
                    self.data.sendall(view[start : start + PIECE])
                self._end_data()
            except OSError:
                # The server hung up on the data; on the other line it may say why (no space, or cut).
                self.voidresp()
                raise
        self.data = None
        return self.voidresp()

    def announce_rename(self, name: str) -> None:
        """RNFR, to which 350 is the good answer."""
        answer = self.sendcmd(f"RNFR {name}")
        if not answer.startswith("3"):
            raise ftplib.error_reply(answer)  # noqa: S321

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int | None]:
        """As of FTP_TLS, but in the TLS session of the control connection, which many servers insist on."""
        connection, size = ftplib.FTP.ntransfercmd(self, cmd, rest)  # noqa: S321
        if isinstance(self.sock, ssl.SSLSocket):
            self.data = connection
            connection = self.context.wrap_socket(connection, server_hostname=self.host, session=self.sock.session)
        return connection, size

    def _end_data(self) -> None:
        if isinstance(self.data, ssl.SSLSocket):
            self.data.settimeout(2)
            with suppress(OSError, ValueError):
                self.data.unwrap()

    def getline(self) -> str:
        """A line of a reply. Raises error_proto where a reply has no end."""
        line = super().getline()
        self._heard += len(line)
        if self._heard > LONGEST_REPLY:
            raise ftplib.error_proto("a reply without end")  # noqa: S321
        return line

    def getresp(self) -> str:
        """A whole reply."""
        self._heard = 0
        return super().getresp()


def _reply(text: str, place: str) -> NoReturn:
    if not _CODE.match(text):
        raise files.Lost(f"{place} does not answer as an FTP server does.") from None
    raise files.Reply(int(text[:3]), text) from None


@cache
def _trusted_certificates() -> ssl.SSLContext:
    """Certificates of the system or of SSL_CERT_FILE; TLS 1.2 at least; names checked."""
    return ssl.create_default_context()
