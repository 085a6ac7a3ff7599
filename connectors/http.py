"""The door to vendors that speak HTTP: one `send` is one request on the wire, and the truth about its end.

Sockets, TLS and HTTP itself are aiohttp's. What may be repeated is decided elsewhere, from the errors raised
here: `NeverSent` only when surely no byte of the request left, `NoAnswer` for all else, even the unforeseen.
"""

from __future__ import annotations

import asyncio
import errno
import re
import select
import socket
import ssl
import time
from functools import cache, lru_cache
from typing import Any, Self
from weakref import WeakSet

import aiohttp
import httpx
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from yarl import URL

from connectors.addresses import is_public
from connectors.base import Blocked, ConnectorError, NeverSent, NoAnswer, Request, Response

BODY_LIMIT = 1_000_000
"""Bytes of an answer that are read, counted after decompression."""
CONNECT_SECONDS = 10.0
IDLE_SECONDS = 1.5
"""A connection idle for longer is not used again: servers close theirs after 2 s (gunicorn) or more."""
HELD_UP_SECONDS = 1.0
"""When connecting took so much longer than it may, we were stopped meanwhile (a suspended machine): it is too late."""
HEADER_LINE_LIMIT = 32_768

_NEVER_ADDED = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f]")


class HttpDoor:
    """Sends requests, at most `connections` at a time; used as `async with HttpDoor(...) as door`.

    No redirect is followed, no cookie kept, no proxy or password taken from the environment, nothing sent
    again. Unless `allow_private`, only public addresses are reached; the address that was checked is the one
    connected to. Whether `http://` is allowed is settled with the destination's settings. `verify` replaces
    the certificates of the system or SSL_CERT_FILE.
    """

    def __init__(
        self, connections: int = 50, allow_private: bool = False, verify: ssl.SSLContext | None = None
    ) -> None:
        self._connections = connections
        self._allow_private = allow_private
        self._verify = verify

    async def __aenter__(self) -> Self:
        self._wire = _OneRequest(aiohttp.ClientSession(
            connector=_FreshConnector(
                limit=self._connections,
                keepalive_timeout=IDLE_SECONDS,
                ssl=self._verify or trusted_certificates(),
                resolver=aiohttp.ThreadedResolver(),
                socket_factory=None if self._allow_private else _public_socket,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=[_never_again],
            skip_auto_headers=_NEVER_ADDED,
            trust_env=False,
            max_line_size=HEADER_LINE_LIMIT,
            max_field_size=HEADER_LINE_LIMIT,
        ))
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._wire.aclose()

    async def send(self, request: Request, deadline: float) -> Response:
        """Put `request` on the wire once; the whole answer within `deadline` seconds from now.

        The body of the Response is decompressed; its headers are as the vendor sent them. Raises Blocked
        (nothing left, a person must mend the destination), NeverSent (surely not a byte left) or NoAnswer (it
        may have arrived). Their texts are for people and hold neither keys nor the path or query.
        """
        url = self._checked(request)
        try:
            async with asyncio.timeout(deadline):
                asked = httpx.Request(
                    request.method, _server(url.scheme, url.raw_authority), headers=request.headers,
                    content=request.body or None, extensions={"url": url, "limits": _limits(deadline)},
                )
                answer = await self._wire.handle_async_request(asked)
                truncated = "truncated" in answer.extensions
                # Not `read`, which looks for a compression that is undone already.
                body = b"".join(answer.stream)  # type: ignore[arg-type]
                return Response(answer.status_code, _texts(answer.headers), body, truncated)
        except ConnectorError:
            raise
        except Exception as error:
            # aiohttp's texts quote the whole address, and with it keys: they must not follow into a log.
            raise _meaning(error, _place(url), deadline) from None

    def _checked(self, request: Request) -> URL:
        """The address of a request that may be sent. Raises Blocked."""
        text = request.url
        try:
            # Text that is already encoded goes out byte for byte as it is.
            url = URL(text, encoded=text.isascii())
            place = url.host and _place(url)
        except ValueError:
            place = None
        if not place or url.scheme not in ("http", "https") or _NOT_IN_A_URL.search(text):
            raise Blocked("The destination's address is not a complete web address such as https://example.com.")
        if url.user is not None or url.password is not None:
            raise Blocked("The destination's address holds a user name or password. Take it out.")
        if not self._allow_private and _is_number(url) and not is_public(url.host or ""):
            raise Blocked(_forbidden(place))
        for name, value in request.headers.items():
            if not _HEADER_NAME.fullmatch(name) or _CONTROL.search(value):
                raise Blocked(
                    f"The header {name!r} would hold a line break or control character. Look for one in the "
                    "destination's settings and keys."
                )
        return url


class _OneRequest(httpx.AsyncBaseTransport):
    """httpx over aiohttp: one request on the wire, its body read up to BODY_LIMIT.

    httpx's own client is left out: it adds headers of its own, and its log quotes whole addresses.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer; `extensions` say whether it was `truncated`."""
        url: URL = request.extensions["url"]
        answer = await self._session.request(
            request.method, url, headers=_decoded(request.headers), data=request.content or None,
            allow_redirects=False, timeout=request.extensions["limits"],
        )
        try:
            if answer.status < 200:
                raise NoAnswer(f"{_place(url)} switched to another protocol instead of answering.")
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > BODY_LIMIT:
                    break
            return httpx.Response(
                answer.status,
                # aiohttp has decompressed the body; httpx would try once more.
                headers=[header for header in answer.raw_headers if header[0].lower() != b"content-encoding"],
                stream=httpx.ByteStream(bytes(body[:BODY_LIMIT])),
                extensions={"truncated": True} if len(body) > BODY_LIMIT else {},
            )
        finally:
            answer.close()

    async def aclose(self) -> None:
        """End all connections."""
        await self._session.close()


class _FreshConnector(aiohttp.TCPConnector):
    """Uses an idle connection again only if it is surely still open and silent.

    A vendor that closed it would leave us not knowing whether the request arrived; one that said more than it
    was asked would have that taken for the next answer.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._used: WeakSet[ResponseHandler] = WeakSet()

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        begun = time.monotonic()
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            assert protocol is not None
            if time.monotonic() - begun > (timeout.connect or CONNECT_SECONDS) + HELD_UP_SECONDS:
                connection.close()
                raise NeverSent("This program was held up before the request left.")
            if protocol not in self._used:
                self._used.add(protocol)
                return connection
            if not protocol.should_close and _is_silent(connection):
                return connection
            connection.close()


def _is_silent(connection: Connection) -> bool:
    """Whether nothing, not even an end, waits to be read."""
    if connection.transport is None:
        return False
    poll = select.poll()
    poll.register(connection.transport.get_extra_info("socket").fileno(), select.POLLIN)
    return not poll.poll(0)


async def _never_again(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Turn the errors after which aiohttp repeats a GET, PUT or DELETE into one after which it does not."""
    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        raise NoAnswer(f"{_place(request.url)} closed the connection before it answered.") from None


class _Forbidden(PermissionError):
    """This address is not for destinations."""


def _public_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket for one resolved address (as of getaddrinfo), the very one that is then connected to."""
    family, kind, protocol, _, target = address
    if not is_public(target[0]):
        raise _Forbidden(errno.EACCES, "forbidden address")
    return socket.socket(family, kind, protocol)


@cache
def trusted_certificates() -> ssl.SSLContext:
    """Certificates of the system or of SSL_CERT_FILE; TLS 1.2 at least; names checked."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


@lru_cache(maxsize=64)
def _server(scheme: str, place: str) -> httpx.URL:
    """The vendor's server. The whole address, which httpx would take long to parse, goes beside the request."""
    return httpx.URL(f"{scheme}://{place}")


@lru_cache(maxsize=16)
def _limits(deadline: float) -> aiohttp.ClientTimeout:
    """Connecting ends before the deadline does, so that a deadline never means that nothing left."""
    return aiohttp.ClientTimeout(total=None, connect=min(CONNECT_SECONDS, 0.9 * deadline), ceil_threshold=float("inf"))


def _meaning(error: Exception, place: str, deadline: float) -> ConnectorError:
    """Our error for one of aiohttp's. Only those that it raises before a connection stands are NeverSent."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            why = getattr(error.certificate_error, "verify_message", "") or "it does not fit"
            return Blocked(f"The certificate of {place} cannot be trusted: {why.rstrip('.')}.")
        case aiohttp.ClientConnectorSSLError():
            return NeverSent(f"No secure connection to {place} came about ({_tls_reason(error.os_error)}).")
        case aiohttp.ClientConnectorDNSError():
            return NeverSent(f"The name {error.host} could not be found.")
        case aiohttp.ClientConnectorError(os_error=_Forbidden()):
            return Blocked(_forbidden(place))
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError()):
            return NeverSent(f"{place} refused the connection.")
        case aiohttp.ClientConnectorError():
            return NeverSent(f"{place} could not be reached ({_plain(error.os_error)}).")
        case aiohttp.ConnectionTimeoutError():
            return NeverSent(f"{place} could not be reached within {_limits(deadline).connect:g} seconds.")
        case aiohttp.InvalidURL():
            return Blocked("The destination's address cannot be used. Write the server's name in full.")
        case TimeoutError():
            return NoAnswer(f"{place} did not answer in full within {deadline:g} seconds.")
        case aiohttp.ClientPayloadError() | aiohttp.ClientConnectionError() | ConnectionError():
            return NoAnswer(f"{place} broke off in the middle of its answer.")
        case aiohttp.ClientResponseError():
            return NoAnswer(f"{place} answered with what is not proper HTTP, or with headers without end.")
        case _:
            return NoAnswer(f"Asking {place} failed in an unforeseen way ({type(error).__name__}).")


def _place(url: URL) -> str:
    """Host, and port where it is not the usual one, for a sentence."""
    host = (url.host or "")[:80]
    return host if url.is_default_port() else f"{host}:{url.port}"


def _is_number(url: URL) -> bool:
    host = url.host or ""
    return ":" in host or host.replace(".", "").isdigit()


def _forbidden(place: str) -> str:
    return f"{place} is a private or reserved address; a destination may not point there."


def _tls_reason(error: OSError) -> str:
    return (getattr(error, "reason", None) or "TLS failed").replace("_", " ").lower()


def _plain(error: OSError) -> str:
    return (error.strerror or "the network failed").lower()


def _decoded(headers: httpx.Headers) -> list[tuple[str, str]]:
    """Names and values as they were given, their case kept."""
    return [(name.decode("ascii"), value.decode("utf-8")) for name, value in headers.raw]


def _texts(headers: httpx.Headers) -> dict[str, str]:
    """Headers as clean text, repeated ones joined by a comma."""
    texts: dict[str, str] = {}
    for raw_name, raw_value in headers.raw:
        name, value = raw_name.decode("latin-1"), raw_value.decode("utf-8", "replace")
        texts[name] = f"{texts[name]}, {value}" if name in texts else value
    return texts
