"""`/health`: whether the parts of the portal answer. No token is needed."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router, Status

from offline_portal.api.schemas import HealthOut
from offline_portal.health import health, is_healthy

router = Router(tags=["Health"])


@router.get("", response={200: HealthOut, 503: HealthOut}, auth=None, summary="Whether everything runs")
def show_health(request: HttpRequest) -> Status[dict[str, Any]]:
    """503 when a store, the sweeper, or every worker of a queue is down."""
    facts = health()
    return Status(200 if is_healthy(facts) else 503, facts)
