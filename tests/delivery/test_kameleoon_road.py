"""Kameleoon from the spreadsheet to the ledger: nonces that stay, tokens that expire, answers that get lost."""

from __future__ import annotations

import csv
import io
import json
import re
import socket
from base64 import b64encode
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection

import connectors
from offline_portal.audit import chain
from offline_portal.delivery import control
from offline_portal.delivery.probe import test_connection as connection_test
from offline_portal.models import Answer, Attempt, AuditEntry, Delivery, Destination, Outcome, RequestCopy, Send
from tests.conftest import Road
from tests.delivery.test_road import counts
from tests.wire.server import Seen, http_answer, wire_server

SITE = "f17c21u1ag"
CLIENT = {"client_id": "offline-sales-client", "client_secret": "very/secret+word="}
HEADER = "Visitor code,Goal ID,Revenue,Refund,Date,Custom data 3\n"


def visitors(number: int, first: int = 0) -> str:
    return HEADER + "".join(
        f"visitor-{n},36151,{n}.50,,2026-11-18 09:{n // 60 % 60:02}:{n % 60:02},Phone\n" for n in range(first, number)
    )


def where(road: Road, name: str = "", secret_texts: dict[str, str] | None = None, **values: Any) -> Destination:
    base = {"site_code": SITE, "identifier": "visitorCode", "token_url": f"{road.emulator.url}/kameleoon/oauth/token"}
    return road.destination("kameleoon", name, base | values, **(secret_texts or {}))


def with_token(road: Road, **values: Any) -> Destination:
    return where(road, secret_texts=CLIENT, **values)


def tokens_asked_for(road: Road) -> int:
    return road.emulator.counts("kameleoon", "")["requests"]


def nothing_secret_is_stored(*secret_texts: str) -> None:
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            stored = repr(cursor.fetchall())
            for text in secret_texts:
                assert text not in stored, table


def test_the_sample_reaches_the_ledger(road: Road) -> None:
    connector = connectors.get("kameleoon")
    text = io.StringIO()
    csv.writer(text).writerows(connector.sample)
    send = road.check(road.upload(text.getvalue()), where(road))
    assert (send.total, send.ready, send.problem) == (20, 15, 5)
    send = road.deliver(send)
    assert (send.status, counts(send)) == ("finished", {"accepted": 15})
    assert set(Delivery.objects.filter(status="accepted").values_list("evidence", flat=True)) == {"delivered"}
    found = {entry["key"]["nonce"]: entry for entry in road.emulator.effective("kameleoon", SITE)}
    assert road.emulator.counts("kameleoon")["received"] == 15
    for delivery in Delivery.objects.filter(status="accepted"):
        values = json.loads(delivery.payload)
        entry = found.pop(delivery.wire_key)
        assert re.fullmatch("[0-9a-f]{16}", delivery.wire_key)
        assert entry["key"]["visitor"] == ["visitor", values["visitor_code"]]
        metadata = {"1": [values["metadata:1"]]} if "metadata:1" in values else {}
        assert entry["content"]["data"] == {
            "goalId": int(values["goal_id"]), "revenue": float(values.get("revenue", 0)),
            "negative": values.get("negative", False), "metadata": metadata,
        }  # fmt: skip
    assert not found
    [attempt] = RequestCopy.objects.all()
    assert attempt.url.endswith(f"/visit/events?siteCode={SITE}&json=true")
    assert "Authorization" not in json.loads(attempt.headers)
    assert tokens_asked_for(road) == 0
    assert chain.verify().ok


def test_a_thousand_visitors_share_a_request(road: Road) -> None:
    send = road.deliver(road.check(road.upload(visitors(1200)), where(road)), 20)
    assert counts(send) == {"accepted": 1200}
    assert road.emulator.counts("kameleoon")["requests"] == 2
    assert road.emulator.counts("kameleoon")["effective"] == 1200


def test_ids_of_our_own_go_one_a_request(road: Road) -> None:
    rows = visitors(6) + "visitor-5,36152,1.00,,2026-11-18 10:00:00,\n"
    send = road.deliver(road.check(road.upload(rows), where(road, identifier="mappingIdentifier")))
    assert counts(send) == {"accepted": 7}
    assert road.emulator.counts("kameleoon")["requests"] == 6
    found = {tuple(entry["key"]["visitor"]) for entry in road.emulator.effective("kameleoon")}
    assert found == {("mapping", f"visitor-{n}") for n in range(6)}


def test_a_lost_answer_is_repeated_with_the_same_nonce_and_counts_once(road: Road, settings: LazySettings) -> None:
    settings.PORTAL_RETRY_BASE = 0.05
    road.emulator.set("kameleoon", cut={"value": "after_storing", "times": 1})
    send = road.deliver(road.check(road.upload(visitors(30)), where(road)))
    assert counts(send) == {"accepted": 30}
    told = road.emulator.counts("kameleoon")
    # After the lost answer one row goes ahead, then the other 29.
    assert (told["requests"], told["effective"], told["duplicates"]) == (3, 30, 30)
    first, *later = (json.loads(body) for body in RequestCopy.objects.order_by("pk").values_list("body", flat=True))
    assert [len(events) for events in later] == [1, 29]
    told_twice = [(event["visitorCode"], event["nonce"]) for event in first]
    assert told_twice == [(event.get("visitorCode", "visitor-0"), event["nonce"]) for each in later for event in each]


def test_a_body_that_is_too_large_is_split(road: Road) -> None:
    road.emulator.set("kameleoon", max_bytes=2_000)
    send = road.deliver(road.check(road.upload(visitors(40)), where(road)))
    assert counts(send) == {"accepted": 40}
    assert road.emulator.counts("kameleoon")["effective"] == 40


def test_a_token_is_fetched_once_and_stored_nowhere(road: Road) -> None:
    road.emulator.set("kameleoon", token_required=True, known_clients=":".join(CLIENT.values()))
    rows = visitors(20)
    send = road.deliver(road.check(road.upload(rows), with_token(road, identifier="mappingIdentifier")))
    assert counts(send) == {"accepted": 20}
    assert tokens_asked_for(road) == 1
    headers = {RequestCopy.objects.order_by("pk")[n].headers for n in range(20)}
    assert [json.loads(text)["Authorization"] for text in headers] == ["Bearer ••••••"]
    assert Attempt.objects.count() == Answer.objects.count() == 20
    nothing_secret_is_stored(*CLIENT.values(), b64encode(":".join(CLIENT.values()).encode()).decode())


def test_a_token_that_expires_in_the_middle_is_renewed(road: Road) -> None:
    road.emulator.set("kameleoon", token_required=True, token_seconds=1, delay_ms=30)
    one_by_one = with_token(road, identifier="mappingIdentifier", rate=25)
    send = road.deliver(road.check(road.upload(visitors(60)), one_by_one))
    assert counts(send) == {"accepted": 60}
    assert 2 <= tokens_asked_for(road) <= 6
    # It was renewed before it ended, so nobody was refused.
    assert set(Answer.objects.values_list("status", flat=True)) == {204}


def test_a_revoked_token_is_renewed_and_its_rows_repeated(road: Road) -> None:
    road.emulator.set("kameleoon", token_required=True)
    road.emulator.set("kameleoon", SITE, token_required=True, revoke_token={"value": True, "every": 10, "times": 2})
    one_by_one = with_token(road, identifier="mappingIdentifier", rate=100)
    send = road.deliver(road.check(road.upload(visitors(40)), one_by_one))
    assert (send.status, counts(send)) == ("finished", {"accepted": 40})
    assert road.emulator.counts("kameleoon")["received"] == 40
    refused = Answer.objects.filter(status=401).count()
    assert refused >= 2
    assert Outcome.objects.filter(code="http_401", status="queued").count() == refused
    assert tokens_asked_for(road) >= 2
    # A refused token is no try of the row.
    assert set(Delivery.objects.values_list("tries", flat=True)) == {0}
    assert not AuditEntry.objects.filter(action="destination.paused").exists()


def test_a_second_refusal_in_a_row_pauses_the_destination(road: Road) -> None:
    road.emulator.set("kameleoon", SITE, status=401)
    send = road.deliver(road.check(road.upload(visitors(3)), with_token(road)))
    assert (send.status, counts(send)) == ("paused", {"queued": 3})
    assert "401" in send.reason
    assert list(Answer.objects.values_list("status", flat=True)) == [401, 401]
    assert tokens_asked_for(road) == 2
    road.emulator.clear()
    send.destination.paused = False  # type: ignore[union-attr]
    send.destination.save()  # type: ignore[union-attr]
    control.destination_opened(send.destination)  # type: ignore[arg-type]
    assert counts(road.shift(send)) == {"accepted": 3}


def test_without_a_client_a_401_pauses_at_once(road: Road) -> None:
    road.emulator.set("kameleoon", token_required=True)
    send = road.deliver(road.check(road.upload(visitors(3)), where(road)))
    assert (send.status, counts(send), Attempt.objects.count()) == ("paused", {"queued": 3}, 1)


def test_refused_credentials_pause_the_destination_and_nothing_is_sent(road: Road) -> None:
    road.emulator.set("kameleoon", known_clients="somebody:else")
    send = road.deliver(road.check(road.upload(visitors(3)), with_token(road)))
    assert (send.status, counts(send)) == ("paused", {"queued": 3})
    assert "access token could not be fetched, so nothing was sent" in send.reason
    assert "Check the destination's token address, client id and client secret" in send.reason
    assert road.emulator.counts("kameleoon", SITE)["requests"] == 0
    nothing_secret_is_stored(*CLIENT.values())


@pytest.mark.parametrize(
    "fault",
    [{"status": 500}, {"cut": "in_answer"}, {"garbage": "html"}, {"garbage": "wrong_json"}, {"cut": "after_storing"}],
    ids=lambda fault: str(next(iter(fault.values()))),
)
def test_a_token_that_cannot_be_had_for_now_is_asked_for_again(
    road: Road, settings: LazySettings, fault: dict[str, Any]
) -> None:
    settings.PORTAL_RETRY_BASE = 0.05
    road.emulator.set("kameleoon", "", **fault, times=2)
    send = road.deliver(road.check(road.upload(visitors(3)), with_token(road)))
    assert counts(send) == {"accepted": 3}
    first = Answer.objects.order_by("pk")[0]
    assert first.status is None and first.error.startswith("The access token could not be fetched, so nothing was sent")
    assert set(Outcome.objects.filter(status="queued").values_list("code", flat=True)) == {"never_sent"}
    # After a failure one row goes ahead, then the other two.
    assert road.emulator.counts("kameleoon", SITE)["requests"] == 2


def test_rows_whose_token_never_comes_surely_did_not_arrive(road: Road, settings: LazySettings) -> None:
    settings.PORTAL_RETRY_BASE, settings.PORTAL_RETRY_LIMIT = 0.01, 2
    unreachable = with_token(road, token_url="http://127.0.0.1:9/oauth/token")
    send = road.deliver(road.check(road.upload(visitors(3)), unreachable))
    assert (send.status, counts(send)) == ("finished", {"failed": 3})
    assert "127.0.0.1:9 refused the connection" in Delivery.objects.all()[0].message
    assert road.emulator.counts("kameleoon")["requests"] == 0


def test_the_vendor_may_ask_us_to_wait_for_a_token(road: Road) -> None:
    road.emulator.set("kameleoon", "", status=429, retry_after="1", times=1)
    send = road.deliver(road.check(road.upload(visitors(3)), with_token(road)))
    assert counts(send) == {"accepted": 3}
    first, last = Attempt.objects.order_by("pk").values_list("started_at", flat=True)
    assert (last - first).total_seconds() >= 1
    assert set(Delivery.objects.values_list("tries", flat=True)) == {0}


def test_the_same_conversion_is_sent_once(road: Road) -> None:
    destination = where(road)
    alike = "visitor-3,36151,3.5,no,2026-11-18 09:00:03,Shop\n"
    refund = "visitor-3,36151,3.50,yes,2026-11-18 09:00:03,Phone\n"
    send = road.check(road.upload(visitors(4) + alike + refund), destination)
    assert (send.ready, send.duplicate) == (5, 1)
    road.deliver(send)
    again = road.check(road.upload(visitors(5), "other.csv"), destination)
    assert (again.ready, again.duplicate) == (1, 4)


def test_a_row_outside_the_attribution_window_is_sent_with_a_warning(road: Road) -> None:
    send = road.check(road.upload(HEADER + "v,36151,1,,2024-01-01,\n"), where(road))
    delivery = Delivery.objects.get(send=send)
    assert (delivery.verdict, [one["code"] for one in json.loads(delivery.warnings)]) == ("ready", ["long_ago"])


def test_the_connection_test_uses_a_token_and_stores_nothing(road: Road) -> None:
    road.emulator.set("kameleoon", token_required=True, known_clients=":".join(CLIENT.values()))
    works, sentence = connection_test(with_token(road))
    assert works and "takes requests at this address" in sentence
    assert road.emulator.counts("kameleoon")["received"] == 0
    works, sentence = connection_test(where(road, "no client"))
    assert not works and "401" in sentence
    road.emulator.set("kameleoon", known_clients="somebody:else")
    works, sentence = connection_test(where(road, "unknown client", CLIENT))
    assert not works and "client secret" in sentence and CLIENT["client_secret"] not in sentence


def test_a_token_that_the_vendor_repeats_is_stored_nowhere(road: Road) -> None:
    token = "an-access-token-of-some-length"

    def answer(connection: socket.socket, seen: Seen) -> bool:
        if "/oauth/token" in seen.line:
            body, status = f'{{"access_token": "{token}", "expires_in": 60}}', "200 OK"
        else:
            body, status = f"no: {seen.headers['Authorization']}", "422 No"
        connection.sendall(http_answer(body.encode(), status, "Connection: close\r\n"))
        return False

    with wire_server(answer) as server:
        destination = with_token(road, base_url=server.url, token_url=f"{server.url}/oauth/token")
        send = road.deliver(road.check(road.upload(visitors(1)), destination))
    assert counts(send) == {"rejected": 1}
    assert Delivery.objects.get().message == "no: Bearer ••••••"
    nothing_secret_is_stored(token, *CLIENT.values())


def test_a_stopped_send_is_not_begun(road: Road) -> None:
    send = road.queue(road.check(road.upload(visitors(3)), with_token(road)))
    send = control.pause(send, road.olivia)
    road.shift(send, 1)
    assert (Send.objects.get(pk=send.pk).status, tokens_asked_for(road)) == ("paused", 0)
