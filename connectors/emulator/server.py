"""The server: every vendor under its own path prefix, ledger and switches beside them, on one port."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from connectors.emulator import control, faults
from connectors.emulator.doors import FilePorts, opened
from connectors.emulator.ledger import Book, Ledger, Visit
from connectors.emulator.switches import Board
from connectors.emulator.vendor import Answer, Call, FileVendor, Judgement, Vendor
from connectors.emulator.vendors import discover

LARGEST_BODY = 64 * 1024 * 1024
LONGEST_LINE = 64 * 1024


class Stand:
    """One vendor as it stands in the emulator: its rules, its switches, its share of the ledger."""

    def __init__(self, vendor: Vendor, ledger: Ledger) -> None:
        self.vendor = vendor
        self.ledger = vendor.ledger = ledger
        self.board = Board(vendor.switches if isinstance(vendor, FileVendor) else (*faults.COMMON, *vendor.switches))
        self._asked: dict[str, tuple[int, int]] = {}  # account -> second, requests in it

    async def answer(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        """Judge a request, store what is to be stored, answer as the switches want it."""
        call = Call(request.method, path, query, request.headers, b"", time.time())
        account = self.vendor.account(call)
        book = self.ledger.book(self.vendor.slug, account)
        number = self.ledger.arrived(book)
        met = self._met(account) if self.board else {}
        if met.get("cut") == "in_request":
            book.counts["faulted"] += 1
            return faults.hang_up(request, met)
        if request.body_exists:
            try:
                call.body = await request.read()
            except web.HTTPRequestEntityTooLarge:
                book.counts["refused"] += 1
                return faults.ordinary(self.vendor.refusal(413, why=f"more than {LARGEST_BODY} bytes"))
        judged = self.vendor.judge(call, account, met)
        if met:
            return await self._answer_with_faults(request, call, judged, book, number, met)
        self._settle(book, judged, judged.answer, number, call.received_at, "")
        return faults.ordinary(judged.answer)

    def _met(self, account: str) -> dict[str, Any]:
        """The switches that meet this request; the rate limit only where it is passed."""
        met = self.board.meeting(account)
        if "rate_limit" in met:
            second = int(time.monotonic())
            then, asked = self._asked.get(account, (second, 0))
            self._asked[account] = (second, asked + 1 if then == second else 1)
            if self._asked[account][1] <= met["rate_limit"]:
                del met["rate_limit"]
        return met

    async def _answer_with_faults(
        self,
        request: web.BaseRequest,
        call: Call,
        judged: Judgement,
        book: Book,
        number: int,
        met: dict[str, Any],
    ) -> web.StreamResponse:
        book.counts["faulted"] += not self.board.only_rules(met)
        instead = faults.instead(self.vendor, met, call)
        answer = instead or judged.answer
        if instead is None and "status" in met and answer.status < 300:
            answer.status = met["status"]
        if met.get("cut") == "before_storing" or met.get("lose") or not met.get("store", instead is None):
            judged.conversions = []
        self._settle(book, judged, answer, number, call.received_at, f" ({faults.described(met)})")
        if "delay_ms" in met:
            await asyncio.sleep(met["delay_ms"] / 1000)
        if met.get("cut") in faults.SILENT_CUTS:
            return faults.hang_up(request, met)
        return await faults.send(request, answer, met)

    def _settle(
        self,
        book: Book,
        judged: Judgement,
        answer: Answer,
        number: int,
        received_at: float,
        circumstances: str,
    ) -> None:
        """Store what was found and count a refusal of the whole request."""
        if answer.status >= 400:
            book.counts["refused"] += 1
        if judged.conversions:
            answered = f"{answer.status}{circumstances}"
            visit = Visit(number, received_at, self.vendor.ignores_repeats, answered)
            self.ledger.store(book, judged.conversions, visit)


class Emulator:
    """All vendors found, one ledger, and the road of a request to the right one."""

    def __init__(self, keep: int = 2_000_000) -> None:
        self.ledger = Ledger(keep)
        self.stands = {slug: Stand(vendor, self.ledger) for slug, vendor in discover().items()}
        self.doors: dict[str, Any] = {}
        """The doors for files: their ports, host key and certificate."""

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Lead a request to a vendor by the first part of its path, else to the emulator's own pages."""
        path, _, query = request.message.path.partition("?")
        slug, slash, rest = path[1:].partition("/")
        stand = self.stands.get(slug)
        if stand is not None:
            return await stand.answer(request, slash + rest, query)
        return await control.answer(self, request, path)


async def listen(emulator: Emulator, host: str, port: int) -> tuple[web.ServerRunner, int]:
    """Start it on a port (0 picks one); give the runner, which ends it by `cleanup()`, and the port.

    Raises OSError where the address is taken.
    """
    server = web.Server(
        emulator.answer, request_factory=make_request, access_log=None, max_line_size=LONGEST_LINE,
        max_field_size=LONGEST_LINE, lingering_time=0,
    )  # fmt: skip
    runner = web.ServerRunner(server, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, host, port, backlog=1024)
    try:
        await site.start()
    except OSError:
        await runner.cleanup()
        raise
    return runner, runner.addresses[0][1]


def make_request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    """A request of aiohttp that takes larger bodies than its default."""
    return web.BaseRequest(
        message, payload, protocol, writer, task, asyncio.get_running_loop(), client_max_size=LARGEST_BODY
    )


async def run(
    host: str,
    port: int,
    keep: int = 2_000_000,
    announce: Callable[[int], None] | None = None,
    until_eof: bool = False,
    files: FilePorts = FilePorts(),  # noqa: B008
) -> None:
    """Serve until SIGINT or SIGTERM, or until standard input ends; `announce` is told the port."""
    emulator = Emulator(keep)
    runner, taken = await listen(emulator, host, port)
    try:
        async with opened(emulator, host, files) as emulator.doors:
            await _until_told(taken, announce, until_eof)
    finally:
        await runner.cleanup()


async def _until_told(port: int, announce: Callable[[int], None] | None, until_eof: bool) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    if until_eof:
        loop.add_reader(sys.stdin.fileno(), lambda: ended.set() if not os.read(sys.stdin.fileno(), 1024) else None)
    if announce is not None:
        announce(port)
    await ended.wait()


def serve(
    host: str = "127.0.0.1", port: int = 8900, ftp: int = 8921, sftp: int = 8922, keys: Path | None = None
) -> None:
    """Serve all vendors until SIGINT or SIGTERM; certificate and host key lie in the folder `keys`.

    Raises OSError where an address is taken.
    """
    asyncio.run(run(host, port, files=FilePorts(ftp, sftp, keys)))
