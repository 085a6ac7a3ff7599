"""The main job over the API: a file in, rows at the vendor, every one looked up. Workers are run by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pydantic import BaseModel

from offline_portal import checks, listing
from offline_portal.api import schemas
from offline_portal.delivery import queue
from offline_portal.intake import store
from offline_portal.models import AuditEntry, Delivery, Send
from tests.api.conftest import Caller
from tests.conftest import Road

SALES = (
    "Email,Event,Date,Prop:Plan,Internal note\n"
    "bob@bob.com,Purchased,2026-10-05 09:00:00,Team,call back\n"
    ",Purchased,2026-10-05 09:01:00,Team,\n"
    "eve@example.com,Purchased,2026-10-05 09:02:00,Solo,rang twice\n"
    "bob@bob.com,Purchased,2026-10-05 09:00:00,Team,again\n"
    "ann@example.com,Purchased,2026-10-05 09:03:00,Solo,\n"
)
ORDERS = "Visitor ID,Date,Value,Currency,Transaction ID\n" + "".join(
    f"visitor-{n},2026-10-05 09:00:{n:02},{n}.50,EUR,order-{n}\n" for n in range(5)
)


class Way:
    """What a script does, and the worker's part in between."""

    def __init__(self, road: Road, callers: dict[str, Caller]) -> None:
        self.road, self.callers, self.olivia = road, callers, callers["olivia"]

    def upload(self, text: str) -> dict[str, Any]:
        made = self.olivia.upload(text)
        assert made.status_code == 201, made.content
        store.read(int(made.json()["id"]))
        return self.olivia.json("GET", f"/uploads/{made.json()['id']}")

    def check(self, text: str, connector: str, **more: Any) -> dict[str, Any]:
        destination = str(self.road.destination(connector).pk)
        whole = {"upload": self.upload(text)["id"], "destination": destination, "mapping": "auto"} | more
        made = self.olivia.json("POST", "/sends", whole, 201)
        checks.run(int(made["id"]))
        return self.olivia.json("GET", f"/sends/{made['id']}")

    def deliver(self, text: str, connector: str, shift: bool = True) -> dict[str, Any]:
        send = self.check(text, connector)
        self.olivia.json("POST", f"/sends/{send['id']}/queue", status=202)
        queue.run(int(send["id"]))
        if shift:
            from offline_portal.delivery import shift as shifts

            shifts.run(10)
        return self.olivia.json("GET", f"/sends/{send['id']}")


@pytest.fixture
def way(road: Road, request: pytest.FixtureRequest) -> Way:
    return Way(road, request.getfixturevalue("callers"))


def strictly(schema: type[BaseModel], answer: dict[str, Any]) -> None:
    """The answer has exactly the declared fields."""
    assert set(answer) == set(schema.model_fields), set(answer) ^ set(schema.model_fields)


def adds_up(counts: dict[str, int]) -> bool:
    verdicts = sum(counts[name] for name in ("unchecked", "ready", "problem", "duplicate", "excluded"))
    statuses = ("queued", "sending", "accepted", "rejected", "unknown", "failed", "cancelled")
    return counts["total"] == verdicts and sum(counts[name] for name in statuses) in (0, counts["ready"])


def test_from_the_file_to_the_story_of_a_row(way: Way) -> None:
    send = way.deliver(SALES, "kissmetrics")
    strictly(schemas.SendOut, send)
    assert (send["status"], send["created_by"], send["reason"]) == ("finished", "olivia", None)
    counts = {name: count for name, count in send["counts"].items() if count}
    assert counts == {"total": 5, "ready": 3, "problem": 1, "duplicate": 1, "accepted": 3} and adds_up(send["counts"])
    rows = way.olivia.json("GET", f"/sends/{send['id']}/deliveries?status=accepted")["items"]
    assert [(row["line"], row["evidence"], row["identifier"]) for row in rows] == [
        (2, "delivered", "b••••••••••"), (4, "delivered", "e••••••••••••••"), (6, "delivered", "a••••••••••••••"),
    ]  # fmt: skip
    story = way.callers["audrey"].json("GET", f"/deliveries/{rows[0]['id']}")
    strictly(schemas.DeliveryStory, story)
    [attempt] = story["attempts"]
    strictly(schemas.AttemptOut, attempt)
    assert (attempt["request"]["method"], attempt["response"]["status"], attempt["error"]) == ("GET", 200, None)
    assert "bob" not in json.dumps(story) and "key-0001" not in json.dumps(story)
    assert [moment["who"] for moment in story["timeline"]] == [
        "olivia",
        "portal",
        "olivia",
        "portal",
        "portal",
        "portal",
    ]
    assert story["timeline"][0]["what"] == "Line 2 of “sales.csv” uploaded"
    assert story["timeline"][-1]["what"] == "Request 1 answered with status 200: accepted (delivered)"


def test_rows_say_why_they_cannot_be_sent(way: Way) -> None:
    send = way.check(SALES, "kissmetrics")
    where = f"/sends/{send['id']}/rows"
    rows = way.olivia.json("GET", where)["items"]
    assert [(row["line"], row["verdict"]) for row in rows] == [
        (2, "ready"), (3, "problem"), (4, "ready"), (5, "duplicate"), (6, "ready")
    ]  # fmt: skip
    for row in rows:
        strictly(schemas.RowOut, row)
    assert rows[0]["cells"] == {
        "Email": "bob@bob.com", "Event": "Purchased", "Date": "2026-10-05 09:00:00", "Prop:Plan": "Team",
        "Internal note": "call back",
    }  # fmt: skip
    assert rows[0]["payload"]["identity"] == "bob@bob.com" and rows[1]["payload"] is None
    assert [(one["field"], one["column"]) for one in rows[1]["problems"]] == [("identity", "Email")]
    assert rows[3]["duplicate_of"]["line"] == 2 and rows[3]["duplicate_of"]["filename"] == "sales.csv"
    for verdict, lines in (
        ("ready", [2, 4, 6]),
        ("problem", [3]),
        ("duplicate", [5]),
        ("excluded", []),
        ("unchecked", []),
    ):
        found = way.olivia.json("GET", f"{where}?verdict={verdict}")["items"]
        assert [row["line"] for row in found] == lines
    assert way.olivia.error("GET", f"{where}?verdict=nice")[:2] == (422, "invalid")


def test_pages_follow_each_other_without_gap_or_overlap(way: Way) -> None:
    send = way.check(SALES, "kissmetrics")
    for path, expected in (
        (f"/sends/{send['id']}/rows", [2, 3, 4, 5, 6]),
        (f"/uploads/{send['upload']}/rows", [2, 3, 4, 5, 6]),
    ):
        lines: list[int] = []
        cursor = ""
        while cursor is not None:
            page = way.olivia.json("GET", f"{path}?limit=2{cursor and f'&cursor={cursor}'}")
            lines += [row["line"] for row in page["items"]]
            cursor = page["next"]
        assert lines == expected


def test_auditors_and_admins_see_personal_cells_masked(way: Way) -> None:
    send = way.check(SALES, "kissmetrics")
    for name in ("audrey", "adam"):
        row = way.callers[name].json("GET", f"/sends/{send['id']}/rows?limit=1")["items"][0]
        assert row["cells"] == {
            "Email": "b••••••••••", "Event": "Purchased", "Date": "2026-10-05 09:00:00", "Prop:Plan": "T•••",
            "Internal note": "c••••••••",
        }  # fmt: skip
        assert row["payload"] == {
            "identity": "b••••••••••", "event": "Purchased", "timestamp": "2026-10-05T09:00:00Z",
            "property:Plan": "T•••",
        }  # fmt: skip
    there = way.callers["audrey"].json("GET", f"/uploads/{send['upload']}/rows?limit=1")["items"][0]
    assert there["cells"]["Email"] == "b••••••••••" and there["cells"]["Event"] == "Purchased"
    unmapped = way.upload("Email,Event\nbob@bob.com,Purchased\n")
    there = way.callers["audrey"].json("GET", f"/uploads/{unmapped['id']}/rows")["items"][0]
    assert there["cells"] == {"Email": "b••••••••••", "Event": "P••••••••"}
    plain = way.olivia.json("GET", f"/uploads/{unmapped['id']}/rows")["items"][0]
    assert plain == {"line": 2, "cells": {"Email": "bob@bob.com", "Event": "Purchased"}}


def test_a_row_is_mended_left_out_and_taken_back(way: Way) -> None:
    send = way.check(SALES, "kissmetrics")
    where = f"/sends/{send['id']}/rows"
    row = way.olivia.json("PATCH", f"{where}/3", {"cells": {"Email": "new@example.com"}})
    assert (row["verdict"], row["cells"]["Email"], row["problems"]) == ("ready", "new@example.com", [])
    row = way.olivia.json("PATCH", f"{where}/2", {"excluded": True})
    assert row["verdict"] == "excluded"
    counts = way.olivia.json("GET", f"/sends/{send['id']}")["counts"]
    assert (counts["ready"], counts["excluded"], counts["problem"], counts["duplicate"]) == (4, 1, 0, 0) and adds_up(
        counts
    )
    assert way.olivia.json("PATCH", f"{where}/2", {"excluded": False})["verdict"] == "ready"
    raw = way.olivia.json("GET", f"/uploads/{send['upload']}/rows")["items"]
    assert raw[1]["cells"]["Email"] == ""
    assert way.olivia.error("PATCH", f"{where}/99", {"excluded": True})[:2] == (404, "not_found")
    assert set(way.olivia.error("PATCH", f"{where}/2", {"cells": {"Nope": "1"}})[2]) == {"cells.Nope"}
    for body in ({}, {"cells": {}}, {"cells": {"Email": "a"}, "excluded": True}, {"cells": {"Email": 1}}):
        assert way.olivia.error("PATCH", f"{where}/2", body)[:2] == (422, "invalid")
    way.olivia.json("POST", f"/sends/{send['id']}/queue", status=202)
    assert way.olivia.error("PATCH", f"{where}/2", {"excluded": True})[:2] == (409, "already_queued")


def test_while_checking_rows_are_unchecked_and_cannot_be_edited(way: Way) -> None:
    upload = way.upload(SALES)
    destination = str(way.road.destination("kissmetrics").pk)
    made = way.olivia.json(
        "POST", "/sends", {"upload": upload["id"], "destination": destination, "mapping": "auto"}, 201
    )
    assert (made["status"], made["counts"]["unchecked"], made["counts"]["total"]) == ("checking", 5, 5)
    where = f"/sends/{made['id']}/rows"
    assert [row["verdict"] for row in way.olivia.json("GET", where)["items"]] == ["unchecked"] * 5
    assert [row["line"] for row in way.olivia.json("GET", f"{where}?verdict=unchecked")["items"]] == [2, 3, 4, 5, 6]
    assert way.olivia.error("PATCH", f"{where}/2", {"excluded": True})[:2] == (409, "still_checking")
    assert way.olivia.error("POST", f"/sends/{made['id']}/queue")[:2] == (409, "still_checking")


def test_while_the_file_is_still_read_no_row_can_be_edited_yet(way: Way) -> None:
    upload = way.olivia.upload(SALES).json()["id"]
    destination = str(way.road.destination("kissmetrics").pk)
    whole = {"upload": upload, "destination": destination, "mapping": "auto"}
    made = way.olivia.json("POST", "/sends", whole, 201)
    where = f"/sends/{made['id']}/rows/2"
    for body in ({"excluded": True}, {"cells": {"Email": "a@example.com"}}):
        assert way.olivia.error("PATCH", where, body)[:2] == (409, "still_checking")


def test_an_edited_cell_has_the_limit_of_a_cell_in_a_file(way: Way, settings: LazySettings) -> None:
    settings.PORTAL_MAX_CELL_KB = 1
    where = f"/sends/{way.check(SALES, 'kissmetrics')['id']}/rows/2"
    assert way.olivia.json("PATCH", where, {"cells": {"Internal note": "é" * 512}})["cells"]["Internal note"]
    status, code, fields = way.olivia.error("PATCH", where, {"cells": {"Internal note": "é" * 513}})
    assert (status, code, set(fields)) == (422, "invalid", {"cells.Internal note"})


def test_a_mapping_that_is_none_is_told_in_one_sentence(way: Way) -> None:
    whole = {"upload": way.upload(SALES)["id"], "destination": str(way.road.destination("kissmetrics").pk)}
    for mapping in (5, None, [], True):
        status, code, fields = way.olivia.error("POST", "/sends", whole | {"mapping": mapping})
        assert (status, code) == (422, "invalid")
        assert fields == {"mapping": "Give auto, the name of a saved mapping, or a mapping."}


def test_reveal_shows_one_row_and_is_logged(way: Way) -> None:
    send = way.deliver(ORDERS, "qubit")
    assert send["counts"]["accepted"] == 5
    where = f"/sends/{send['id']}/deliveries"
    first = way.callers["audrey"].json("GET", f"{where}?limit=1")["items"][0]
    assert (first["identifier"], first["key"], first["evidence"]) == ("order-0", "order-0", "row") and first["receipt"]
    veiled = json.dumps(way.callers["audrey"].json("GET", f"/deliveries/{first['id']}"), ensure_ascii=False)
    assert "visitor-" not in veiled and "v••••••••" in veiled
    assert not AuditEntry.objects.filter(action="delivery.revealed").exists()
    told = json.dumps(way.callers["audrey"].json("GET", f"/deliveries/{first['id']}?reveal=true"))
    assert "visitor-0" in told and "visitor-1" not in told
    entry = AuditEntry.objects.get(action="delivery.revealed")
    assert (entry.actor, entry.object) == ("audrey", f"delivery:{first['id']}")
    way.callers["audrey"].json("GET", f"{where}?reveal=true")
    assert AuditEntry.objects.filter(action="delivery.revealed").count() == 2


def test_search_finds_by_exact_identifier(way: Way) -> None:
    way.deliver(ORDERS, "qubit")
    found = way.callers["audrey"].json("GET", "/deliveries?search=order-3")
    assert [row["key"] for row in found["items"]] == ["order-3"] and found["next"] is None
    strictly(schemas.DeliveryOut, found["items"][0])
    assert way.callers["audrey"].json("GET", "/deliveries?search=VISITOR-2")["items"][0]["line"] == 4
    assert way.callers["audrey"].json("GET", "/deliveries?search=order-")["items"] == []
    everything = way.callers["audrey"].json("GET", "/deliveries")["items"]
    assert [row["line"] for row in everything] == [6, 5, 4, 3, 2]


def test_a_mapping_that_does_not_do_says_which_fields(way: Way) -> None:
    upload = way.upload("Mail,When\nbob@bob.com,03.04.2026\n")
    body = {"upload": upload["id"], "destination": str(way.road.destination("kissmetrics").pk)}

    def refused(mapping: Any) -> tuple[int, str, set[str]]:
        status, code, fields = way.olivia.error("POST", "/sends", body | {"mapping": mapping})
        return status, code, set(fields)

    assert refused({"identity": {"column": "Mail"}}) == (422, "mapping_incomplete", {"event"})
    event = {"event": {"value": "Purchased"}}
    assert refused({"identity": {"column": "Male"}} | event) == (422, "mapping_invalid", {"identity"})
    assert refused({"colour": {"column": "Mail"}} | event) == (422, "mapping_invalid", {"colour"})
    assert refused({"identity": "Mail"} | event) == (422, "mapping_invalid", {"identity"})
    assert refused("Last year's") == (422, "mapping_unknown", set())
    ambiguous = way.upload("Email,Event,Date\nbob@bob.com,Purchased,03.04.2026\n")
    status, code, fields = way.olivia.error("POST", "/sends", body | {"mapping": "auto", "upload": ambiguous["id"]})
    assert (status, code, set(fields)) == (422, "format_needed", {"timestamp"})
    for wrong in ({"upload": "0"}, {"upload": "abc"}, {"destination": "77"}, {"duplicates": "drop"}, {"mapping": 5}):
        status, code, fields = way.olivia.error("POST", "/sends", body | {"mapping": "auto"} | wrong)
        assert (status, code) == (422, "invalid") and any(next(iter(wrong)) in name for name in fields)
    empty = way.upload("Email,Event,Date\n")
    assert way.olivia.error("POST", "/sends", body | {"mapping": "auto", "upload": empty["id"]})[:2] == (422, "no_rows")


def test_a_mapping_is_saved_named_and_changed(way: Way) -> None:
    fields = {"identity": {"column": "Email"}, "event": {"value": "Purchased"}}
    saved = way.olivia.json("POST", "/mappings", {"name": "Shop", "connector": "kissmetrics", "fields": fields}, 201)
    strictly(schemas.MappingOut, saved)
    again = way.olivia.json("POST", "/mappings", {"name": "Shop", "connector": "kissmetrics", "fields": fields}, 201)
    assert (saved["version"], again["version"]) == (1, 2)
    assert way.callers["audrey"].json("GET", "/mappings?connector=kissmetrics") == {"items": [again], "next": None}
    assert way.olivia.json("GET", "/mappings?connector=qubit")["items"] == []
    send = way.check(SALES, "kissmetrics", mapping="Shop")
    assert send["mapping"] == fields
    changed = way.olivia.json("PUT", f"/sends/{send['id']}/mapping", fields | {"event": {"column": "Event"}})
    assert (changed["status"], changed["mapping"]["event"]) == ("checking", {"column": "Event"})
    assert way.olivia.error("PUT", f"/sends/{send['id']}/mapping", {})[:2] == (422, "mapping_incomplete")
    for wrong in ({"name": "auto"}, {"name": " "}, {"connector": "nobody"}, {"fields": {"identity": 5}}):
        body = {"name": "New", "connector": "kissmetrics", "fields": fields} | wrong
        assert way.olivia.error("POST", "/mappings", body)[0] == 422


def test_pause_resume_cancel_retry_answer_202_or_say_why_not(way: Way) -> None:
    send = way.deliver(SALES, "kissmetrics", shift=False)
    where = f"/sends/{send['id']}"
    assert send["status"] == "queued" and send["counts"]["queued"] == 3
    assert way.olivia.json("POST", f"{where}/pause", status=202)["status"] == "paused"
    destination = f"/destinations/{send['destination']}"
    way.callers["adam"].json("PATCH", destination, {"paused": True, "reason": "Key runs out"})
    assert way.olivia.error("POST", f"{where}/resume")[:2] == (409, "destination_paused")
    way.callers["adam"].json("PATCH", destination, {"paused": False})
    assert way.olivia.json("POST", f"{where}/resume", status=202)["status"] == "queued"
    assert way.olivia.error("POST", f"{where}/retry", {"statuses": ["failed"]})[0] == 409
    assert way.olivia.error("POST", f"{where}/retry", {"statuses": ["accepted"]})[0] == 422
    assert way.olivia.error("POST", f"{where}/retry", {"statuses": []})[0] == 422
    cancelled = way.olivia.json("POST", f"{where}/cancel", status=202)
    assert cancelled["status"] == "cancelled" and adds_up(cancelled["counts"])
    assert way.olivia.error("POST", f"{where}/pause")[:2] == (409, "not_running")


def test_an_unknown_row_is_settled_with_a_reason(way: Way) -> None:
    way.road.emulator.set("qubit", cut="after_storing")
    send = way.deliver(ORDERS, "qubit")
    assert send["counts"]["unknown"] == 5
    rows = way.olivia.json("GET", f"/sends/{send['id']}/deliveries?status=unknown")["items"]
    where = f"/deliveries/{rows[0]['id']}/resolve"
    assert set(way.olivia.error("POST", where, {"as": "accepted"})[2]) == {"reason"}
    assert set(way.olivia.error("POST", where, {"as": "accepted", "reason": "  "})[2]) == {"reason"}
    assert set(way.olivia.error("POST", where, {"as": "lost", "reason": "x"})[2]) == {"as"}
    row = way.olivia.json("POST", where, {"as": "accepted", "reason": "Seen in their report"}, 202)
    assert (row["status"], row["evidence"]) == ("accepted", "stated")
    assert way.olivia.error("POST", where, {"as": "accepted", "reason": "again"})[:2] == (409, "not_unknown")
    row = way.olivia.json("POST", f"/deliveries/{rows[1]['id']}/resolve", {"as": "abandoned", "reason": "?"}, 202)
    assert (row["status"], row["resolved"]) == ("unknown", "abandoned")
    story = way.olivia.json("GET", f"/deliveries/{rows[0]['id']}")
    assert story["timeline"][-1]["what"] == "Resolved as accepted: Seen in their report"
    assert story["attempts"][0]["response"] is None and story["attempts"][0]["error"]


def test_a_row_sent_again_that_is_unknown_again_can_be_decided_again(way: Way) -> None:
    from offline_portal.delivery import shift

    way.road.emulator.set("qubit", cut="after_storing")
    send = way.deliver(ORDERS, "qubit")
    row = way.olivia.json("GET", f"/sends/{send['id']}/deliveries?status=unknown")["items"][0]
    where = f"/deliveries/{row['id']}/resolve"
    assert way.olivia.json("POST", where, {"as": "resend", "reason": "Not seen there"}, 202)["status"] == "queued"
    shift.run(10)
    again = way.olivia.json("GET", f"/deliveries/{row['id']}")
    assert (again["status"], again["attempt_count"], again["key"]) == ("unknown", 2, row["key"])
    settled = way.olivia.json("POST", where, {"as": "abandoned", "reason": "Not worth it"}, 202)
    assert (settled["status"], settled["resolved"]) == ("unknown", "abandoned")
    assert way.olivia.error("POST", where, {"as": "resend", "reason": "After all"})[:2] == (409, "not_unknown")


def test_lists_of_sends_are_filtered(way: Way) -> None:
    first, second = way.check(SALES, "kissmetrics"), way.check(ORDERS, "qubit")
    assert [one["id"] for one in way.olivia.json("GET", "/sends")["items"]] == [second["id"], first["id"]]
    by_upload = way.olivia.json("GET", f"/sends?upload={first['upload']}&status=checked")["items"]
    assert by_upload == [first]
    assert way.olivia.json("GET", f"/sends?destination={first['destination']}&status=finished")["items"] == []
    assert Delivery.objects.filter(send=int(first["id"])).count() == 5


def test_rare_rows_of_a_long_file_are_found_by_index(way: Way) -> None:
    send = Send.objects.get(pk=int(way.check(SALES, "kissmetrics")["id"]))
    with CaptureQueriesContext(connection) as seen:
        listing.send_rows(send, "problem", after=None, limit=10)
        listing.send_deliveries(send, "rejected", after=None, limit=10)
    if connection.vendor == "sqlite":
        asked = [query["sql"] for query in seen if "portal_delivery" in query["sql"] and "ORDER BY" in query["sql"]]
        with connection.cursor() as cursor:
            plans = [str(cursor.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()) for sql in asked]
        assert "delivery_not_ready" in plans[0] and "delivery_not_accepted" in plans[1]
