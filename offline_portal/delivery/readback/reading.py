"""A Destination in one reader's hands: claimed, looked at a few groups at a time, and given back.

One worker at a time looks at a destination, so that no two can take the same stored conversion for two rows. All that
it writes stands under the fence of the Reader. Lock order: Reader, Deliveries, Readbacks, Send, Reader's destination,
chain head last.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Min, Q, QuerySet
from django.utils import timezone

import connectors
from connectors.base import Connector, Payload, Request
from connectors.readback import Timing
from offline_portal import bulk, claims, secrets
from offline_portal.audit import chain, groups
from offline_portal.delivery import exchanges
from offline_portal.delivery.pausing import back_off
from offline_portal.delivery.readback.asking import ACCEPTED, UNKNOWN
from offline_portal.delivery.readback.look import Look, Sought
from offline_portal.models import Delivery, Destination, Outcome, Readback, Reader, Send

ROWS_A_LOOK = 200
"""More rows of one visitor are looked for one look after the other."""
UNREADABLE_PAUSE = 300.0
SHARE = 5
"""Looks take at most one in so many of the requests that the pace allows."""


@dataclass(frozen=True)
class Desk:
    """Everything that looking at one Destination needs. `fence` proves the claim."""

    destination: int
    fence: int
    failures: int
    connector: Connector
    settings: dict[str, Any]
    """As they are now."""
    secrets: dict[str, str] = field(repr=False)

    @property
    def timing(self) -> Timing:
        """When to look, and how often."""
        return Timing.of(self.settings)

    @property
    def rate(self) -> float:
        """Requests a second to this destination, looks and all others together."""
        return float(self.settings.get("rate") or self.connector.default_rate)

    @property
    def lanes(self) -> int:
        """How many looks may be on the wire at once: about one second of their share."""
        return int(min(self.connector.in_flight, max(1, round(self.rate / SHARE))))


def claim_due(busy: set[int]) -> list[Desk]:
    """Claim every destination at which a look is due, but for those in `busy`."""
    now = timezone.now()
    desks = []
    for place in _open().exclude(pk__in=busy).filter(_free(now)).select_related("current", "reader"):
        if (due := _next_due(place)) is None or due > now:
            continue
        Reader.objects.get_or_create(destination=place)
        if not _ready(place):
            continue
        fence = claims.take(Reader, place.pk)
        if fence is not None:
            desks.append(desk_of(place, fence))
    return desks


def next_due() -> datetime | None:
    """When the next look falls due that nobody is at; None when there is none."""
    found = [due for place in _open().select_related("current", "reader") if (due := _due_with_reader(place))]
    return min(found, default=None)


def is_due(desk: Desk) -> bool:
    """Whether a look is due at this claimed destination, and nobody is to wait there."""
    now = timezone.now()
    if Reader.objects.filter(pk=desk.destination, waits_until__gt=now).exists():
        return False
    due = Readback.objects.filter(destination=desk.destination, due_at__lte=now)
    return any(due.filter(rank=rank).exists() for rank in _ranks(desk.settings))


def _open() -> QuerySet[Destination]:
    """Destinations at which looks may be made at all, perhaps not now."""
    slugs = [slug for slug, connector in connectors.all_connectors().items() if connector.can_be_read_back]
    return Destination.objects.filter(connector__in=slugs, archived_at=None, paused=False)


def _free(now: datetime) -> Q:
    waits = Q(waits_until=None) | Q(waits_until__lte=now)
    reader_waits = Q(reader__waits_until=None) | Q(reader__waits_until__lte=now)
    return waits & reader_waits & (Q(reader__lease_until=None) | Q(reader__lease_until__lt=now))


def _ready(place: Destination) -> bool:
    """Whether the keys can be read. If not, nobody looks for a while; the next Batch pauses the destination."""
    try:
        secrets.unseal(place)
    except secrets.Unreadable:
        later = timezone.now() + timedelta(seconds=UNREADABLE_PAUSE)
        Reader.objects.filter(pk=place.pk).update(waits_until=later)
        return False
    return True


def _ranks(settings: dict[str, Any]) -> tuple[int, ...]:
    return (UNKNOWN, ACCEPTED) if Timing.of(settings).verify else (UNKNOWN,)


def _next_due(place: Destination) -> datetime | None:
    due = (
        Readback.objects.filter(destination=place, rank=rank, due_at__isnull=False).aggregate(first=Min("due_at"))
        for rank in _ranks(place.settings)
    )
    return min((found["first"] for found in due if found["first"]), default=None)


def _due_with_reader(place: Destination) -> datetime | None:
    due, reader = _next_due(place), getattr(place, "reader", None)
    waits = (place.waits_until, reader.waits_until, reader.lease_until) if reader else (place.waits_until,)
    return max((due, *(moment for moment in waits if moment))) if due else None


def desk_of(place: Destination, fence: int, without_secrets: bool = False) -> Desk:
    """Everything that looking at this claimed destination needs. Raises secrets.Unreadable."""
    failures = Reader.objects.values_list("failures", flat=True).get(pk=place.pk)
    known = {} if without_secrets else secrets.unseal(place)
    return Desk(place.pk, fence, failures, connectors.get(place.connector), place.settings, known)


def begin(desk: Desk, most: int, announced: Callable[[Request], Request]) -> list[Look]:
    """One transaction: put up to `most` looks on record whose bytes may then leave; none when nothing may, or is due.

    Raises ClaimLost.
    """
    now = timezone.now()
    with transaction.atomic():
        claims.keep(Reader, desk.destination, desk.fence)
        if not _open().filter(Q(waits_until=None) | Q(waits_until__lte=now), pk=desk.destination).exists():
            return []
        looks = _looks(desk, _due_groups(desk, most, now), announced)
        if not looks:
            return []
        begun = [(look, look.batch, [row.id for row in look.rows]) for look in looks]
        attempts = exchanges.begin(begun, desk.fence, claims.worker_name(), readback=True)
        bulk.set_each(Readback, ("attempt",), [(row.id, look.attempt) for look in looks for row in look.rows])
        chain.add_many(_entries(looks, attempts))
    return looks


def _due_groups(desk: Desk, most: int, now: datetime) -> list[tuple[int, bytes]]:
    """(Send, group) of what is due, unknown rows before accepted ones, and else the longest due first."""
    found: dict[tuple[int, bytes], None] = {}
    for rank in _ranks(desk.settings):
        due = Readback.objects.filter(destination=desk.destination, rank=rank, due_at__lte=now).order_by("due_at")
        for send, group in due.values_list("send_id", "group")[: most * 4]:
            found.setdefault((send, bytes(group)))
        if len(found) >= most:
            break
    return list(found)[:most]


def _looks(desk: Desk, due: Iterable[tuple[int, bytes]], announced: Callable[[Request], Request]) -> list[Look]:
    found = []
    for send, group in due:
        mates = Readback.objects.filter(send=send, group=group, due_at__isnull=False).order_by("due_at", "pk")
        found.append((send, group, list(mates.values_list("pk", flat=True)[:ROWS_A_LOOK])))
    ids = [pk for _send, _group, members in found for pk in members]
    rows = {
        pk: (Payload(json.loads(text), key), batch)
        for pk, text, key, batch in Delivery.objects.filter(pk__in=ids).values_list(
            "pk", "payload", "wire_key", "batch_id"
        )
    }
    since = dict(
        Outcome.objects.filter(delivery__in=ids, attempt__readback=None)
        .values_list("delivery").annotate(first=Min("attempt__started_at"))
    )  # fmt: skip
    settings = _settings(desk, {send for send, _group, _members in found})
    looks = []
    for send, group, members in found:
        sought = [Sought(pk, rows[pk][0], since.get(pk)) for pk in members]
        request = desk.connector.readback(sought[0].payload, settings[send], desk.secrets)
        looks.append(Look(send, rows[members[0]][1], group, sought, announced(request), settings[send]))
    return looks


def _settings(desk: Desk, sends: set[int]) -> dict[int, dict[str, Any]]:
    """The settings that each Send was sent with; where to, and when to look, as they are now."""
    current = {key: desk.settings[key] for key in desk.connector.connection_settings if key in desk.settings}
    pinned = Send.objects.filter(pk__in=sends).values_list("pk", "settings_version__values")
    return {pk: (values or {}) | current for pk, values in pinned}


def _entries(looks: Sequence[Look], attempts: Sequence[tuple[Any, ...]]) -> list[tuple[str, str, str, dict[str, Any]]]:
    """One audit entry a Send, over the Attempts that look for its rows."""
    by_send: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for look, attempt in zip(looks, attempts, strict=True):
        by_send[look.send].append(attempt)
    return [
        ("portal", groups.ATTEMPTS, f"send:{send}",
         {"attempts": [row[0] for row in rows], "digest": groups.digest(rows), "readback": True})
        for send, rows in by_send.items()
    ]  # fmt: skip


def give_back(desk: Desk, pause: float = 0.0, failed: bool = False) -> None:
    """End the claim; nobody looks for `pause` seconds, or, when the looking itself failed, for a growing time."""
    failures = min(desk.failures + failed, 1_000)
    wait = back_off(failures) if failed else pause
    changes: dict[str, Any] = {"failures": failures} if failed else {}
    if wait:
        changes["waits_until"] = timezone.now() + timedelta(seconds=wait)
    claims.give_back(Reader, desk.destination, desk.fence, **changes)
