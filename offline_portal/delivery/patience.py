"""A database that does not answer in mid-send: restarted, locked for long, or out of disk.

What came back from a vendor exists nowhere else by then, so it is kept and written as soon as that is possible. If that
takes longer than the lease, somebody else may be faster, and the rows end honestly unknown.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction

from offline_portal import claims
from offline_portal.models import Answer, Attempt, Batch
from offline_portal.trouble import DATABASE_TROUBLE, first_line

if TYPE_CHECKING:
    from offline_portal.delivery.writing import Book, Parcel

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
GIVE_UP_AFTER = 600.0


async def write_late(
    in_database: Callable[..., Awaitable[Any]], book: Book, landed: Sequence[Parcel], unsent: Sequence[Parcel]
) -> None:
    """Write a turn that failed, again and again until the database takes it.

    `unsent` are the parcels that it began: they never left, and their verdicts say so. Raises ClaimLost, or the
    database's error after GIVE_UP_AFTER seconds.
    """
    last, pause = time.monotonic() + GIVE_UP_AFTER, FIRST_PAUSE
    while True:
        await asyncio.sleep(pause)
        try:
            await in_database(_write, book, landed, unsent)
            log.info("The database answers again; batch %s is written", book.hold.batch)
            return
        except DATABASE_TROUBLE as error:
            if time.monotonic() > last:
                raise
            pause = min(2 * pause, LONGEST_PAUSE)
            log.warning("Batch %s waits for the database: %s", book.hold.batch, first_line(error))


def _write(book: Book, landed: Sequence[Parcel], unsent: Sequence[Parcel]) -> None:
    """What of the turn is not in the database yet: a connection that broke while committing leaves that open."""
    connection.close()
    with transaction.atomic():
        # Under the claim: what a connection that broke is still committing is there by then.
        claims.keep(Batch, book.hold.batch, book.hold.fence)
        numbers = [parcel.attempt for parcel in (*landed, *unsent)]
        # SQLite gives numbers that were not committed to others, and those may be looks.
        begun = Attempt.objects.filter(pk__in=numbers, batch=book.hold.batch, fence=book.hold.fence, readback=None)
        noted = set(begun.values_list("pk", flat=True))
        answered = set(Answer.objects.filter(attempt__in=begun).values_list("pk", flat=True))
        book.turn([p for p in (*landed, *unsent) if p.attempt in noted and p.attempt not in answered], [])
