"""Tracify on real parts: its sample, a refused row, a lost answer, and no person in clear behind the checking."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from hypothesis import event, given
from hypothesis import strategies as st

from connectors import get
from connectors.base import Payload
from connectors.emulator.vendor import Call
from connectors.emulator.vendors.tracify import Tracify
from connectors.tracify import identity_hash
from offline_portal import checks
from offline_portal.audit import chain
from offline_portal.audit.search import find
from offline_portal.checking import compile_plan
from offline_portal.delivery import control
from offline_portal.models import Attempt, Delivery, Destination, RequestCopy, Send, Upload
from offline_portal.sheets import sample_csv
from tests.conftest import Road
from tests.delivery.test_road import counts

SETTINGS = {
    "customer_site_id": "00000000-0000-0000-0000-000000000000",
    "origin": "https://www.yourwebsite.com",
    "url": "https://www.yourwebsite.com/offline",
}
HEADER = "Type,Date,Email,IP,User agent,Order ID,Amount,Currency"
AGENT = "Mozilla/5.0 (X11; Linux) Very/7.7"
PERSON = "Somebody.Unmistakable+x@Example-Person.com"
ADDRESS = "203.0.113.77"
CELLS = ("portal_row", "portal_edit")


def where(road: Road, **values: Any) -> Destination:
    return road.destination("tracify", values=SETTINGS | values, token="tracify-token-0001")


def orders(*numbers: int) -> str:
    rows = [
        f"purchase,2026-10-05 09:{n // 60:02}:{n % 60:02},person{n}@example.com,198.51.100.{n},{AGENT},T-{n},{n}.5,EUR"
        for n in numbers
    ]
    return "\n".join([HEADER, *rows]) + "\n"


def pages(number: int) -> str:
    return f"{HEADER}\n" + f"pageview,2026-10-05 09:00:00,,198.51.100.1,{AGENT},,,\n" * number


def requests_of(send: Send) -> list[int]:
    """How many rows each request carried, in order of the requests."""
    texts = Attempt.objects.filter(batch__send=send).order_by("pk").values_list("deliveries", flat=True)
    return [len(json.loads(text)) for text in texts]


def test_the_sample_reaches_the_ledger(road: Road) -> None:
    send = road.deliver(road.check(road.upload(sample_csv(get("tracify"))), where(road, url="")))
    assert (send.status, send.total, send.problem, counts(send)) == ("finished", 25, 6, {"accepted": 19})
    assert set(Delivery.objects.filter(status="accepted").values_list("evidence", flat=True)) == {"batch"}
    entries = road.emulator.effective("tracify", "tracify-token-0001")
    assert len(entries) == road.emulator.counts("tracify")["received"] == 19
    keys = set(Delivery.objects.filter(status="accepted").values_list("wire_key", flat=True)) - {None}
    assert {entry["key"]["id"] for entry in entries} - {None} == keys and len(keys) == 14
    [first] = [entry["content"]["event"] for entry in entries if entry["key"]["id"] == "T-7001"]
    assert first["data"]["ITEM2"] == "Desk" and first["datetime"] == "2026-11-02 09:12:45"
    assert chain.verify().ok


def test_page_events_go_one_a_request_even_if_they_are_the_same(road: Road) -> None:
    text = orders(*range(1, 151)) + pages(3).partition("\n")[2]
    send = road.deliver(road.check(road.upload(text), where(road), duplicates="send"))
    assert counts(send) == {"accepted": 153}
    assert sorted(requests_of(send)) == [1, 1, 1, 50, 100]
    assert road.emulator.counts("tracify")["effective"] == 153


def test_a_refused_batch_is_split_until_the_bad_row_stands_alone(road: Road) -> None:
    road.emulator.set("tracify", refuse_ids="T-37")
    send = road.deliver(road.check(road.upload(orders(*range(1, 101))), where(road)))
    assert counts(send) == {"accepted": 99, "rejected": 1}
    refused = Delivery.objects.get(send=send, status="rejected")
    assert (refused.line, refused.wire_key, refused.message) == (38, "T-37", "events[0]: data.order_id is not accepted")
    assert {entry["key"]["id"] for entry in road.emulator.effective("tracify")} == {
        f"T-{n}" for n in range(1, 101) if n != 37
    }
    assert road.emulator.counts("tracify")["repeated"] == 0
    assert len(requests_of(send)) <= 15


def test_good_rows_that_a_refusing_vendor_kept_count_once(road: Road) -> None:
    road.emulator.set("tracify", refuse_ids="T-3", keep_good=True)
    send = road.deliver(road.check(road.upload(orders(*range(1, 9))), where(road)))
    assert counts(send) == {"accepted": 7, "rejected": 1}
    assert road.emulator.counts("tracify")["effective"] == 7


def test_the_same_refusal_for_every_row_pauses_the_destination(road: Road) -> None:
    road.emulator.set("tracify", refusal_in_200="invalid token")
    send = road.deliver(road.check(road.upload(orders(*range(1, 101))), where(road, rate=20)))
    assert send.status == "paused" and "invalid token" in send.reason
    # Halves until single rows stood alone; those on the wire beside the first five are settled too.
    assert send.rejected >= 5 and send.queued + send.rejected == 100 and send.queued > 0


@pytest.mark.parametrize("fault", [{"cut": "after_storing"}, {"garbage": "html"}, {"status": 500, "store": True}])
def test_a_lost_answer_is_repeated_only_with_an_id(road: Road, settings: LazySettings, fault: dict[str, Any]) -> None:
    settings.PORTAL_RETRY_BASE = 0.05
    road.emulator.set("tracify", **fault, times=1)
    send = road.deliver(road.check(road.upload(orders(1, 2, 3)), where(road)))
    assert counts(send) == {"accepted": 3}
    # After the lost answer one row goes ahead, then the other two.
    assert road.emulator.counts("tracify").items() >= {"requests": 3, "effective": 3}.items()
    road.emulator.set("tracify", **fault, times=1)
    send = road.deliver(road.check(road.upload(pages(1), "pages.csv"), send.destination))  # type: ignore[arg-type]
    assert counts(send) == {"unknown": 1}
    assert road.emulator.counts("tracify").items() >= {"requests": 4, "effective": 4}.items()


def test_a_mended_amount_under_the_same_id_is_a_duplicate(road: Road) -> None:
    there = where(road)
    road.deliver(road.check(road.upload(orders(1, 2)), there))
    again = road.check(road.upload(orders(1, 3).replace(",1.5,", ",9.5,"), "mended.csv"), there)
    assert (again.ready, again.duplicate) == (1, 1)


def test_nobody_stands_in_clear_behind_the_checking(road: Road, caplog: pytest.LogCaptureFixture) -> None:
    """Not in a payload, a request, an answer, the log or the index: in the file's rows and edits only."""
    caplog.set_level(logging.DEBUG)
    person = f"{PERSON},{ADDRESS},{AGENT}"
    text = (
        f"{HEADER}\n"
        f"purchase,2026-10-05 09:00:00,{person},T-1,10,EUR\n"
        f"purchase,2026-10-05 09:00:00,{person},T-1,10,EUR\n"
        f"pageview,2026-10-05 09:00:00,{person},,,\n"
        f"purchase,yesterday,{person},{PERSON},1.00599,EUR\n"
        f"purchase,2026-10-05 09:00:00,{PERSON} ,{ADDRESS}:80,{AGENT},T-2,10,EUR\n"
    )
    send = road.check(road.upload(text), where(road))
    assert (send.ready, send.problem, send.duplicate) == (2, 2, 1)
    checks.edit_cells(send, 6, {"IP": ADDRESS}, road.olivia)
    Upload.objects.update(sample=[])  # the file's first cells once more, kept for the screen of columns
    road.emulator.set("tracify", refuse_ids="T-2")
    send = road.queue(send)
    assert told_in_clear(caplog) == set()
    send = road.shift(send)
    assert counts(send) == {"accepted": 2, "rejected": 1}
    control.retry(send, ["rejected"], "once more", road.olivia)
    road.shift(send)
    assert told_in_clear(caplog) == set()
    assert RequestCopy.objects.filter(body__contains=identity_hash(PERSON)).exists()
    assert {entry["verdict"] for entry in road.emulator.ledger("tracify")} == {"effective", "rejected"}


def told_in_clear(caplog: pytest.LogCaptureFixture) -> set[str]:
    """The tables (and the log) in which one of the person's values stands, but for those that hold cells."""
    found = set()
    with connection.cursor() as cursor:
        for table in set(connection.introspection.table_names(cursor)) - set(CELLS):
            cursor.execute(f'SELECT * FROM "{table}"')
            if speaks(repr(cursor.fetchall())):
                found.add(table)
    return found | ({"log"} if speaks(caplog.text) else set())


def speaks(text: str) -> bool:
    return any(value.casefold() in text.casefold() for value in (PERSON, ADDRESS, AGENT, AGENT.partition(" ")[2]))


@pytest.mark.parametrize(
    "text", [PERSON, PERSON.lower(), f" {PERSON.upper()} ", ADDRESS, f"{ADDRESS}|{AGENT}", identity_hash(PERSON), "t-1"]
)
def test_an_auditor_finds_a_row_by_what_was_hashed(road: Road, text: str) -> None:
    row = f"purchase,2026-10-05 09:00:00,{PERSON},{ADDRESS},{AGENT},T-1,10,EUR\n"
    road.queue(road.check(road.upload(orders(8, 9) + row), where(road)))
    assert [delivery.line for delivery in find(text).deliveries] == [4]
    assert find(AGENT).deliveries == []


def test_the_key_is_kept_nowhere(road: Road) -> None:
    road.emulator.set("tracify", refusal_in_200="bad key tracify-token-0001")
    send = road.deliver(road.check(road.upload(orders(1)), where(road)))
    assert counts(send) == {"rejected": 1}
    assert "••••••" in Delivery.objects.get(send=send).message
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            assert "tracify-token-0001" not in repr(cursor.fetchall()), table


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
who = st.sampled_from(["", "", PERSON, "a@b", identity_hash(PERSON)]) | texts
hashes = st.sampled_from(["", "", identity_hash("x").upper(), "0" * 63])
ids = st.integers(1, 99).map(str) | texts
rows = st.fixed_dictionaries({
    "type": st.sampled_from(["pageview", "Add to cart", "purchase", "conversion", "refund"]),
    "timestamp": st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(str),
    "email": st.sampled_from(["", PERSON, "a@b"]) | who, "ip": st.ip_addresses().map(str) | st.just(ADDRESS) | who,
    "user_agent": st.just(AGENT) | texts, "session": st.sampled_from(["", "s-1"]) | who,
    "email_hash": hashes, "ip_hash": hashes,
    "order_id": ids, "conversion_id": ids, "currency": st.sampled_from(["", "EUR", "usd"]),
    "amount": st.decimals(-100_000, 100_000, places=2).map(str) | st.sampled_from(["7", "", "0.5", "1e5"]),
    "url_parameter:utm_source": texts, "item:1": texts, "item:3": texts, "item_amount:3": st.sampled_from(["", "25"]),
    "item_quantity:1": st.sampled_from(["", "2", "1.5"]),
})  # fmt: skip


@given(row=rows, lenient=st.booleans(), lowercase=st.booleans(), comma=st.booleans())
def test_what_is_ready_is_taken_and_tells_nobody(
    row: dict[str, str], lenient: bool, lowercase: bool, comma: bool
) -> None:
    values = SETTINGS | {
        "allow_missing_identity": lenient, "lowercase_email": lowercase, "decimal": "," if comma else ".",
    }  # fmt: skip
    connector = get("tracify")
    mapping = {key: {"column": key} for key in row}
    checked = compile_plan(connector, mapping, list(row), values, "Europe/Berlin").check(list(row.values())).values
    event("ready" if checked else "problem")
    if checked is None:
        return
    assert not {"email", "ip", "user_agent", "session"} & set(checked)
    request = connector.build([Payload(checked, connector.wire_key(checked, str))], values, {"token": "key"})
    sent = Call("POST", "/api/v1/events", "", request.headers, request.body, 0)
    judged = Tracify().judge(sent, "key", {"missing_identity": lenient})
    assert json.loads(judged.answer.body) == {"status": True}, judged.answer.body
    assert not speaks(request.body.decode())
    assert PERSON not in json.dumps(checked)
