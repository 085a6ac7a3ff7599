"""A proxy on a loopback port before a real server: its connections can be made slow, cut or silent while it runs."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

PIECE = 65_536


class Proxy:
    """Stands before a port of this machine. What its attributes say holds from the next byte, or connection, on.

    It takes a connection itself, as a load balancer does: a client that only asks TCP whether the other side is alive
    hears yes from one that is silent for ever. Nothing but its own patience helps it.
    """

    def __init__(self, behind: int) -> None:
        self.delay = self.jitter = 0.0
        """Seconds that everything takes, each way, and up to so many more."""
        self.bytes_a_second = 0
        """On each connection, each way; 0: as many as come."""
        self.cut_after = 0
        """A new connection is cut after so many bytes of answers, mostly in the middle of one; 0: none is."""
        self.swallows_new = False
        """A new connection is taken, and nothing on it is ever answered."""
        self.taken = 0
        """How many connections there have been."""
        self.port, self._behind, self._lines = 0, behind, set[_Line]()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.lets_through = self._run(_open_event)
        self.listen()

    def listen(self) -> None:
        """Take connections, again if it had refused them."""
        self._listener: asyncio.Server = self._run(
            lambda: asyncio.start_server(self._take, "127.0.0.1", self.port, backlog=512)
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Cut all, and take no more until told to listen."""
        self._run(_later, self._listener.close)
        self.cut()

    def cut(self) -> int:
        """Cut all connections with RST; returns how many there were."""
        return self._run(self._each, _Line.cut)

    def forget(self) -> int:
        """Nothing comes through on the connections of now any more, and neither side is told. Returns how many."""
        return self._run(self._each, _Line.forget)

    def hold_back(self) -> None:
        """Nothing comes through, on any connection, until `let_through`. Then what was underway arrives."""
        self._run(_later, self.lets_through.clear)

    def let_through(self) -> None:
        self._run(_later, self.lets_through.set)

    def end(self) -> None:
        self.refuse()
        self._run(_give_up)
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self, act: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        async def run() -> Any:
            return await act(*arguments)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(30)

    async def _each(self, act: Callable[[_Line], None]) -> int:
        for line in (lines := list(self._lines)):
            act(line)
        return len(lines)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = _Line(self)
        self.taken += 1
        try:
            there = await asyncio.open_connection("127.0.0.1", self._behind)
        except OSError:
            writer.transport.abort()
            return
        self._lines.add(line)
        with suppress(asyncio.CancelledError):
            await line.carry((reader, writer), there)
        self._lines.discard(line)


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Line:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._left = proxy.cut_after or PIECE**3
        self._silent = proxy.swallows_new

    def cut(self) -> None:
        for writer in self._writers:
            with suppress(OSError):
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()

    def forget(self) -> None:
        self._silent = True

    async def carry(self, client: Streams, server: Streams) -> None:
        """Both ways, until both sides have closed it; when one side has, the other hears of it."""
        self._writers = (client[1], server[1])
        ways = (self._way(client[0], server[1], False), self._way(server[0], client[1], True))
        await asyncio.gather(*ways, return_exceptions=True)

    async def _way(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: bool) -> None:
        pieces = asyncio.Queue[tuple[float, bytes]]()
        writing = asyncio.create_task(self._write(pieces, writer, answers))
        due, proxy, clock = 0.0, self._proxy, asyncio.get_running_loop().time
        piece = b"-"
        while piece:
            try:
                piece = await reader.read(PIECE)
            except OSError:
                piece = b""
            due = max(due, clock() + proxy.delay + random.uniform(0, proxy.jitter))
            pieces.put_nowait((due, piece))
        await writing

    async def _write(
        self, pieces: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter, answers: bool
    ) -> None:
        while True:
            due, piece = await pieces.get()
            await asyncio.sleep(due - asyncio.get_running_loop().time())
            await self._proxy.lets_through.wait()
            if self._silent:
                # Also of an end: a machine that went away closes nothing.
                if not piece:
                    return
                continue
            if not piece:
                writer.close()
                return
            await self._pass_on(piece, writer, answers)

    async def _pass_on(self, piece: bytes, writer: asyncio.StreamWriter, answers: bool) -> None:
        speed = self._proxy.bytes_a_second
        while piece:
            most = max(1, speed // 10) if speed else PIECE
            if answers:
                most = min(most, self._left)
                self._left -= min(most, len(piece))
            now, piece = piece[:most], piece[most:]
            writer.write(now)
            await writer.drain()
            if not self._left:
                self.cut()
            if speed:
                await asyncio.sleep(len(now) / speed)


async def _open_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


async def _later(act: Callable[[], object]) -> None:
    act()


async def _give_up() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@contextmanager
def proxy_before(port: int) -> Iterator[Proxy]:
    """A running Proxy, ended afterwards."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.end()
