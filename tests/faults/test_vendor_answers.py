"""V10 to V14, V17, V18 and V20: answers of every kind, end to end; what is stored of them, and how it is shown."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test import Client

from connectors.http import BODY_LIMIT
from offline_portal import destinations
from offline_portal.access import tokens
from offline_portal.models import AnswerCopy, Attempt, Delivery, Destination, Send
from offline_portal.redaction import BODY_KEPT
from tests.conftest import Road
from tests.delivery.test_road import counts
from tests.faults.vendors import (
    KAMELEOON,
    KISSMETRICS,
    QUBIT,
    ROWS,
    TRACIFY,
    VENDORS,
    Vendor,
    audit,
    errors,
    name,
    once_at_the_vendor,
    statuses,
    sums_hold,
)
from tests.wire.server import Answer, answer_bytes, http_answer, wire_server

each = pytest.mark.parametrize("vendor", VENDORS, ids=name)


@pytest.fixture(autouse=True)
def soon(settings: LazySettings) -> None:
    """Pauses as short as a test wants them."""
    settings.PORTAL_RETRY_BASE, settings.PORTAL_RETRY_CEILING = 0.05, 0.2


def deliver(road: Road, vendor: Vendor, where: Destination, rows: int = ROWS, seconds: float = 20) -> Send:
    return sums_hold(road.deliver(road.check(road.upload(vendor.sheet(rows)), where), seconds))


# V10


def test_some_rows_of_a_request_are_refused(road: Road) -> None:
    road.emulator.set("qubit", fail_every=3)
    send = deliver(road, QUBIT, QUBIT.where(road))
    assert (send.status, counts(send)) == ("finished", {"accepted": 4, "rejected": 2})
    assert set(Delivery.objects.filter(status="rejected").values_list("line", flat=True)) == {4, 7}
    assert all(Delivery.objects.filter(status="rejected").values_list("message", flat=True))
    told = {entry["receipt"] for entry in road.emulator.effective("qubit")}
    assert told == set(Delivery.objects.filter(status="accepted").values_list("receipt", flat=True))


# V11

NOT_UNDERSTOOD = [
    *((vendor, {"garbage": kind}) for vendor in (TRACIFY, QUBIT)
      for kind in ("html", "empty", "text", "wrong_json", "truncated_json")),
    *((QUBIT, {"results": kind}) for kind in ("short", "long", "empty")),
    *((vendor, {"garbage": "endless_headers"}) for vendor in VENDORS),
]  # fmt: skip


@pytest.mark.parametrize(
    ("vendor", "answer"), NOT_UNDERSTOOD, ids=[f"{one.slug} {next(iter(how.values()))}" for one, how in NOT_UNDERSTOOD]
)
def test_what_cannot_be_understood_accepts_nobody(road: Road, vendor: Vendor, answer: dict[str, str]) -> None:
    road.emulator.set(vendor.slug, **answer, times=1)
    send = deliver(road, vendor, vendor.where(road, rate=50))
    if vendor.key:
        assert counts(send) == {"accepted": ROWS}
        # A lost answer is followed by a probe of one row.
        assert road.emulator.counts(vendor.slug)["requests"] == Attempt.objects.count() <= vendor.requests() + 2
        once_at_the_vendor(road, vendor)
    else:
        assert counts(send) == {"unknown": ROWS}
        assert road.emulator.counts("qubit")["requests"] == 1 == Attempt.objects.count()
        assert not Delivery.objects.exclude(receipt=None).exists()


@pytest.mark.parametrize("vendor", [KISSMETRICS, KAMELEOON], ids=name)
@pytest.mark.parametrize("kind", ["html", "empty", "text", "wrong_json"])
def test_where_no_body_is_documented_none_is_asked_for(road: Road, vendor: Vendor, kind: str) -> None:
    road.emulator.set(vendor.slug, garbage=kind)
    send = deliver(road, vendor, vendor.where(road))
    assert counts(send) == {"accepted": ROWS}
    assert set(Delivery.objects.values_list("evidence", flat=True)) == {"delivered"}, "no more is known"


def test_results_in_another_order_are_taken_as_they_stand(road: Road) -> None:
    """The vendor links results to events by position alone; each row keeps a receipt that the vendor gave."""
    road.emulator.set("qubit", results="shuffled")
    send = deliver(road, QUBIT, QUBIT.where(road))
    assert counts(send) == {"accepted": ROWS}
    told = {entry["receipt"] for entry in road.emulator.effective("qubit")}
    assert told == set(Delivery.objects.values_list("receipt", flat=True))


# V12


@pytest.mark.parametrize("status", [201, 202, 204, 207, 226])
@each
def test_any_2xx_counts_as_what_its_body_says(road: Road, vendor: Vendor, status: int) -> None:
    """A 204 has no body: only where the vendor documents none anyway does it accept anybody."""
    road.emulator.set(vendor.slug, status=status, times=vendor.requests())
    send = deliver(road, vendor, vendor.where(road, rate=50))
    first = Attempt.objects.earliest("pk").answer
    assert first.status == status
    if vendor is QUBIT and status == 204:
        assert counts(send) == {"unknown": ROWS}
    else:
        assert counts(send) == {"accepted": ROWS}
        once_at_the_vendor(road, vendor)
    if vendor is TRACIFY:
        assert Attempt.objects.count() == (3 if status == 204 else 1)


# V13


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@each
def test_a_redirect_is_not_followed_and_pauses_the_destination(road: Road, vendor: Vendor, status: int) -> None:
    with wire_server(answer_bytes(http_answer())) as elsewhere:
        road.emulator.set(vendor.slug, status=status, redirect=f"{elsewhere.url}/latest/meta-data/")
        where = vendor.where(road)
        send = deliver(road, vendor, where)
        assert elsewhere.connections == 0
    where.refresh_from_db()
    assert (send.status, counts(send)) == ("paused", {"queued": ROWS})
    assert where.paused and str(status) in where.reason and len(audit("destination.paused")) == 1
    assert road.emulator.counts(vendor.slug)["received"] == 0


def test_a_redirect_to_a_metadata_address_is_not_followed(road: Road) -> None:
    road.emulator.set("qubit", redirect="http://169.254.169.254/latest/meta-data/")
    send = deliver(road, QUBIT, QUBIT.where(road))
    assert (send.status, counts(send)) == ("paused", {"queued": ROWS})
    assert statuses(send) == [302] and errors(send) == [""]


# V14


@pytest.mark.parametrize("kind", ["huge", "gzip_bomb"])
@each
def test_an_endless_answer_is_cut_stored_cut_and_said_to_be(
    road: Road, vendor: Vendor, kind: str, settings: LazySettings
) -> None:
    # Kameleoon's own answer is a 204, of which nobody reads a body.
    road.emulator.set(vendor.slug, garbage=kind, garbage_mb=200, status=200, times=1)
    send = deliver(road, vendor, vendor.where(road, rate=50))
    expected = {"unknown": ROWS} if vendor is QUBIT else {"accepted": ROWS}
    assert counts(send) == expected
    [copy] = AnswerCopy.objects.filter(truncated=True)
    assert copy.size == BODY_LIMIT and len(copy.body) <= BODY_KEPT + 200
    attempt = Attempt.objects.get(answer__copy=copy.pk)
    row = json.loads(attempt.deliveries)[0]
    client = Client()
    client.force_login(road.olivia)
    page = client.get(f"/rows/{row}").content.decode()
    assert "The portal reads no more than 1,000,000 bytes of an answer" in page
    story = client.get(
        f"/api/v1/deliveries/{row}", headers={"Authorization": f"Bearer {tokens.make(road.olivia)}"}
    ).json()
    came = [one["response"] for one in story["attempts"] if one["response"]]
    assert [one["truncated"] for one in came].count(True) == 1
    assert all(len(one["body"] or "") <= BODY_KEPT + 200 for one in came)


# V17


@pytest.mark.parametrize("status", [401, 403, 404, 405, 410, 415])
@each
def test_a_broken_connection_in_the_middle_raises_one_alarm_and_fails_no_row(
    road: Road, vendor: Vendor, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = vendor.where(road, rate=100)
    rows = 60 if vendor is KISSMETRICS else 3 * vendor.rows_a_request if vendor.rows_a_request <= 100 else 2_500
    send = road.queue(road.check(road.upload(vendor.sheet(rows)), where))
    road.emulator.set(vendor.slug, status={"value": status, "every": 2})
    send = sums_hold(road.shift(send, 5))
    found = counts(send)
    assert send.status == "paused" and set(found) <= {"accepted", "queued"} and found["queued"]
    where.refresh_from_db()
    assert where.paused and str(status) in where.reason == send.reason
    [alarm] = audit("destination.paused")
    assert alarm["reason"] == where.reason
    asked = road.emulator.counts(vendor.slug)["requests"]
    road.shift(send, 1)
    assert road.emulator.counts(vendor.slug)["requests"] == asked, "nothing more leaves until a person mends it"
    road.emulator.clear(switches=True)
    destinations.change(where, road.people["adam"], paused=False)
    send = sums_hold(road.shift(send, 20))
    assert counts(send) == {"accepted": rows}
    assert road.emulator.counts(vendor.slug)["effective"] == rows - found.get("accepted", 0)


# V18


@pytest.mark.parametrize("bad", [{1}, {64}, {37, 38}, {1, 50, 100}])
def test_a_request_refused_because_of_one_row_is_split_until_it_is_found(road: Road, bad: set[int]) -> None:
    road.emulator.set("tracify", refuse_ids=",".join(f"T-{n}" for n in bad))
    send = deliver(road, TRACIFY, TRACIFY.where(road), 100)
    assert counts(send) == {"accepted": 100 - len(bad), "rejected": len(bad)}
    assert set(Delivery.objects.filter(status="rejected").values_list("wire_key", flat=True)) == {f"T-{n}" for n in bad}
    once_at_the_vendor(road, TRACIFY, 100 - len(bad))
    # Halving finds one of a hundred in 2 x 7 requests at most, beside the first.
    assert Attempt.objects.count() <= 1 + 14 * len(bad)


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize("vendor", [KAMELEOON, QUBIT], ids=name)
def test_where_a_refusal_may_be_partial_nothing_is_split_by_itself(
    road: Road, vendor: Vendor, status: int, settings: LazySettings
) -> None:
    """413 says that the request was too large to be read, so that one may be split everywhere."""
    settings.PORTAL_RETRY_LIMIT = 2
    road.emulator.set(vendor.slug, status=status, message="one of them is bad")
    send = deliver(road, vendor, vendor.where(road), seconds=3)
    if status == 413:
        assert counts(send) in ({"rejected": 5, "queued": 1}, {"rejected": 6})
    else:
        # Repeated with a key, the first row alone as a probe; the vendor may have kept it the first time.
        assert counts(send) == {"unknown": ROWS}
        carried = [len(json.loads(text)) for text in Attempt.objects.values_list("deliveries", flat=True)]
        assert carried == ([ROWS, 1, ROWS - 1] if vendor.key else [ROWS])


@each
def test_five_single_refusals_in_the_same_words_pause_the_destination(road: Road, vendor: Vendor) -> None:
    road.emulator.set(vendor.slug, status=422, message="the campaign is closed")
    where = vendor.where(road, rate=5)
    rows = 30
    if vendor.rows_a_request > 1:
        # One row a request: where refusals are total by halving, elsewhere because the file has no more.
        send = Send()
        for number in range(1, 7):
            send = road.deliver(road.check(road.upload(vendor.sheet(1, number), f"{number}.csv"), where), 3)
        assert counts(send) == {"rejected": 1} and not Destination.objects.get(pk=where.pk).paused
        if vendor is not TRACIFY:
            return
    send = sums_hold(road.deliver(road.check(road.upload(vendor.sheet(rows, 100), "all.csv"), where), 8))
    where.refresh_from_db()
    assert send.status == "paused" and where.paused
    assert where.reason == send.reason and "first 5 rows in the same words" in where.reason
    assert "the campaign is closed" in where.reason
    found = counts(send)
    assert 5 <= found["rejected"] <= 10 and found["queued"] == rows - found["rejected"]
    assert len(audit("destination.paused")) == 1


def test_refusals_in_different_words_are_the_rows_own(road: Road) -> None:
    numbers = iter(range(1000))

    def differently(connection: Any, _: Any) -> None:
        connection.sendall(http_answer(f"row {next(numbers)} is bad".encode(), "422 Unprocessable"))

    with wire_server(differently) as server:
        send = deliver(road, KISSMETRICS, KISSMETRICS.where(road, base_url=server.url), 20)
    assert (send.status, counts(send)) == ("finished", {"rejected": 20})
    assert not audit("destination.paused")


def test_what_another_send_had_accepted_does_not_make_refusals_the_rows_own(road: Road) -> None:
    where = KISSMETRICS.where(road, rate=50)
    assert counts(road.deliver(road.check(road.upload(KISSMETRICS.sheet(1)), where))) == {"accepted": 1}
    road.emulator.set("kissmetrics", status=422)
    # More than may be on the wire when the first are refused.
    send = road.queue(road.check(road.upload(KISSMETRICS.sheet(200, 50), "more.csv"), where))
    assert sums_hold(road.shift(send, 5)).status == "paused"


# V20

SECRET = "tracking-id-of-nobody-else"
SCRIPT = "<script>alert('hello')</script>"
HOSTILE = f"{SCRIPT} your key {SECRET} is bad \x00\x1b[31m\x07\x9b2J \u202egnp.exe\u2066 \ud83d\ude00"


def hostile(size: int = 0) -> Answer:
    body = HOSTILE.encode("utf-8", "surrogatepass") + b"\xff\xfe" + b"A" * size
    headers = (
        f"Content-Type: text/html\r\nX-Echo: {SECRET}\r\nX-Script: {SCRIPT}\r\nSet-Cookie: id={SECRET}\r\n"
        "X-Bell: a\x07b\r\nX-Long: " + "y" * 8_000 + "\r\n"
    )
    return answer_bytes(http_answer(body, "422 Unprocessable", headers))


def everything_stored() -> str:
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            found.append(repr(cursor.fetchall()))
    return "\n".join(found)


@pytest.mark.parametrize("size", [0, 10_000_000], ids=["short", "10 MB"])
def test_a_hostile_answer_is_stored_masked_and_cut_and_shown_as_text(road: Road, size: int) -> None:
    with wire_server(hostile(size)) as server:
        where = road.destination("qubit", values={"base_url": server.url}, tracking_id=SECRET)
        send = deliver(road, QUBIT, where, 1)
    assert counts(send) == {"rejected": 1}
    row = Delivery.objects.get(send=send)
    assert SCRIPT in row.message and len(row.message) <= 500 and row.message.isprintable()
    stored = everything_stored()
    assert SECRET not in stored and SECRET[:-4] not in stored
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", stored)
    [copy] = AnswerCopy.objects.all()
    assert copy.truncated == bool(size) and len(copy.body) <= BODY_KEPT + 200
    client = Client()
    client.force_login(road.olivia)
    pages = [f"/rows/{row.pk}", f"/sends/{send.pk}", f"/sends/{send.pk}/requests", "/sends"]
    for address in pages:
        page = client.get(address).content.decode()
        assert SCRIPT not in page and SECRET not in page
    assert html.escape(SCRIPT) in client.get(f"/rows/{row.pk}").content.decode()
    told = client.get(f"/api/v1/deliveries/{row.pk}", headers={"Authorization": f"Bearer {tokens.make(road.olivia)}"})
    assert told["Content-Type"].startswith("application/json") and told["X-Content-Type-Options"] == "nosniff"
    [attempt] = told.json()["attempts"]
    assert SCRIPT in attempt["response"]["body"] and SECRET not in told.content.decode()
    assert attempt["response"]["headers"]["Set-Cookie"] == "••••••"


@pytest.mark.parametrize("before", range(470, 505, 3))
@pytest.mark.parametrize("vendor", [QUBIT, TRACIFY], ids=name)
def test_a_secret_where_the_words_are_cut_does_not_show_its_first_half(
    road: Road, vendor: Vendor, before: int
) -> None:
    secret = "k3Y9" * 8
    words = "x" * (before - 1) + " " + secret
    answers = [http_answer(words.encode(), "422 Unprocessable")]
    if vendor is QUBIT:
        answers.append(http_answer(json.dumps({"results": [{"status": "failed", "error": words}]}).encode()))
        answers.append(http_answer(json.dumps({"status": 422, "message": words}).encode()))
    else:
        answers.append(http_answer(json.dumps({"status": False, "error": words}).encode()))
    keys = {next(iter(vendor.secrets)): secret}
    for number, text in enumerate(answers):
        with wire_server(answer_bytes(text)) as server:
            where = road.destination(
                vendor.slug, f"cut {number}", {**vendor.settings, "base_url": server.url}, **keys
            )
            send = deliver(road, vendor, where, 1)
        assert counts(send) == {"rejected": 1}
        assert "k3Y9" not in Delivery.objects.get(send=send).message
    assert "k3Y9k3Y9" not in everything_stored()
