"""Looking up at a destination what it has stored, beside the couriers of a shift.

A round is one transaction that puts some looks on record, the looks themselves, all at once, and one transaction that
writes down what they found. Looks have a pace of their own, a fifth of the destination's, and take each of their
requests from the destination's pace as well: they slow its sends by at most that, and never stop them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings
from django.utils import timezone

from connectors.base import ConnectorError, NeverSent, NoAnswer
from offline_portal.claims import ClaimLost, keep
from offline_portal.delivery.bearer import Bearer, Tokens
from offline_portal.delivery.cancelling import GAP
from offline_portal.delivery.doors import Doors
from offline_portal.delivery.gate import Gate
from offline_portal.delivery.pace import Pace, PaceUnavailable
from offline_portal.delivery.readback import findings, look, reading, refusal
from offline_portal.delivery.readback.look import Look
from offline_portal.delivery.readback.reading import SHARE, Desk
from offline_portal.models import Reader
from offline_portal.trouble import DATABASE_TROUBLE, first_line

log = logging.getLogger(__name__)

InDatabase = Callable[..., Awaitable[Any]]
STALE_AFTER = 5.0
"""A look begun longer ago than this does not leave any more: the claim may be lost by now."""
NO_PACE_PAUSE = 5.0
"""Seconds until anybody looks again when Redis, which keeps the pace, is away."""
NAP = 0.5
"""Longest sleep between two looks at whether the shift is to end."""


class Onlooker:
    """Looks at one destination until nothing is due there, the shift ends, or something stops it."""

    def __init__(
        self, desk: Desk, door: Doors, pace: Pace, tokens: Tokens, in_database: InDatabase,
        stopping: Callable[[], bool],
    ) -> None:
        self.desk, self.door = desk, door
        self.share = Gate(pace, desk.destination, desk.rate / SHARE, "readback")
        self.gate = Gate(pace, desk.destination, desk.rate)
        self.bearer = Bearer(tokens, desk.connector, desk.settings, desk.secrets)
        self.in_database, self.stopping = in_database, stopping
        self._over = False

    async def run(self) -> None:
        """Look, then give the claim back, whatever happens."""
        pause, failed = 0.0, False
        try:
            await self.in_database(findings.close_abandoned, self.desk)
            while not self.stopping() and await self._round():
                pass
        except ClaimLost:
            return
        except DATABASE_TROUBLE as error:
            # A look may be repeated: it is left until its lease is over, and then made again.
            log.warning("Destination %s is not looked at for now: %s", self.desk.destination, first_line(error))
            return
        except PaceUnavailable:
            pause = NO_PACE_PAUSE
        except Exception:
            # A destination that cannot be looked at must not stop the sends; it comes back after a growing pause.
            log.exception("Destination %s could not be looked at", self.desk.destination)
            failed = True
        with contextlib.suppress(*DATABASE_TROUBLE):
            await self.in_database(reading.give_back, self.desk, pause, failed)

    async def _round(self) -> bool:
        """Some looks at once; False when there is nothing left to do here. Raises ClaimLost, PaceUnavailable."""
        if await self.in_database(refusal.close, self.desk):
            await asyncio.sleep(GAP)
            return True
        if not await self.in_database(reading.is_due, self.desk):
            return False
        count = await self._allowed()
        looks: list[Look] = count and await self.in_database(reading.begin, self.desk, count, self.bearer.announced)
        if not looks:
            return False
        await self._carry_all(looks)
        await self.in_database(findings.settle, self.desk, looks)
        return True

    async def _allowed(self) -> int:
        """How many requests may leave: as many as both paces allow. 0 when the shift is to end before any may."""
        share = await self._reserved(self.share, self.desk.lanes)
        return share and await self._reserved(self.gate, share)

    async def _reserved(self, gate: Gate, wanted: int) -> int:
        while not self.stopping():
            count, wait = await gate.reserve(wanted)
            if count:
                return count
            await asyncio.sleep(min(wait, NAP))
        return 0

    async def _carry_all(self, looks: list[Look]) -> None:
        """All at once; while their answers are awaited, the claim is renewed."""
        self._over = False
        flights = {asyncio.create_task(self._carry(one, time.monotonic())) for one in looks}
        try:
            while flights:
                _done, flights = await asyncio.wait(flights, timeout=settings.PORTAL_LEASE / 3)
                if flights:
                    await self.in_database(keep, Reader, self.desk.destination, self.desk.fence)
        finally:
            # One may miss that it is cancelled (see `Courier`): it must not leave any more.
            self._over = True
            for flight in flights:
                flight.cancel()
            await asyncio.gather(*flights, return_exceptions=True)

    async def _carry(self, one: Look, begun_at: float) -> None:
        """One look: the request, its answer, and what that says."""
        try:
            await self.gate.leave()
            one.request = await self.bearer.signed(one.request)
            if self._over or time.monotonic() - begun_at > STALE_AFTER:
                one.error, one.said = NeverSent("The worker was held up before the request left."), look.of_held_up()
                return
            one.response = await self.door.send(one.request, settings.PORTAL_REQUEST_DEADLINE)
            again = self.bearer.may_repeat(one)
            one.said = look.of_refused_token() if again else look.of_answer(
                self.desk.connector, one.response, one.request.secret_texts
            )
        except (ConnectorError, PaceUnavailable) as error:
            one.error = error if isinstance(error, ConnectorError) else NeverSent(str(error))
            one.said = look.of_error(one.error, one.request.secret_texts)
        except Exception as error:
            # A mistake of ours costs this look, and must not cost the others.
            log.exception("Attempt %s ended in an unforeseen way", one.attempt)
            one.error = NoAnswer(f"Interrupted ({type(error).__name__}).")
            one.said = look.of_error(one.error, one.request.secret_texts)
        finally:
            one.ended_at = timezone.now()
