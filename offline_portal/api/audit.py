"""`/audit`: who did what to which object, when; for auditors and admins."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from ninja import Query, Router, Schema
from pydantic import Field, field_validator

from offline_portal import listing
from offline_portal.access.roles import ADMIN, AUDITOR
from offline_portal.api import paging
from offline_portal.api.calls import Bearer
from offline_portal.api.evidence import A_ZIP, zipped
from offline_portal.api.paging import PageQuery
from offline_portal.api.schemas import ERRORS, AuditEntryOut, Error, Page
from offline_portal.api.shapes import audit_shape
from offline_portal.audit import export
from offline_portal.models import AuditEntry

router = Router(tags=["Audit"])


class EntryQuery(Schema):
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

    def found(self) -> QuerySet[AuditEntry]:
        """The entries that are asked for."""
        return listing.audit_entries(self.action, self.actor, self.object, self.from_, self.to)


class AuditQuery(EntryQuery, PageQuery):
    """The same, page by page."""


@router.get(
    "", response={200: Page[AuditEntryOut], ERRORS: Error}, auth=Bearer(AUDITOR, ADMIN), summary="The log, newest first"
)
def list_audit(request: HttpRequest, asked: Query[AuditQuery]) -> dict[str, Any]:
    """Each entry carries the hash of the one before it; `verify_audit` recomputes them."""
    return paging.shown(listing.page(asked.found(), asked.after, asked.limit, key="seq", down=True), audit_shape)


@router.get(
    "/export",
    response={ERRORS: Error},
    auth=Bearer(AUDITOR, ADMIN),
    summary="Entries of the log, as a zip",
    openapi_extra=A_ZIP,
)
def export_audit(request: HttpRequest, asked: Query[EntryQuery]) -> StreamingHttpResponse:
    """The entries that are asked for, with as much of the chain as it takes to verify them without the portal."""
    wanted = asked.model_dump(mode="json", by_alias=True, exclude_none=True)
    return zipped(export.of_log(asked.found(), wanted, request.user.get_username()), "audit")
