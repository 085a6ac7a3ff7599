"""A vendor on a real socket that misbehaves as told, and counts what reached it."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple


class Seen(NamedTuple):
    """One request, as it came."""

    line: str
    headers: dict[str, str]
    body: bytes
    connection: int


Answer = Callable[[socket.socket, Seen], object]
"""What to do with a request. A true result keeps the connection open for the next one."""


class WireServer:
    """Listens on a free loopback port; `seen` holds every request, `connections` counts the sockets."""

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None = None) -> None:
        self.seen: list[Seen] = []
        self.connections = 0
        self.stopping = threading.Event()
        self._answer = answer
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.stopping.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._talk, args=(connection, self.connections), daemon=True).start()

    def _talk(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError):
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            connection.settimeout(20)
            while (request := _read(connection, number)) is not None:
                self.seen.append(request)
                if not self._answer(connection, request):
                    break
        with suppress(OSError):
            connection.close()


@contextmanager
def wire_server(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[WireServer]:
    """A running WireServer, stopped at the end."""
    server = WireServer(answer, tls)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def raw_server(speak: Callable[[socket.socket], object]) -> Iterator[int]:
    """A port where `speak` gets each connection before anything is read; it is closed afterwards."""

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    speak(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def reset(connection: socket.socket) -> None:
    """Cut the connection with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def answer_bytes(text: bytes, stay: bool = False) -> Answer:
    """Say these bytes to each request."""

    def answer(connection: socket.socket, _: Seen) -> bool:
        connection.sendall(text)
        return stay

    return answer


def http_answer(body: bytes = b"{}", status: str = "200 OK", headers: str = "") -> bytes:
    """A proper answer with its length."""
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _read(connection: socket.socket, number: int) -> Seen | None:
    text = b""
    while b"\r\n\r\n" not in text:
        if not (part := connection.recv(65536)):
            return None
        text += part
    head, _, body = text.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(one.split(": ", 1) for one in lines)
    length = int(headers.get("Content-Length", 0))
    while len(body) < length:
        if not (part := connection.recv(65536)):
            return None
        body += part
    return Seen(line, headers, body, number)
