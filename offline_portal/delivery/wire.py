"""The way of one Batch's requests over the wire: each leaves when its turn has come, and its answer is judged."""

from __future__ import annotations

import logging
import math
import time
from collections import deque

from django.conf import settings
from django.utils import timezone

from connectors.base import ConnectorError, NeverSent, NoAnswer, Request, Response
from offline_portal.delivery.bearer import Bearer, Tokens
from offline_portal.delivery.doors import Doors, in_doubt
from offline_portal.delivery.gate import LATE, Gate
from offline_portal.delivery.hold import Hold
from offline_portal.delivery.pace import Pace, PaceUnavailable
from offline_portal.delivery.verdict import Judge
from offline_portal.delivery.writing import Parcel

log = logging.getLogger(__name__)

STALE_AFTER = 5.0
"""A request begun longer ago than this does not leave any more: the claim may be lost by now."""
QUICK_ANSWER = 1.0
"""A vendor that answers within so many seconds is quick."""


class Wire:
    """Requests to one destination, and what is known of how they fare."""

    def __init__(self, hold: Hold, door: Doors, pace: Pace, tokens: Tokens) -> None:
        self._hold, self._door = hold, door
        self.gate = Gate(pace, hold.destination, hold.rate)
        self.bearer = Bearer(tokens, hold.connector, hold.settings, hold.secrets)
        self.barred = False
        """The vendor wants no more requests: what has begun and not left does not leave."""
        self.no_pace = False
        """Redis went away."""
        self.slowest = 0.0
        """Seconds of the slowest answer of late."""
        self._left: deque[float] = deque()
        """When each request that is under way left."""

    @property
    def is_slow(self) -> bool:
        """Whether the vendor takes long to answer, or has not answered for long."""
        waits = time.monotonic() - self._left[0] if self._left else 0.0
        return max(waits, self.slowest) >= QUICK_ANSWER

    async def carry(self, parcel: Parcel, begun_at: float) -> None:
        """Send a parcel that was begun at that moment, and give it its verdict. Raises only what ends the program."""
        try:
            if held_up := await self._held_up(parcel, begun_at):
                if in_doubt(parcel.request):
                    raise NoAnswer(f"{held_up} The portal could not look for the file.")
                self.hold_up(parcel, held_up)
                return
            parcel.response = await self._sent(parcel.request)
            judge = self._judge(parcel)
            again = self.bearer.may_repeat(parcel)
            parcel.verdict = judge.of_refused_token() if again else judge.of_answer(parcel.response)
        except ConnectorError as error:
            parcel.error = error
            parcel.verdict = self._judge(parcel).of_error(error)
        except BaseException as error:
            parcel.error = NoAnswer(f"Interrupted ({type(error).__name__}).")
            parcel.verdict = self._judge(parcel).of_error(parcel.error)
            if not isinstance(error, Exception):
                raise
            # A mistake of ours costs this request, and must not cost the lane.
            log.error("Attempt %s ended in an unforeseen way (%s)", parcel.attempt, type(error).__name__)
        finally:
            parcel.ended_at = timezone.now()

    def hold_up(self, parcel: Parcel, why: str) -> None:
        """Give a parcel that was begun, but surely did not leave, its verdict."""
        parcel.error = NeverSent(why)
        parcel.verdict, parcel.ended_at = self._judge(parcel).of_held_up(why), timezone.now()

    async def _held_up(self, parcel: Parcel, begun_at: float) -> str:
        """Sign the request when its turn has come; returns why it must not leave, or nothing."""
        unsigned, turn = parcel.request, -math.inf
        try:
            # A second time where a token had to be fetched.
            while time.monotonic() - turn > LATE:
                await self.gate.leave()
                turn = time.monotonic()
                parcel.request = await self.bearer.signed(unsigned)
        except PaceUnavailable:
            self.no_pace = True
            return "Redis, which keeps the pace, went away before the request left."
        if self.barred:
            return "It was held back before it left, because the vendor wanted no more requests."
        late = time.monotonic() - begun_at > STALE_AFTER
        return "The worker was held up before the request left." if late else ""

    async def _sent(self, request: Request) -> Response:
        left_at = time.monotonic()
        self._left.append(left_at)
        try:
            response = await self._door.send(request, settings.PORTAL_REQUEST_DEADLINE)
        finally:
            self._left.remove(left_at)
        self.slowest = max(0.9 * self.slowest, time.monotonic() - left_at)
        return response

    def _judge(self, parcel: Parcel) -> Judge:
        connector, payloads = self._hold.connector, [row.payload for row in parcel.rows]
        harmless = [connector.harmless_to_repeat(payload.values, self._hold.settings) for payload in payloads]
        return Judge(connector, harmless, payloads, parcel.request.secret_texts)
