"""What auditors take away: zips that verify without the portal (docs/audit.md)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from ninja import Router

from offline_portal.access.roles import ADMIN, AUDITOR
from offline_portal.api import sends
from offline_portal.api.calls import Bearer
from offline_portal.api.schemas import ERRORS, Error
from offline_portal.audit import evidence

router = Router(tags=["Audit"])
_BYTES = {"schema": {"type": "string", "format": "binary"}}
A_ZIP: dict[str, Any] = {"responses": {200: {"description": "A zip", "content": {"application/zip": _BYTES}}}}
"""What the OpenAPI document says of such an answer."""


def zipped(pieces: Iterator[bytes], name: str) -> StreamingHttpResponse:
    """An answer that leaves while it is made; `name` gets today's date."""
    answer = StreamingHttpResponse(pieces, content_type="application/zip")
    answer["Content-Disposition"] = f'attachment; filename="{name}-{timezone.localdate()}.zip"'
    answer["Cache-Control"] = "no-store"
    # Else nginx would first gather it in a file of its own.
    answer["X-Accel-Buffering"] = "no"
    return answer


@router.get(
    "/{id}/evidence",
    response={ERRORS: Error},
    auth=Bearer(AUDITOR, ADMIN),
    summary="The whole story of a send, as a zip",
    openapi_extra=A_ZIP,
)
def send_evidence(request: HttpRequest, id: str) -> StreamingHttpResponse:
    """Rows, requests, answers, outcomes, and the log over them; it verifies itself. Personal values are masked."""
    send = sends.find(id)
    return zipped(evidence.of_send(send, request.user.get_username()), f"evidence-send-{send.pk}")
