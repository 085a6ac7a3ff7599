"""`/destinations`: accounts at vendors; everyone reads, admins write."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import transaction
from django.http import HttpRequest
from ninja import Query, Router, Status

from offline_portal import destinations
from offline_portal.access.roles import ADMIN, EVERYONE
from offline_portal.api import paging
from offline_portal.api.calls import Bearer
from offline_portal.api.errors import missing
from offline_portal.api.paging import PageQuery
from offline_portal.api.schemas import ERRORS, DestinationChange, DestinationIn, DestinationOut, Error, Page, Tested
from offline_portal.api.shapes import destination_shape
from offline_portal.audit import chain
from offline_portal.delivery import probe
from offline_portal.listing import page
from offline_portal.models import Destination

router = Router(tags=["Destinations"])
admins = partial(Bearer, ADMIN)


@router.get("", response={200: Page[DestinationOut], ERRORS: Error}, auth=Bearer(*EVERYONE), summary="All destinations")
def list_destinations(request: HttpRequest, asked: Query[PageQuery]) -> dict[str, Any]:
    """Destinations in use; archived ones are left out."""
    return paging.shown(page(_in_use(), asked.after, asked.limit), destination_shape)


@router.post("", response={201: DestinationOut, ERRORS: Error}, auth=admins(), summary="Make a destination")
def make_destination(request: HttpRequest, body: DestinationIn) -> Status:
    """Settings that are left out get the connector's defaults. Secrets are kept encrypted and never shown again."""
    made = destinations.create(request.user, **body.model_dump())
    return Status(201, destination_shape(made))


@router.get("/{id}", response={200: DestinationOut, ERRORS: Error}, auth=Bearer(*EVERYONE), summary="One destination")
def show_destination(request: HttpRequest, id: str) -> dict[str, Any]:
    """Of secrets only whether they are set, and how they end."""
    return destination_shape(find(id))


@router.patch("/{id}", response={200: DestinationOut, ERRORS: Error}, auth=admins(), summary="Change a destination")
def change_destination(request: HttpRequest, id: str, body: DestinationChange) -> dict[str, Any]:
    """What is left out stays; within `settings`, null means the default. `paused: false` lets its sends go on."""
    changed = destinations.change(find(id), request.user, **body.model_dump(exclude_unset=True))
    return destination_shape(changed)


@router.delete("/{id}", response={204: None, ERRORS: Error}, auth=admins(), summary="Archive a destination")
def archive_destination(request: HttpRequest, id: str) -> Status:
    """What was sent stays on record. 409 while a send to it is not finished."""
    destinations.archive(find(id), request.user)
    return Status(204, None)


@router.post("/{id}/test", response={200: Tested, ERRORS: Error}, auth=admins(), summary="Test the connection")
def check_connection(request: HttpRequest, id: str) -> dict[str, Any]:
    """Asks the vendor something that stores nothing there."""
    found = find(id)
    works, message = probe.test_connection(found)
    with transaction.atomic():
        chain.add(request.user.get_username(), "destination.tested", f"destination:{found.pk}", {"ok": works})
    return {"ok": works, "message": message}


def find(id: str) -> Destination:
    """The destination in use with this id. Raises ApiError 404."""
    found = _in_use().filter(pk=paging.number(id, "destination")).first()
    if found is None:
        raise missing("destination")
    return found


def _in_use() -> Any:
    return Destination.objects.filter(archived_at=None).select_related("current").prefetch_related("secret_set")
