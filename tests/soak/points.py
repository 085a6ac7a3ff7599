"""Death at fixed points: in the workers of a test, functions of the portal are wrapped so that they can die there once.

The portal knows nothing of it. Which point is armed says a file of that name in the folder SOAK_POINTS; the worker that
gets there takes the file away and kills itself, its parent first.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from django.apps import AppConfig

POINTS = (
    "before_claim", "after_claim", "before_leaving", "after_leaving", "after_answer", "in_outcome", "after_outcome"
)  # fmt: skip
"""In the order in which a shift passes them. `before_leaving`: the Attempts are stored, no byte has left;
`in_outcome`: within the transaction that writes answers and outcomes."""
ON_THE_WIRE = 0.3
"""Seconds after which a request has surely reached the emulator, which answers later than that."""


class Points(AppConfig):
    """Added to the workers' INSTALLED_APPS by `tests.soak.settings`."""

    name = "tests.soak"
    label = "soak_points"

    def ready(self) -> None:
        """Wrap what lies at the points."""
        from offline_portal.delivery import claiming, counting, doors, writing

        claiming.claim_due = _around_claim(claiming.claim_due)
        doors.Doors.send = _around_request(doors.Doors.send)  # type: ignore[method-assign]
        writing.Book.turn = _around_turn(writing.Book.turn)  # type: ignore[method-assign]
        counting.move = _within_outcome(counting.move)


def pass_by(point: str) -> None:
    """Die here, if this point is armed."""
    try:
        (Path(os.environ["SOAK_POINTS"]) / point).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def _around_claim(claim_due: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(claim_due)
    def claim(busy: set[int]) -> Any:
        pass_by("before_claim")
        holds = claim_due(busy)
        if holds:
            pass_by("after_claim")
        return holds

    return claim


def _around_request(send: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(send)
    async def carry(doors: Any, request: Any, deadline: float) -> Any:
        answer = asyncio.ensure_future(send(doors, request, deadline))
        await asyncio.wait([answer], timeout=ON_THE_WIRE)
        pass_by("after_leaving")
        response = await answer
        pass_by("after_answer")
        return response

    return carry


def _around_turn(turn: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(turn)
    def write(book: Any, landed: Sequence[Any], parcels: Sequence[Any]) -> Any:
        begun = turn(book, landed, parcels)
        if begun:
            pass_by("before_leaving")
        if landed:
            pass_by("after_outcome")
        return begun

    return write


def _within_outcome(move: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(move)
    def count(send: int, change: Any) -> Any:
        if change.get("sending", 0) < 0:
            pass_by("in_outcome")
        return move(send, change)

    return count
