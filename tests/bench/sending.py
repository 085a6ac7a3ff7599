"""Sending to the emulator, which takes 50 ms for every answer, against a loop that only sends."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.base import Connector, Payload, Request
from connectors.emulator.testing import Emulator
from tests.bench import files
from tests.bench.measure import Clock, Result, Spent, ratios, rounds, times
from tests.bench.portal import Portal

DELAY_MS = 50
IN_FLIGHT = 50
DEADLINE = 30.0
PACE = 40.0
"""Requests a second; with 100 rows each, about half of what one core can record."""
LONGEST = 600.0
"""Seconds after which even the slowest machine is through."""


@dataclass
class Contest:
    """One vendor, and how fast both may send: `rate` requests a second, None for as fast as they can."""

    portal: Portal
    emulator: Emulator
    folder: Path
    vendor: str
    rows: int
    rate: float | None

    def run(self, count: int) -> dict[str, list[Spent]]:
        """Let the portal send a file of its own in each round, and the bare loop the same requests after it."""
        import connectors

        self.connector: Connector = connectors.get(self.vendor)
        self.where = self.portal.destination(self.vendor, rate=self.rate or 5000)
        self.requests: list[Request] = []
        return rounds(count, {"portal": self._portal, "bare loop": self._bare})

    def _portal(self, number: int) -> Spent:
        sheet = files.sheet(self.rows, number * self.rows) if self.vendor == "qubit" else None
        path = files.write_csv(self.folder / "send.csv", sheet or files.people(self.rows, number * self.rows))
        send = self.portal.queue(self.portal.check(self.portal.read(path), self.where))
        self.requests = list(self._requests_of(send))
        clock = Clock()
        self.emulator.set(self.vendor, delay_ms=DELAY_MS)
        with clock.running():
            send = self.portal.shift(send, LONGEST)
        assert (send.status, send.accepted) == ("finished", send.ready), (send.status, send.reason, send.accepted)
        self._assert_arrived(send.ready)
        _assert_on_record(send, len(self.requests))
        return clock.spent

    def _bare(self, number: int) -> Spent:
        from django.conf import settings

        clock, rows = Clock(), self.arrived
        self.emulator.set(self.vendor, delay_ms=DELAY_MS)
        with clock.running():
            asyncio.run(_send_all(self.requests, self.rate, settings.REDIS_URL))
        self._assert_arrived(rows)
        return clock.spent

    def _assert_arrived(self, rows: int) -> None:
        """Every row once, in as few requests as there should be; then the ledger is emptied."""
        counts = self.emulator.counts(self.vendor)
        assert (counts["requests"], counts["effective"]) == (len(self.requests), rows), counts
        self.arrived = rows
        self.emulator.clear()

    def _requests_of(self, send: Any) -> Iterator[Request]:
        """What the portal is about to send, built beforehand."""
        from offline_portal import secrets
        from offline_portal.models import Delivery

        keys = secrets.unseal(self.where)
        ready = Delivery.objects.filter(send=send, verdict="ready").order_by("line")
        payloads = [Payload(json.loads(text), key) for text, key in ready.values_list("payload", "wire_key")]
        size = self.connector.rows_a_request
        # The portal's own batches decide where a request ends.
        for batch in _parts(payloads, self.connector.rows_a_batch):
            for part in _parts(batch, size):
                yield self.connector.build(part, self.where.settings, keys)


def one_row_a_request(portal: Portal, emulator: Emulator, folder: Path, rows: int, count: int) -> list[Result]:
    """As fast as 50 lanes can."""
    spent = Contest(portal, emulator, folder, "kissmetrics", rows, None).run(count)
    what = f"sending at {DELAY_MS} ms a request, one row a request, {IN_FLIGHT} in flight, against a bare loop"
    return [Result(what, 0.95, True, ratios(spent["bare loop"], spent["portal"]), times(spent, rows), "%")]


def hundred_rows_a_request(portal: Portal, emulator: Emulator, folder: Path, rows: int, count: int) -> list[Result]:
    """At a pace that both sides can keep, which the mark is about; and with none, where a core each is the limit."""
    results = []
    for rate in (PACE, None):
        spent = Contest(portal, emulator, folder, "qubit", rows, rate).run(count)
        how = f"{rate:g} requests a second" if rate else f"{IN_FLIGHT} in flight and no pace"
        what, told = f"the same, 100 rows a request, {how}", times(spent, rows)
        results.append(
            Result(what, 0.95 if rate else None, True, ratios(spent["bare loop"], spent["portal"]), told, "%")
        )
    return results


async def _send_all(requests: Sequence[Request], rate: float | None, redis_url: str) -> None:
    from connectors.http import HttpDoor

    waiting: asyncio.Queue[Request | None] = asyncio.Queue()

    async def lane(door: HttpDoor) -> None:
        while (request := await waiting.get()) is not None:
            answer = await door.send(request, DEADLINE)
            assert answer.status == 200

    async with HttpDoor(IN_FLIGHT, allow_private=True) as door, asyncio.TaskGroup() as lanes:
        for _ in range(IN_FLIGHT):
            lanes.create_task(lane(door))
        await _feed(waiting, requests, rate, redis_url)
        for _ in range(IN_FLIGHT):
            waiting.put_nowait(None)


async def _feed(
    waiting: asyncio.Queue[Request | None], requests: Sequence[Request], rate: float | None, redis_url: str
) -> None:
    if rate is None:
        for request in requests:
            waiting.put_nowait(request)
        return
    from offline_portal.delivery.gate import Gate
    from offline_portal.delivery.pace import Pace

    async with Pace(redis_url) as pace:
        gate, place = Gate(pace, 0, rate), 0
        while place < len(requests):
            count, wait = await gate.reserve(len(requests) - place)
            for request in requests[place : place + count]:
                await gate.leave()
                waiting.put_nowait(request)
            place += count
            await asyncio.sleep(0 if count else wait)


def _parts(payloads: Sequence[Payload], size: int) -> Iterator[list[Payload]]:
    source = iter(payloads)
    while part := list(itertools.islice(source, size)):
        yield part


def _assert_on_record(send: Any, requests: int) -> None:
    """Every request has an Attempt and an Answer, every row an Outcome."""
    from offline_portal.models import Answer, Attempt, Outcome

    assert Attempt.objects.filter(batch__send=send).count() == requests
    assert Answer.objects.filter(attempt__batch__send=send).count() == requests
    assert Outcome.objects.filter(delivery__send=send).count() == send.ready
