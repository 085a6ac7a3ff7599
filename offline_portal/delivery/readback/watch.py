"""The onlookers of one shift, each at a destination of its own, beside the couriers that send."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from django.utils import timezone

from offline_portal.delivery.bearer import Tokens
from offline_portal.delivery.doors import Doors
from offline_portal.delivery.pace import Pace
from offline_portal.delivery.readback import reading
from offline_portal.delivery.readback.onlooker import InDatabase, Onlooker

EVERY = 1.0
"""Seconds between two questions to the database whether anything is due to be looked at."""


class Watch:
    """Starts onlookers where a look is due, and knows which are still at it."""

    def __init__(
        self, door: Doors, pace: Pace, tokens: Tokens, in_database: InDatabase, stopping: Callable[[], bool]
    ) -> None:
        self._parts = door, pace, tokens, in_database, stopping
        self._in_database, self._stopping = in_database, stopping
        self._onlookers: dict[asyncio.Task[None], int] = {}
        self._asked_at = 0.0

    def __bool__(self) -> bool:
        """Whether somebody is still looking."""
        for task in [task for task in self._onlookers if task.done()]:
            self._onlookers.pop(task)
            task.result()
        return bool(self._onlookers)

    async def start(self) -> int:
        """Begin wherever a look is due; returns at how many destinations."""
        if self._stopping() or time.monotonic() - self._asked_at < EVERY:
            return 0
        self._asked_at = time.monotonic()
        desks = await self._in_database(reading.claim_due, set(self._onlookers.values()))
        for desk in desks:
            task = asyncio.create_task(Onlooker(desk, *self._parts).run())
            self._onlookers[task] = desk.destination
        return len(desks)

    async def falls_due_within(self, seconds: float) -> bool:
        """Whether a look falls due so soon that nobody is at yet."""
        due = await self._in_database(reading.next_due)
        return due is not None and (due - timezone.now()).total_seconds() <= seconds
