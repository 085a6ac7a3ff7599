"""The counters of a Send: moved by the number of rows really changed, in the transaction that changed them."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction
from django.utils import timezone

from offline_portal import bulk
from offline_portal.models import Delivery, Send

_READBACK = {f"readback_{state}" for state in ("looking", "confirmed", "not_found", "not_available")}
_OVER = "queued = 0 AND sending = 0 AND status IN ('queued', 'sending', 'paused')"


def move(send_id: int, change: Mapping[str, int]) -> None:
    """Add `change` ({status: rows more or fewer}) to the counters, then see whether the Send is over.

    `readback_STATE` counts rows by the state of their Readback. Inside a transaction.
    """
    moved = {
        name if name in _READBACK else Delivery.Status(name).value: by for name, by in change.items() if by
    }
    if moved:
        bulk.set_by_ids(Send, {status: bulk.Sql(f"{status} + {by:d}") for status, by in moved.items()}, [send_id])
    finish_if_over(send_id)


def finish_if_over(send_id: int) -> bool:
    """A Send with nothing queued or on the wire any more is finished."""
    over = {"status": Send.Status.FINISHED.value, "finished_at": timezone.now(), "reason": ""}
    with transaction.atomic(savepoint=False):
        return bool(bulk.set_by_ids(Send, over, [send_id], _OVER))
