"""`/mappings`: saved ways to read spreadsheets; everyone reads, marketing ops write."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Query, Router, Status

from offline_portal import saved_mappings
from offline_portal.access.roles import EVERYONE, OPS
from offline_portal.api import paging
from offline_portal.api.calls import Bearer
from offline_portal.api.paging import PageQuery
from offline_portal.api.schemas import ERRORS, Error, MappingIn, MappingOut, Page
from offline_portal.api.shapes import mapping_shape
from offline_portal.listing import page

router = Router(tags=["Mappings"])


class MappingQuery(PageQuery):
    """Only the mappings for one vendor."""

    connector: str | None = None


@router.get("", response={200: Page[MappingOut], ERRORS: Error}, auth=Bearer(*EVERYONE), summary="Saved mappings")
def list_mappings(request: HttpRequest, asked: Query[MappingQuery]) -> dict[str, Any]:
    """Each in its newest version."""
    return paging.shown(page(saved_mappings.newest(asked.connector), asked.after, asked.limit), mapping_shape)


@router.post("", response={201: MappingOut, ERRORS: Error}, auth=Bearer(OPS), summary="Save a mapping")
def save_mapping(request: HttpRequest, body: MappingIn) -> Status:
    """Saving under a name that exists makes a new version of it."""
    saved = saved_mappings.save(body.name, body.connector, body.fields, request.user)
    return Status(201, mapping_shape(saved))
