"""`/audit`: who did what to which object, when; for auditors and admins."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import Field, field_validator

from offline_portal import listing
from offline_portal.access.roles import ADMIN, AUDITOR
from offline_portal.api import paging
from offline_portal.api.calls import Bearer
from offline_portal.api.paging import PageQuery
from offline_portal.api.schemas import ERRORS, AuditEntryOut, Error, Page
from offline_portal.api.shapes import audit_shape

router = Router(tags=["Audit"])


class AuditQuery(PageQuery):
    """Only entries of an action, a person, an object, or a time (`from` included, `to` not)."""

    action: str | None = None
    actor: str | None = None
    object: str | None = None
    from_: datetime | None = Field(None, alias="from")
    to: datetime | None = None

    @field_validator("from_", "to")
    @classmethod
    def in_utc(cls, given: datetime | None) -> datetime | None:
        """A moment that names no zone is meant in UTC."""
        return given.replace(tzinfo=UTC) if given is not None and given.tzinfo is None else given


@router.get(
    "", response={200: Page[AuditEntryOut], ERRORS: Error}, auth=Bearer(AUDITOR, ADMIN), summary="The log, newest first"
)
def list_audit(request: HttpRequest, asked: Query[AuditQuery]) -> dict[str, Any]:
    """Each entry carries the hash of the one before it; `verify_audit` recomputes them."""
    found = listing.audit_entries(asked.action, asked.actor, asked.object, asked.from_, asked.to)
    return paging.shown(listing.page(found, asked.after, asked.limit, key="seq", down=True), audit_shape)
