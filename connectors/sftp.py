"""SFTP (version 3) for `connectors.files`: asyncssh, the host key pinned, nothing taken from the user's own files."""

from __future__ import annotations

import asyncio
import logging
import posixpath
import socket
import ssl
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress

import asyncssh

from connectors import files
from connectors.base import Blocked
from connectors.by_file import Door

# asyncssh tells its log who logs in where.
logging.getLogger("asyncssh").setLevel(logging.WARNING)

_CODES = {
    asyncssh.SFTPNoSuchFile: 550,
    asyncssh.SFTPNoSuchPath: 550,
    asyncssh.SFTPPermissionDenied: 550,
    asyncssh.SFTPWriteProtect: 550,
    asyncssh.SFTPNotADirectory: 550,
    asyncssh.SFTPNoSpaceOnFilesystem: 552,
    asyncssh.SFTPQuotaExceeded: 552,
    asyncssh.SFTPFileAlreadyExists: 553,
    asyncssh.SFTPInvalidFilename: 553,
    asyncssh.SFTPOpUnsupported: 502,
}
"""What SFTP's errors are in reply codes of FTP; all others are 451, an error of the server that may pass."""


async def enter(
    sock: socket.socket, door: Door, _verify: ssl.SSLContext | None, _threads: ThreadPoolExecutor
) -> SftpSession:
    """Log in over a connected socket and look for the folder. Raises Reply, Lost or Blocked."""
    place = files.place_of(door)
    if not door.host_key:
        raise Blocked(await _introduction(sock, place))
    guard = _Guard(door.host_key)
    key = _private_key(door)
    try:
        connection, _ = await asyncssh.create_connection(
            lambda: guard, door.host, door.port, sock=sock, config=None, options=None, known_hosts=([], [], []),
            server_host_key_algs=guard.algorithms or "default", x509_trusted_certs=None, agent_path=None,
            gss_host=None, username=door.username, password=door.password or None,
            client_keys=[key] if key else None, client_host_keysign=False, login_timeout=0,
        )  # fmt: skip
    except asyncssh.HostKeyNotVerifiable:
        raise Blocked(
            f"{place} shows another host key than the one in the settings ({guard.seen or 'unreadable'}). Somebody "
            "may have put another server in its place: ask its owner before you enter the new key."
        ) from None
    except asyncssh.KeyExchangeFailed as error:
        raise Blocked(f"{place} has no host key like the one in the settings, or no common cipher ({error}).") from None
    except asyncssh.PermissionDenied as error:
        raise files.Reply(530, f"530 {error.reason}") from None
    except (OSError, asyncssh.Error) as error:
        raise files.Lost(f"{place} closed the connection ({type(error).__name__}).") from None
    session = SftpSession(connection, door)
    try:
        await session.open()
    except BaseException:
        session.abort()
        raise
    return session


class SftpSession:
    """A login at an SFTP server; see `files.Session`."""

    def __init__(self, connection: asyncssh.SSHClientConnection, door: Door) -> None:
        self._connection = connection
        self._folder = door.path
        self._place = files.place_of(door)

    async def open(self) -> None:
        """Begin to speak SFTP and look for the folder."""
        async with self._translated():
            self._files = await self._connection.start_sftp_client()
            if self._folder and not await self._files.isdir(self._folder):
                raise files.Reply(550, f"550 There is no folder {self._folder}")

    async def size(self, name: str) -> int | None:
        async with self._translated():
            try:
                found = (await self._files.stat(self._path(name))).size
            except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                return None
        if found is None:
            raise files.SizeUntold
        return found

    async def store(self, name: str, content: bytes) -> str:
        async with self._translated(), self._files.open(self._path(name), "wb") as file:
            await file.write(content)
        return "226 Written and closed"

    async def rename(self, name: str, new_name: str) -> str:
        async with self._translated():
            await self._files.rename(self._path(name), self._path(new_name))
        return "250 Renamed"

    async def leave(self) -> None:
        with suppress(OSError, asyncssh.Error, TimeoutError):
            async with asyncio.timeout(2):
                self._files.exit()
                self._connection.close()
                await self._connection.wait_closed()

    def abort(self) -> None:
        self._connection.abort()

    def _path(self, name: str) -> str:
        return posixpath.join(self._folder, name)

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        try:
            yield
        except (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection):
            raise files.Lost(f"{self._place} closed the connection.") from None
        except asyncssh.SFTPError as error:
            code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), 451)
            raise files.Reply(code, f"{code} {error.reason}") from None
        except (OSError, asyncssh.Error):
            raise files.Lost(f"{self._place} closed the connection.") from None


class _Guard(asyncssh.SSHClient):
    """Knows the server by its host key alone."""

    def __init__(self, host_key: str) -> None:
        self.seen = ""
        self.algorithms: list[str] = []
        self._wanted = host_key.rstrip("=")
        if not host_key.startswith("SHA256:"):
            try:
                key = asyncssh.import_public_key(host_key)
            except (asyncssh.KeyImportError, ValueError):
                raise Blocked("The host key in the settings cannot be read. Copy it once more.") from None
            self._wanted = key.get_fingerprint()
            self.algorithms = [algorithm.decode() for algorithm in key.sig_algorithms]

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Whether it is the key of the settings."""
        self.seen = key.get_fingerprint()
        return self.seen == self._wanted


def _private_key(door: Door) -> asyncssh.SSHKey | None:
    if not door.private_key:
        return None
    try:
        return asyncssh.import_private_key(door.private_key)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError):
        raise Blocked(
            "The private key cannot be read. Enter the whole of it, from BEGIN to END, without a passphrase."
        ) from None


async def _introduction(sock: socket.socket, place: str) -> str:
    """What to tell a person who has not entered a host key: the one that the server shows."""
    try:
        key = await asyncssh.get_server_host_key(sock=sock, config=None)
    except (OSError, asyncssh.Error) as error:
        raise files.Lost(f"{place} does not answer as an SSH server does ({type(error).__name__}).") from None
    if key is None:
        raise files.Lost(f"{place} shows no host key.")
    line = " ".join(key.export_public_key().decode().split()[:2])
    return (
        f"No host key is entered yet. {place} shows “{line}” ({key.get_fingerprint()}): compare it with what the "
        "owner of the server tells you, and enter it as the host key."
    )
