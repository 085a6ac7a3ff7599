"""The answer to a call that was made, but whose own answer got lost: what it made or acted on, as it stands now."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import QuerySet
from django.http import HttpRequest

from offline_portal import listing
from offline_portal.access.idempotency import Stored
from offline_portal.api import shapes
from offline_portal.models import Destination, Mapping, Upload

_SHAPES: dict[str, tuple[Callable[[], QuerySet[Any]], Callable[[Any], shapes.Shape]]] = {
    "upload": (Upload.objects.all, shapes.upload_shape),
    "send": (listing.sends, shapes.send_shape),
    "delivery": (listing.deliveries, shapes.delivery_shape),
    "destination": (Destination.objects.all, shapes.destination_shape),
    "mapping": (Mapping.objects.all, shapes.mapping_shape),
}
_STATUS = (
    (re.compile(r"POST /api/v1/(uploads|sends|destinations|mappings)"), 201),
    (re.compile(r"POST /api/v1/(sends|deliveries)/[^/]+/[a-z]+"), 202),
    (re.compile(r"PUT /api/v1/sends/[^/]+/mapping|PATCH /api/v1/destinations/[^/]+"), 200),
)
"""Of a call that was made. The calls that are left out may be made once more: it changes nothing."""


def of(request: HttpRequest, object: str) -> Stored | None:
    """None where the call may as well be made once more."""
    call = f"{request.method} {request.path}"
    status = next((status for pattern, status in _STATUS if pattern.fullmatch(call)), None)
    kind, _, number = object.partition(":")
    if status is None or kind not in _SHAPES or not number.isdigit():
        return None
    things, shape = _SHAPES[kind]
    found = things().filter(pk=int(number)).first()
    return Stored(status, json.dumps(shape(found), cls=DjangoJSONEncoder)) if found else None
