"""Approvals and schedules over the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from offline_portal import checks
from offline_portal.models import Approval, AuditEntry
from tests.api.conftest import Caller
from tests.conftest import Road

SALES = "Email,Event,Date\nana@example.com,Purchased,2026-10-05\nbob@example.com,Purchased,2026-10-06\n"


class Desk:
    """olivia's sends to a destination that demands an approval."""

    def __init__(self, road: Road, callers: dict[str, Caller]) -> None:
        self.road, self.callers = road, callers
        self.place = road.destination("kissmetrics")
        callers["adam"].json("PATCH", f"/destinations/{self.place.pk}", {"require_approval": True})

    def queued(self, **more: Any) -> str:
        """The id of a send that olivia has queued."""
        upload = str(self.road.upload(SALES).pk)
        whole = {"upload": upload, "destination": str(self.place.pk), "mapping": "auto"} | more
        made = self.callers["olivia"].json("POST", "/sends", whole, 201)
        checks.run(int(made["id"]))
        self.callers["olivia"].json("POST", f"/sends/{made['id']}/queue", status=202)
        return made["id"]


@pytest.fixture
def desk(road: Road, callers: dict[str, Caller]) -> Desk:
    return Desk(road, callers)


@pytest.mark.parametrize("name", ["oscar", "adam"])
@pytest.mark.parametrize("body", [None, {}, {"reason": "As agreed."}])
def test_somebody_else_approves_with_or_without_a_reason(desk: Desk, name: str, body: dict | None) -> None:
    send = desk.queued()
    assert desk.callers[name].json("GET", f"/sends/{send}")["status"] == "awaiting_approval"
    assert desk.callers[name].json("POST", f"/sends/{send}/approve", body, 202)["status"] == "queueing"
    assert Approval.objects.get().reason == (body or {}).get("reason", "")


def test_ones_own_send_is_somebody_elses_to_decide(desk: Desk, people: dict) -> None:
    send = desk.queued()
    people["olivia"].groups.add(people["adam"].groups.get())
    for act in ("approve", "reject"):
        assert desk.callers["olivia"].error("POST", f"/sends/{send}/{act}")[:2] == (403, "own_send")
        assert desk.callers["audrey"].error("POST", f"/sends/{send}/{act}")[:2] == (403, "forbidden")
    assert desk.callers["oscar"].json("GET", f"/sends/{send}")["status"] == "awaiting_approval"


def test_a_no_gives_its_reason_and_it_can_be_asked_again(desk: Desk) -> None:
    send = desk.queued()
    answer = desk.callers["oscar"].json("POST", f"/sends/{send}/reject", {"reason": "Wrong month."}, 202)
    assert (answer["status"], answer["reason"]) == ("checked", "Not approved by oscar. Wrong month.")
    assert desk.callers["oscar"].error("POST", f"/sends/{send}/approve")[:2] == (409, "not_awaiting")
    again = desk.callers["olivia"].json("POST", f"/sends/{send}/queue", status=202)
    assert (again["status"], again["reason"]) == ("awaiting_approval", None)


def test_a_change_of_a_key_voids_it(desk: Desk) -> None:
    send = desk.queued()
    desk.callers["adam"].json("PATCH", f"/destinations/{desk.place.pk}", {"secrets": {"api_key": "another-key"}})
    assert desk.callers["oscar"].error("POST", f"/sends/{send}/approve")[:2] == (409, "approval_void")
    assert desk.callers["oscar"].json("GET", f"/sends/{send}")["status"] == "checked"


@pytest.mark.parametrize("body", [{"reason": "x" * 501}, {"reason": 7}, {"why": "x"}, []])
def test_a_body_that_does_not_do_decides_nothing(desk: Desk, body: object) -> None:
    send = desk.queued()
    assert desk.callers["oscar"].error("POST", f"/sends/{send}/approve", body)[0] in (400, 422)
    assert desk.callers["oscar"].json("GET", f"/sends/{send}")["status"] == "awaiting_approval"


def test_approved_it_waits_for_its_time(desk: Desk) -> None:
    later = timezone.now() + timedelta(days=1)
    send = desk.queued(scheduled_at=later.isoformat())
    answer = desk.callers["adam"].json("POST", f"/sends/{send}/approve", status=202)
    assert answer["status"] == "scheduled"
    assert answer["scheduled_at"][:16] == later.isoformat()[:16]
    assert desk.callers["olivia"].json("POST", f"/sends/{send}/cancel", status=202)["status"] == "cancelled"
    actions = AuditEntry.objects.filter(object=f"send:{send}").order_by("seq").values_list("action", flat=True)
    assert list(actions)[-4:] == ["approval.asked", "approval.approved", "send.scheduled", "send.cancelled"]


@pytest.mark.parametrize("text", ["2026-11-01T09:00:00", "tomorrow", "2026-13-01T09:00:00Z", 7, "1795000000"])
def test_a_time_without_its_zone_is_not_taken(road: Road, olivia: Caller, text: object) -> None:
    place = road.destination("kissmetrics")
    body = {"upload": str(road.upload(SALES).pk), "destination": str(place.pk), "mapping": "auto", "scheduled_at": text}
    status, code, fields = olivia.error("POST", "/sends", body)
    assert (status, code) == (422, "invalid")
    assert "scheduled_at" in fields
