"""Rows that an unknown one could be taken for: what the vendor shows may be theirs.

Without them, a row whose answer was lost would be confirmed by the conversion of another one that is just like it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Hashable

from django.db.models import Min
from django.utils import timezone

from offline_portal.audit.search import digest
from offline_portal.delivery.readback.look import Look
from offline_portal.delivery.readback.reading import Desk
from offline_portal.delivery.readback.sightings import Wanted
from offline_portal.models import Delivery, Identifier, Outcome

MOST = 1_000
_MAY_BE_THERE = ("queued", "sending", "accepted")


class TooMany(Exception):
    """There are so many rows about the same person that nobody can tell whose a conversion is."""


def of(desk: Desk, look: Look, likenesses: set[Hashable], but: Collection[int]) -> list[Wanted]:
    """Rows of the destination that were sent, are like one of these, and have no conversion yet.

    `but`: rows that are not meant. A row of the look that a person had sent again meanwhile is. Raises TooMany.
    """
    known = desk.connector.identifiers(look.rows[0].payload.values)
    ids: set[int] = set()
    for _kind, text in known:
        same = Identifier.objects.filter(digest=digest(text)).order_by("-delivery")
        ids |= set(same.values_list("delivery_id", flat=True)[: MOST + 1])
    if len(ids) > MOST:
        raise TooMany
    others = Delivery.objects.filter(
        pk__in=ids - set(but), send__destination=desk.destination, status__in=_MAY_BE_THERE,
        attempt_count__gt=0, readback__sighting=None,
    ).values_list("pk", "payload")  # fmt: skip
    likeness_of = {pk: desk.connector.likeness(json.loads(text)) for pk, text in others}
    alike = {pk: likeness for pk, likeness in likeness_of.items() if likeness in likenesses}
    since = dict(
        Outcome.objects.filter(delivery__in=alike, attempt__readback=None)
        .values_list("delivery").annotate(first=Min("attempt__started_at"))
    )  # fmt: skip
    return [Wanted(pk, likeness, since.get(pk, timezone.now())) for pk, likeness in alike.items()]
