"""Every call by every role: who may and who may not."""

from __future__ import annotations

import pytest

from offline_portal.api.urls import api
from offline_portal.models import AuditEntry
from tests.api.conftest import Caller, error_of

OPS, ADMIN, ALL = {"olivia"}, {"adam"}, {"olivia", "adam", "audrey"}
DECIDERS = OPS | ADMIN
CALLS = {
    "GET /connectors": ALL,
    "GET /destinations": ALL,
    "POST /destinations": ADMIN,
    "GET /destinations/{id}": ALL,
    "PATCH /destinations/{id}": ADMIN,
    "DELETE /destinations/{id}": ADMIN,
    "POST /destinations/{id}/test": ADMIN,
    "POST /uploads": OPS,
    "GET /uploads": {"olivia", "audrey"},
    "GET /uploads/{id}": {"olivia", "audrey"},
    "GET /uploads/{id}/rows": {"olivia", "audrey"},
    "GET /mappings": ALL,
    "POST /mappings": OPS,
    "POST /sends": OPS,
    "GET /sends": ALL,
    "GET /sends/{id}": ALL,
    "PUT /sends/{id}/mapping": OPS,
    "GET /sends/{id}/rows": ALL,
    "PATCH /sends/{id}/rows/{line}": OPS,
    "POST /sends/{id}/queue": OPS,
    "POST /sends/{id}/approve": DECIDERS,
    "POST /sends/{id}/reject": DECIDERS,
    "POST /sends/{id}/pause": OPS,
    "POST /sends/{id}/resume": OPS,
    "POST /sends/{id}/cancel": OPS,
    "POST /sends/{id}/retry": OPS,
    "GET /sends/{id}/deliveries": ALL,
    "GET /deliveries": ALL,
    "GET /deliveries/{id}": ALL,
    "POST /deliveries/{id}/resolve": OPS,
    "GET /audit": {"adam", "audrey"},
    "GET /audit/export": {"adam", "audrey"},
    "GET /sends/{id}/evidence": {"adam", "audrey"},
}
BODIES = {
    "PUT /sends/{id}/mapping": {"identity": {"column": "Email"}},
    "PATCH /sends/{id}/rows/{line}": {"excluded": True},
    "POST /sends/{id}/retry": {"statuses": ["failed"]},
    "POST /deliveries/{id}/resolve": {"as": "abandoned", "reason": "lost"},
}


def test_the_matrix_knows_every_call() -> None:
    paths = api.get_openapi_schema()["paths"]
    offered = {f"{method.upper()} {path.removeprefix('/api/v1')}" for path, calls in paths.items() for method in calls}
    assert offered == {*CALLS, "GET /health"}


@pytest.mark.django_db
@pytest.mark.parametrize("call", CALLS)
def test_who_may(callers: dict[str, Caller], call: str) -> None:
    method, path = call.split()
    path = path.format(id="999999", line="2")
    for name in ("olivia", "adam", "audrey", "outsider"):
        response = callers[name](method, path, BODIES.get(call, {}) if method != "GET" else None)
        if name in CALLS[call]:
            assert response.status_code in (200, 404, 422), (name, response.content)
        else:
            assert error_of(response)[:2] == (403, "forbidden"), name
    assert callers["stranger"].error(method, path)[:2] == (401, "unauthorized")
    refused = AuditEntry.objects.filter(action="access.refused").values_list("actor", flat=True)
    assert set(refused) == {"olivia", "adam", "audrey", "outsider"} - CALLS[call]


@pytest.mark.django_db
def test_a_role_taken_away_counts_at_the_next_call(callers: dict[str, Caller], people: dict) -> None:
    assert callers["adam"]("GET", "/audit").status_code == 200
    people["adam"].groups.clear()
    assert callers["adam"]("GET", "/audit").status_code == 403


@pytest.mark.django_db
def test_a_disabled_person_is_out_at_once(callers: dict[str, Caller], people: dict) -> None:
    assert callers["olivia"]("GET", "/sends").status_code == 200
    people["olivia"].is_active = False
    people["olivia"].save()
    assert callers["olivia"].error("GET", "/sends")[:2] == (401, "unauthorized")


@pytest.mark.django_db
def test_a_superuser_has_no_role_by_that_alone(people: dict) -> None:
    people["outsider"].is_superuser = True
    people["outsider"].save()
    assert Caller(people["outsider"]).error("GET", "/audit")[0] == 403
