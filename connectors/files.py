"""The door to vendors that take files: FTP, FTPS and SFTP, and the truth about how each transfer ended.

A file is written under a temporary name, its size compared, and then renamed, so nothing counts before the rename.
`NeverSent` is raised only where the final name surely does not exist. Where the answer to the rename is lost, the
door looks for the final name and its size; where it could not look, it raises `NoAnswer`, and `Undecidable` where
looking did not tell. What the server itself refuses comes back as a Response with its reply code; SFTP, which has
other codes, is translated into FTP's (RFC 959).
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol, Self

from connectors.addresses import is_public
from connectors.base import Blocked, ConnectorError, NeverSent, NoAnswer, Response, Undecidable
from connectors.by_file import Door, File

CONNECT_SECONDS = 10.0
TEMPORARY = ".part"
CONNECTIONS = 32
CLOSED_BY_SERVER = (421, 426)
"""Replies that may come to any command when a server goes away: after them a rename may have happened."""


class Reply(Exception):
    """The server refused; `code` is a reply code of FTP, `words` are the server's own."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code, self.words = code, words


class Lost(Exception):
    """The connection ended, or what came over it made no sense."""


class SizeUntold(Exception):
    """The server does not tell the size of files."""


class Session(Protocol):
    """A login at a server that takes files, in the folder of the door. Methods raise Reply and Lost."""

    async def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is none of that name. Raises SizeUntold too."""

    async def store(self, name: str, content: bytes) -> str:
        """Write a file, over one of that name; the server's last words."""

    async def rename(self, name: str, new_name: str) -> str:
        """Give a file its name; the server's last words."""

    async def leave(self) -> None:
        """Say good-bye. Raises nothing."""

    def abort(self) -> None:
        """End the connection without a word."""


@dataclass
class _State:
    """How far one transfer has come. `doubt`: whether the final name may exist."""

    doubt: bool


class FileDoor:
    """Puts files, used as `async with FileDoor(...) as door`.

    Unless `allow_private`, only public addresses are reached; the address that was checked is the one connected to,
    also for the data of FTP, whatever the server names. `verify` replaces the certificates of the system or
    SSL_CERT_FILE.
    """

    def __init__(self, allow_private: bool = False, verify: ssl.SSLContext | None = None) -> None:
        self._allow_private = allow_private
        self._verify = verify

    async def __aenter__(self) -> Self:
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="ftp")
        return self

    async def __aexit__(self, *error: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def send(self, file: File, deadline: float) -> Response:
        """Put one file, all within `deadline` seconds from now; 250 where it stands under its final name.

        Raises Blocked, NeverSent, NoAnswer and Undecidable, with texts for people.
        """
        state = _State(file.in_doubt)
        place = place_of(file.door)
        ends = asyncio.get_running_loop().time() + deadline
        try:
            async with asyncio.timeout_at(ends):
                return await self._put(file, state, ends)
        except Reply as reply:
            return _refusal(file, reply, state)
        except NeverSent as error:
            known = not state.doubt or (file.in_doubt and isinstance(error, Blocked))
            raise error if known else _doubtful(str(error)) from None
        except ConnectorError:
            raise
        except TimeoutError:
            text = f"{place} did not take the whole file within {deadline:g} seconds."
        except Lost as lost:
            text = str(lost)
        except Exception as error:
            text = f"Putting the file at {place} failed in an unforeseen way ({type(error).__name__})."
        raise (_doubtful(text) if state.doubt else NeverSent(f"{text} Nothing stands under the final name.")) from None

    async def knock(self, door: Door, deadline: float) -> Response:
        """Log in and go to the folder, and store nothing. Raises Blocked, NeverSent or NoAnswer."""
        place = place_of(door)
        try:
            async with asyncio.timeout(deadline), self._session(door):
                return Response(250, {}, b"")
        except Reply as reply:
            return Response(reply.code, {}, door.hushed(reply.words).encode())
        except TimeoutError:
            raise NoAnswer(f"{place} did not let us in within {deadline:g} seconds.") from None
        except Lost as lost:
            raise NoAnswer(str(lost)) from None

    async def _put(self, file: File, state: _State, ends: float) -> Response:
        temporary = file.name + TEMPORARY
        async with self._session(file.door) as session:
            if await self._stands(session, file, state):
                return _success(file, "It stood there already, in full.", True)
            words = [await session.store(temporary, file.content)]
            compared = await _compare(session, temporary, file)
            state.doubt = True
            try:
                async with asyncio.timeout((ends - asyncio.get_running_loop().time()) / 2):
                    words.append(await session.rename(temporary, file.name))
            except (Reply, Lost, TimeoutError) as error:
                if isinstance(error, Reply) and error.code not in CLOSED_BY_SERVER:
                    state.doubt = False
                    raise
                session.abort()
                return await self._after_lost_rename(file, state)
        return _success(file, "\n".join(words), compared)

    async def _after_lost_rename(self, file: File, state: _State) -> Response:
        async with self._session(file.door) as session:
            if await self._stands(session, file, state):
                return _success(file, "The answer to the rename was lost; the file stands there in full.", True)
        raise NeverSent("The connection was lost before the file got its final name; only the temporary one is there.")

    async def _stands(self, session: Session, file: File, state: _State) -> bool:
        """Whether the file stands under its final name; False settles a doubt. Raises Blocked or Undecidable."""
        try:
            size = await session.size(file.name)
        except SizeUntold:
            if not state.doubt:
                return False
            raise Undecidable("The server does not tell sizes, so nobody can tell whether the file arrived.") from None
        if not state.doubt:
            if size is not None:
                raise Blocked(f"A file {file.name} lies in the folder already. Look there before anything is sent.")
            return False
        if size == len(file.content):
            return True
        if size is not None:
            raise Undecidable(f"{file.name} is there with {size:,} bytes, but {len(file.content):,} were sent.")
        if await session.size(file.name + TEMPORARY) is None:
            raise Undecidable(f"{file.name} is not there: it never arrived, or somebody has picked it up already.")
        state.doubt = False
        return False

    @asynccontextmanager
    async def _session(self, door: Door) -> AsyncIterator[Session]:
        if door.protocol == "sftp":
            from connectors import sftp as protocol  # asyncssh takes a while to load
        else:
            from connectors import ftp as protocol
        with await self._connected(door) as sock:
            session = await protocol.enter(sock, door, self._verify, self._threads)
            try:
                yield session
                await session.leave()
            finally:
                session.abort()

    async def _connected(self, door: Door) -> socket.socket:
        """A socket connected to the first address that answers. Raises Blocked or NeverSent."""
        place, loop = place_of(door), asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                found = await loop.getaddrinfo(door.host, door.port, type=socket.SOCK_STREAM)
                if not self._allow_private and not all(is_public(address[0]) for *_rest, address in found):
                    raise Blocked(f"{place} is a private or reserved address; a destination may not point there.")
                return await _first_that_answers(found)
        except socket.gaierror:
            raise NeverSent(f"The name {door.host} could not be found.") from None
        except UnicodeError:
            raise Blocked(f"{door.host} is not the name of a server. Correct it in the settings.") from None
        except TimeoutError:
            raise NeverSent(f"{place} could not be reached within {CONNECT_SECONDS:g} seconds.") from None
        except ConnectionRefusedError:
            raise NeverSent(f"{place} refused the connection.") from None
        except OSError as error:
            reason = (error.strerror or "the network failed").lower()
            raise NeverSent(f"{place} could not be reached ({reason}).") from None


async def _first_that_answers(found: list[Any]) -> socket.socket:
    last: OSError = OSError(errno.EHOSTUNREACH, "no address")
    for family, kind, protocol, _name, address in found:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, address)
            return sock
        except OSError as error:
            last = error
            sock.close()
        except BaseException:
            sock.close()
            raise
    raise last


async def _compare(session: Session, name: str, file: File) -> bool:
    """Whether the server could be asked how much it holds. Raises NeverSent where that is not the whole file."""
    try:
        size = await session.size(name)
    except SizeUntold:
        return False
    if size != len(file.content):
        raise NeverSent(f"The server holds {size or 0:,} of {len(file.content):,} bytes. It was not renamed.")
    return True


def _success(file: File, said: str, compared: bool) -> Response:
    words = file.door.hushed(said).encode()
    return Response(250, {**file.headers, "Size-Compared": "yes" if compared else "not offered"}, words)


def _refusal(file: File, reply: Reply, state: _State) -> Response:
    """The reply as an answer. A doubt must be told first, or nobody would look once a person has mended the rest."""
    if state.doubt and (reply.code < 500 or not file.in_doubt):
        raise _doubtful(f"The server answered {file.door.hushed(reply.words)}.")
    return Response(reply.code, {"File": file.name}, file.door.hushed(reply.words).encode())


def _doubtful(text: str) -> NoAnswer:
    return NoAnswer(f"{text} Whether the file got its final name is not known yet; the portal will look.")


def place_of(door: Door) -> str:
    """Host and port, for a sentence."""
    return f"{door.host[:80]}:{door.port}"
