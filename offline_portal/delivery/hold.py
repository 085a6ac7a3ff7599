"""A Batch in one worker's hands: read, and given back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import groupby
from typing import Any

from django.utils import timezone

import connectors
from connectors.base import ALONE, Connector, Payload, Request
from connectors.by_file import FileConnector, Frame
from offline_portal import claims, secrets
from offline_portal.delivery.pausing import back_off, wait
from offline_portal.models import Batch, Delivery, Destination, Outcome

ASKED_AGAIN_AFTER = 100.0
"""Seconds after which a vendor that is down is asked again at the latest: once it is back, work goes on within two
minutes, whatever the longest pause between tries is set to."""


class OfAnotherVersion(Exception):
    """What another version of the portal queued, and this one cannot send; the text says so to a person."""


class CannotBuild(Exception):
    """A connector fails to make a request of rows that it has checked itself; the text says so to a person."""


@dataclass(frozen=True)
class QueuedRow:
    """A Delivery of the Batch that is to be sent."""

    id: int
    payload: Payload
    part: int
    tries: int


@dataclass(frozen=True)
class Hold:
    """Everything that sending one claimed Batch needs. `fence` proves the claim."""

    batch: int
    fence: int
    send: int
    destination: int
    tries: int
    failures: int
    """How often in a row the destination gave nobody a usable answer."""
    connector: Connector
    settings: dict[str, Any]
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    frame: Frame = field(default_factory=Frame)
    """Of the file that the Batch is, where the vendor takes files."""

    def build(self, rows: Sequence[QueuedRow]) -> Request:
        """The request, or the file, that carries these rows. Raises CannotBuild."""
        payloads = [row.payload for row in rows]
        try:
            if isinstance(self.connector, FileConnector):
                return self.connector.build_file(payloads, self.settings, self.secrets, self.frame)
            return self.connector.build(payloads, self.settings, self.secrets)
        except Exception as error:
            raise CannotBuild(
                f"No request could be made of a row that was found ready ({type(error).__name__}). This is a fault of "
                "the portal: tell whoever runs it. Nothing is lost; cancel the send, or resume it once it is mended."
            ) from error

    @staticmethod
    def payload(text: str, wire_key: str | None) -> Payload:
        """A stored payload as the connector takes it."""
        return Payload(json.loads(text), wire_key)

    @property
    def takes_files(self) -> bool:
        """Whether the Batch is one file, which cannot be parted."""
        return isinstance(self.connector, FileConnector)

    @property
    def rate(self) -> float:
        """Requests a second to this destination, over all workers."""
        return float(self.settings.get("rate") or self.connector.default_rate)

    @property
    def lanes(self) -> int:
        """How many requests may be on the wire at once: about one second of pace, within reason.

        A destination that has been failing is probed with one.
        """
        return 1 if self.failures else int(min(self.connector.in_flight, max(2, round(self.rate))))


def load(batch_id: int, fence: int) -> Hold:
    """Everything that sending this claimed Batch needs. Raises secrets.Unreadable, OfAnotherVersion."""
    batch = _batch(batch_id)
    hold = _hold_of(batch, fence)
    if unknown := [key for key in batch.send.mapping if hold.connector.field(key) is None]:
        raise OfAnotherVersion(
            f"These rows were checked by another version of the portal, with fields that this one does not know: "
            f"{', '.join(unknown)[:200]}. Cancel the send, and check the file again."
        )
    return replace(hold, secrets=secrets.unseal(batch.destination))


def to_close(batch_id: int, fence: int) -> Hold:
    """What ending a dead worker's Attempts needs, though the Batch may be one that cannot be sent.

    Raises OfAnotherVersion where this version has no such connector.
    """
    return _hold_of(_batch(batch_id), fence)


def _batch(batch_id: int) -> Batch:
    return Batch.objects.select_related("send__settings_version", "destination__current").get(pk=batch_id)


def _hold_of(batch: Batch, fence: int) -> Hold:
    slug = batch.destination.connector
    connector = connectors.all_connectors().get(slug)
    if connector is None:
        raise OfAnotherVersion(
            f"This version of the portal has no connector “{slug}”. The rows wait for one that has; or cancel the send."
        )
    pinned = batch.send.settings_version.values if batch.send.settings_version else {}
    current = batch.destination.settings
    # Where and how fast follows the destination as it is now, or a mended address would never reach a paused Send.
    connection = {key: current[key] for key in connector.connection_settings if key in current}
    return Hold(
        batch.pk, fence, batch.send_id, batch.destination_id, batch.tries, batch.destination.failures, connector,
        pinned | connection, frame=Frame(batch.name, tuple(batch.send.mapping)),
    )


def with_doubt(hold: Hold) -> Hold:
    """The same, its file marked where an earlier try of it may have arrived: then the door looks before it repeats."""
    if not isinstance(hold.connector, FileConnector):
        return hold
    one = Delivery.objects.filter(batch=hold.batch, status=Delivery.Status.QUEUED).values_list("pk", flat=True).first()
    doubts = Outcome.objects.filter(delivery=one, attempt__batch=hold.batch, code__in=("no_answer", "not_understood"))
    return replace(hold, frame=hold.frame._replace(in_doubt=doubts.exists()))


def queued_rows(hold: Hold) -> list[QueuedRow]:
    """The rows of the Batch that wait, in order of line."""
    waiting = Delivery.objects.filter(batch=hold.batch, status=Delivery.Status.QUEUED).order_by("part", "line")
    return [
        QueuedRow(pk, hold.payload(text, wire_key), part, tries)
        for pk, text, wire_key, part, tries in waiting.values_list("pk", "payload", "wire_key", "part", "tries")
    ]


def requests_of(hold: Hold, rows: Sequence[QueuedRow]) -> Iterator[list[QueuedRow]]:
    """Rows that share a request: of one part and one group, at most as many as the vendor takes."""
    connector, most = hold.connector, hold.connector.rows_a_request

    def key(row: QueuedRow) -> tuple[int, str, int]:
        group = connector.group(row.payload.values, hold.settings)
        return row.part, repr(group), row.id if group is ALONE else 0

    for _key, together in groupby(sorted(rows, key=key), key=key):
        parcel = list(together)
        for start in range(0, len(parcel), most):
            yield parcel[start : start + most]


def give_back(hold: Hold, again: bool, settled: bool, pause: float = 0.0, put_off: bool = False) -> None:
    """End the claim; what is left of the Batch is due after `pause` seconds.

    `again`: requests went unanswered, so the pause grows with each such claim. `put_off`: the vendor asked us to wait
    and did not say for how long; that pause grows as well. `settled`: at least one row came to its end. When nothing
    did, the whole destination waits: a vendor that is down is not asked once a Batch.
    """
    left = Delivery.objects.filter(batch=hold.batch, status__in=("queued", "sending")).exists()
    tries = 0 if settled else hold.tries + (again or put_off)
    now = timezone.now()
    due = now + timedelta(seconds=min(back_off(tries), ASKED_AGAIN_AFTER) if again else pause)
    if not claims.give_back(Batch, hold.batch, hold.fence, done=not left, due_at=due, tries=min(tries, 1_000)):
        return
    where = Destination.objects.filter(pk=hold.destination)
    if settled:
        where.filter(failures__gt=0).update(failures=0)
    elif again:
        failures = min(hold.failures + 1, 1_000)
        where.update(failures=failures)
        wait(hold.destination, min(back_off(failures), ASKED_AGAIN_AFTER))
