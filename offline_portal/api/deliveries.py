"""`/deliveries` and `/sends/{id}/deliveries`: each row on its way, found again and told whole."""

from __future__ import annotations

from typing import Any, Literal

from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Query, Router, Status

from offline_portal import history, listing
from offline_portal.access.roles import EVERYONE, OPS
from offline_portal.api import paging, sends
from offline_portal.api.calls import Bearer
from offline_portal.api.errors import ApiError, missing
from offline_portal.api.paging import PageQuery
from offline_portal.api.schemas import ERRORS, DeliveryOut, DeliveryStory, Error, Page, Resolve
from offline_portal.api.shapes import attempt_shape, delivery_shape, moment_shape
from offline_portal.audit import chain, search
from offline_portal.delivery import control
from offline_portal.models import Delivery

router = Router(tags=["Deliveries"])
of_sends = Router(tags=["Deliveries"])


class RevealQuery(PageQuery):
    """`reveal=true` shows personal values plainly; that is logged."""

    reveal: bool = False


class SearchQuery(RevealQuery):
    """`search`: an order id, e-mail, visitor id, receipt, … exactly as it was sent."""

    search: str | None = None


class StatusQuery(RevealQuery):
    """Only rows in a status, or rows that were looked for at the vendor in vain."""

    status: Literal[tuple(Delivery.Status.values)] | None = None  # type: ignore[valid-type]
    readback: Literal["not_found", "not_available"] | None = None


@router.get(
    "", response={200: Page[DeliveryOut], ERRORS: Error}, auth=Bearer(*EVERYONE), summary="Find rows, newest first"
)
def find_deliveries(request: HttpRequest, asked: Query[SearchQuery]) -> dict[str, Any]:
    """Over all sends. Personal values are masked for everyone unless revealed."""
    if asked.search is None:
        found = listing.page(listing.deliveries(), asked.after, asked.limit, down=True)
        return _shown(request, found.items, asked.reveal) | {"next": paging.cursor(found.next)}
    rows, goes_on = search.find(asked.search, asked.limit, asked.cursor)
    # A line that was never queued is no delivery yet.
    return _shown(request, [row for row in rows if row.status], asked.reveal) | {"next": goes_on}


@of_sends.get(
    "/{id}/deliveries",
    response={200: Page[DeliveryOut], ERRORS: Error},
    auth=Bearer(*EVERYONE),
    summary="Rows of a send",
)
def list_deliveries(request: HttpRequest, id: str, asked: Query[StatusQuery]) -> dict[str, Any]:
    """In order of line; empty before the send is queued."""
    send = sends.find(id)
    if asked.readback and asked.status:
        raise ApiError(422, "invalid", "Ask for a status or for a state of reading back, not for both.")
    if asked.readback:
        found = listing.in_vain(send, asked.readback, asked.after, asked.limit)
    else:
        found = listing.send_deliveries(send, asked.status, asked.after, asked.limit)
    return _shown(request, found.items, asked.reveal) | {"next": paging.cursor(found.next)}


@router.get("/{id}", response={200: DeliveryStory, ERRORS: Error}, auth=Bearer(*EVERYONE), summary="The story of a row")
def show_delivery(request: HttpRequest, id: str, reveal: bool = False) -> dict[str, Any]:
    """With every request, its answer, and what people did. Secrets are masked always, other rows' values too."""
    delivery = _find(id)
    if reveal:
        _log_revealed(request, [delivery])
    exchanges = history.exchanges_of(delivery)
    revealed = delivery if reveal else None
    return delivery_shape(delivery, reveal) | {
        "attempts": [attempt_shape(one, history.veil_of(one, revealed)) for one in exchanges.sent],
        "looks": [attempt_shape(one, history.veil_of(one, revealed)) for one in exchanges.looks],
        "timeline": [moment_shape(one) for one in history.timeline(delivery, exchanges)],
    }


@router.post("/{id}/resolve", response={202: DeliveryOut, ERRORS: Error}, auth=Bearer(OPS), summary="Settle an unknown")
def resolve_delivery(request: HttpRequest, id: str, body: Resolve) -> Status:
    """`resend` with the same wire key, `accepted` on your word, or `abandoned`; always with a reason."""
    if not body.reason.strip():
        raise ApiError(422, "invalid", "Say why.", {"reason": "The reason is kept with the decision."})
    control.resolve(_find(id), body.as_, body.reason, request.user)
    return Status(202, delivery_shape(_find(id)))


def _find(id: str) -> Delivery:
    found = _sent().filter(pk=paging.number(id, "delivery")).first()
    if found is None:
        raise missing("delivery")
    return found


def _sent() -> QuerySet[Delivery]:
    return listing.deliveries().select_related("send__upload__created_by", "batch")


def _shown(request: HttpRequest, deliveries: list[Delivery], reveal: bool) -> dict[str, Any]:
    if reveal and deliveries:
        _log_revealed(request, deliveries)
    return {"items": [delivery_shape(delivery, reveal) for delivery in deliveries]}


def _log_revealed(request: HttpRequest, deliveries: list[Delivery]) -> None:
    """One entry a row looked at alone; a list is one entry that names its rows."""
    alone = f"delivery:{deliveries[0].pk}" if len(deliveries) == 1 else f"user:{request.user.pk}"
    detail = {"deliveries": [delivery.pk for delivery in deliveries]}
    with transaction.atomic():
        chain.add(request.user.get_username(), "delivery.revealed", alone, detail)
