"""The counters of a Send: moved by the number of rows really changed, in the transaction that changed them."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction
from django.utils import timezone

from offline_portal import bulk
from offline_portal.models import Delivery, Send

_OVER = "queued = 0 AND sending = 0 AND status IN ('queued', 'sending', 'paused')"


def move(send_id: int, change: Mapping[str, int]) -> None:
    """Add `change` ({status: rows more or fewer}) to the counters, then see whether the Send is over.

    Inside a transaction.
    """
    moved = {Delivery.Status(status).value: by for status, by in change.items() if by}
    if moved:
        bulk.set_by_ids(Send, {status: bulk.Sql(f"{status} + {by:d}") for status, by in moved.items()}, [send_id])
    finish_if_over(send_id)


def finish_if_over(send_id: int) -> bool:
    """A Send with nothing queued or on the wire any more is finished."""
    over = {"status": Send.Status.FINISHED.value, "finished_at": timezone.now(), "reason": ""}
    with transaction.atomic(savepoint=False):
        return bool(bulk.set_by_ids(Send, over, [send_id], _OVER))
