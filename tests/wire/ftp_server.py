"""An FTP server on the loopback interface that says what a test wants, and remembers what it was told."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

HANG_UP = "hang up"
SILENCE = "silence"


@dataclass
class FtpServer:
    """`answers` by command word (`RNTO`, or `STOR+` for the end of a transfer) take the place of the good ones."""

    answers: Mapping[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    pasv: str = ""
    tls: ssl.SSLContext | None = None
    port: int = 0
    said: list[str] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)


GOOD = {
    "USER": "331 Password", "PASS": "230 Hello", "TYPE": "200 Binary", "CWD": "250 There", "RNFR": "350 And",
    "RNTO": "250 Renamed", "QUIT": "221 Bye", "STOR": "150 Go on", "STOR+": "226 Complete",
}  # fmt: skip


@contextmanager
def ftp_server(server: FtpServer) -> Iterator[FtpServer]:
    """Serve until the end of the block, each session in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.port = listener.getsockname()[1]

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=_session, args=(server, connection), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield server
        listener.shutdown(socket.SHUT_RDWR)


def _session(server: FtpServer, connection: socket.socket) -> None:
    with suppress(OSError, ValueError):
        if server.tls:
            connection = server.tls.wrap_socket(connection, server_side=True)
        with connection, socket.create_server(("127.0.0.1", 0)) as data:
            lines = connection.makefile("r", encoding="utf-8", newline="\r\n")
            if not _say(connection, server.answers.get("hello", "220 Ready")):
                return
            for line in lines:
                server.said.append(line.strip())
                if not _answer(server, connection, data, line.strip()):
                    return


def _answer(server: FtpServer, connection: socket.socket, data: socket.socket, line: str) -> bool:
    word, _, argument = line.partition(" ")
    port = data.getsockname()[1]
    good = GOOD.get(word, "502 Not here")
    if word == "SIZE":
        size = server.sizes.get(argument)
        good = f"213 {size}" if size is not None else "550 No such file"
    elif word == "PASV":
        good = f"227 Entering ({server.pasv or '127,0,0,1'},{port // 256},{port % 256})"
    answer = server.answers.get(word, good)
    if not _say(connection, answer):
        return False
    if word == "STOR" and answer.startswith("1"):
        taken, _ = data.accept()
        with taken:
            content = b"".join(iter(lambda: taken.recv(65536), b""))
        server.received.append(content)
        server.sizes.setdefault(argument, len(content))
        return _say(connection, server.answers.get("STOR+", GOOD["STOR+"]))
    if word == "RNTO" and answer.startswith("2"):
        server.sizes[argument] = len(server.received[-1])
    return True


def _say(connection: socket.socket, answer: str) -> bool:
    if answer == HANG_UP:
        return False
    if answer != SILENCE:
        connection.sendall(answer.encode() + b"\r\n")
    return True
