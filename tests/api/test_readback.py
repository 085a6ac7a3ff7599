"""What a script is told about reading back."""

from __future__ import annotations

from datetime import datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from offline_portal import destinations
from offline_portal.models import Delivery, Readback
from tests.api.conftest import Caller
from tests.conftest import Road
from tests.delivery.looking import settled, verified, visits_end
from tests.delivery.test_kameleoon_road import SITE, visitors, where


def test_a_row_says_where_looking_for_it_stands(road: Road, olivia: Caller) -> None:
    send = road.deliver(road.check(road.upload(visitors(1)), verified(road, readback_after=9)), 1)
    path = f"/deliveries/{Delivery.objects.get().pk}"
    first = olivia.json("GET", path)
    assert (first["status"], first["evidence"], first["attempt_count"]) == ("accepted", "delivered", 1)
    assert first["readback"]["state"] == "looking" and first["readback"]["tries"] == 0
    assert datetime.fromisoformat(first["readback"]["next_at"]) == Readback.objects.get().due_at > timezone.now()
    assert (len(first["attempts"]), first["looks"]) == (1, [])
    assert olivia.json("GET", f"/sends/{send.pk}")["readback"] == {
        "looking": 1, "confirmed": 0, "not_found": 0, "not_available": 0
    }  # fmt: skip

    visits_end(road)
    Readback.objects.update(due_at=timezone.now())
    send = settled(road, send)
    found = olivia.json("GET", path)
    assert (found["status"], found["evidence"], found["attempt_count"]) == ("accepted", "confirmed", 1)
    assert found["readback"] == {"state": "confirmed", "next_at": None, "tries": 1}
    assert len(found["attempts"]) == 1, "a look is no attempt"
    [look] = found["looks"]
    assert (look["request"]["method"], look["response"]["status"]) == ("GET", 200)
    assert f"siteCode={SITE}&visitorCode=v" in look["request"]["url"] and "visitor-0" not in str(found)
    assert "36151" in look["response"]["body"]
    assert "Look 1 at the vendor: found there, so it is confirmed" in [one["what"] for one in found["timeline"]]
    assert "visitor-0" in str(olivia.json("GET", f"{path}?reveal=true")["looks"])
    [listed] = olivia.json("GET", f"/sends/{send.pk}/deliveries")["items"]
    assert listed["readback"] == found["readback"]
    assert olivia.json("GET", f"/sends/{send.pk}")["readback"]["confirmed"] == 1


def test_where_nobody_looks_there_is_nothing_to_say(road: Road, olivia: Caller) -> None:
    road.deliver(road.check(road.upload(visitors(1)), where(road)), 1)
    found = olivia.json("GET", f"/deliveries/{Delivery.objects.get().pk}")
    assert (found["readback"], found["looks"]) == (None, [])


def test_while_the_destination_is_paused_no_look_falls_due(road: Road, olivia: Caller) -> None:
    place = verified(road, readback_after=9)
    road.deliver(road.check(road.upload(visitors(1)), place), 1)
    destinations.change(place, road.people["adam"], paused=True)
    found = olivia.json("GET", f"/deliveries/{Delivery.objects.get().pk}")["readback"]
    assert found == {"state": "looking", "next_at": None, "tries": 0}


def test_rows_looked_for_in_vain_can_be_listed(road: Road, olivia: Caller) -> None:
    road.emulator.set("kameleoon", lose=True)
    send = settled(road, road.deliver(road.check(road.upload(visitors(5)), verified(road, readback_tries=1)), 2))
    path = f"/sends/{send.pk}/deliveries"
    first = olivia.json("GET", f"{path}?readback=not_found&limit=3")
    second = olivia.json("GET", f"{path}?readback=not_found&limit=3&cursor={first['next']}")
    assert [row["line"] for row in first["items"] + second["items"]] == [2, 3, 4, 5, 6]
    assert second["next"] is None
    assert olivia.json("GET", f"{path}?readback=not_available")["items"] == []
    assert olivia.error("GET", f"{path}?readback=confirmed")[0] == 422
    assert olivia.error("GET", f"{path}?readback=not_found&status=accepted")[:2] == (422, "invalid")


@pytest.mark.parametrize("path", ["/sends/{send}/deliveries", "/deliveries", "/deliveries?search=sales.csv"])
def test_a_list_asks_the_database_no_more_often_for_more_rows(road: Road, olivia: Caller, path: str) -> None:
    send = road.deliver(road.check(road.upload(visitors(9)), verified(road, readback_after=9)), 1)
    path = path.format(send=send.pk) + ("&" if "?" in path else "?")

    def queries(limit: int) -> int:
        with CaptureQueriesContext(connection) as asked:
            assert len(olivia.json("GET", f"{path}limit={limit}")["items"]) == limit
        return len(asked)

    queries(1)  # The first call of a token also notes that it was used.
    assert queries(8) == queries(2)
