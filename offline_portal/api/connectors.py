"""`/connectors`: which vendors there are, and what each accepts."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router

from connectors import all_connectors
from offline_portal.access.roles import EVERYONE
from offline_portal.api.calls import Bearer
from offline_portal.api.schemas import ERRORS, ConnectorOut, Error, Page
from offline_portal.api.shapes import connector_shape

router = Router(tags=["Connectors"])


@router.get("", response={200: Page[ConnectorOut], ERRORS: Error}, auth=Bearer(*EVERYONE), summary="All vendors")
def list_connectors(request: HttpRequest) -> dict[str, Any]:
    """Settings, secrets and fields of each vendor. A key ending in `:*` stands for any number of fields."""
    return {"items": [connector_shape(connector) for connector in all_connectors().values()], "next": None}
