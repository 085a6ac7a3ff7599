"""Reading back: what the vendor shows of the rows that were sent, and which row it is."""

from __future__ import annotations

import json
import time

import pytest
from django.db import IntegrityError, connection
from django.utils import timezone

from offline_portal.audit import chain
from offline_portal.models import Attempt, AuditEntry, Delivery, Outcome, Readback, RequestCopy, Send
from tests.conftest import Road
from tests.delivery.looking import SOON, S, look_until, looks, settled, sold, tallies, vendor, verified, visits_end
from tests.delivery.test_kameleoon_road import CLIENT, HEADER, SITE, visitors, where
from tests.delivery.test_road import counts
from tests.wire.server import http_answer

# Accepted rows


def test_what_the_vendor_shows_is_confirmed(road: Road) -> None:
    send = road.deliver(road.check(road.upload(visitors(7)), verified(road, readback_after=0.02)), 1)
    assert (send.status, counts(send)) == ("finished", {"accepted": 7})
    visits_end(road)
    send = settled(road, send)
    assert (send.status, tallies(send)) == ("finished", {"confirmed": 7})
    assert set(Delivery.objects.values_list("evidence", "attempt_count", "tries")) == {("confirmed", 1, 0)}
    assert Readback.objects.filter(sighting__isnull=False).count() == 7


def test_before_the_visit_has_ended_it_is_looked_for_again(road: Road) -> None:
    send = road.deliver(road.check(road.upload(visitors(2)), verified(road)), 1)
    send = look_until(road, send, lambda _send: looks() >= 2)
    assert tallies(send) == {"looking": 2}
    assert set(Delivery.objects.values_list("status", "evidence")) == {("accepted", "delivered")}
    visits_end(road)
    Readback.objects.update(tries=0)
    assert tallies(settled(road, send)) == {"confirmed": 2}


def test_what_is_never_shown_stays_delivered_and_is_not_looked_for_without_end(road: Road) -> None:
    road.emulator.set("kameleoon", lose=True)
    send = settled(road, road.deliver(road.check(road.upload(visitors(2)), verified(road)), 1))
    assert tallies(send) == {"not_found": 2}
    assert looks() == 6
    assert set(Delivery.objects.values_list("status", "evidence", "code")) == {("accepted", "delivered", "")}
    assert set(Readback.objects.values_list("tries", "due_at")) == {(3, None)}
    said = Outcome.objects.filter(code="not_found").values_list("status", "evidence")
    assert set(said) == {("accepted", "delivered")}


def test_the_current_visit_is_asked_for_only_where_the_product_shows_it(road: Road) -> None:
    road.emulator.set("kameleoon", feature_experimentation=True)
    shown = road.deliver(road.check(road.upload(visitors(2)), verified(road, feature_experimentation=True)), 5)
    assert tallies(shown) == {"confirmed": 2}
    other = verified(road, "another", site_code="aaaaaaaaaa", readback_tries=1)
    assert tallies(settled(road, road.deliver(road.check(road.upload(visitors(2)), other), 5))) == {"not_found": 2}
    asked = RequestCopy.objects.filter(method="GET").values_list("url", flat=True)
    kinds = [("currentVisit=true" in url, "aaaaaaaaaa" in url) for url in asked]
    assert kinds == 2 * [(True, False)] + 2 * [(False, True)]
    assert all("conversion=true" in url for url in asked)


def test_ids_of_our_own_are_looked_up_as_such(road: Road) -> None:
    send = road.deliver(road.check(road.upload(visitors(2)), verified(road, identifier="mappingIdentifier")), 1)
    visits_end(road)
    assert tallies(settled(road, send)) == {"confirmed": 2}
    asked = RequestCopy.objects.filter(method="GET").values_list("url", flat=True)
    assert all("mappingValue=visitor-" in url for url in asked)


def test_without_verify_nobody_looks(road: Road) -> None:
    send = road.deliver(road.check(road.upload(visitors(2)), where(road, **SOON)), 2)
    assert counts(send) == {"accepted": 2}
    assert not Readback.objects.exists() and not looks()


def test_rows_of_one_visitor_share_a_look(road: Road) -> None:
    rows = sold(0, 1, 2) + sold(3, 4, visitor="w").removeprefix(HEADER)
    send = road.deliver(road.check(road.upload(rows), verified(road, readback_after=0.02)), 1)
    visits_end(road)
    send = settled(road, send)
    assert tallies(send) == {"confirmed": 5}
    sought = Attempt.objects.filter(readback=True).order_by("pk").values_list("deliveries", flat=True)
    assert [len(json.loads(ids)) for ids in sought] == [3, 2]


def test_every_look_is_on_record_like_any_request_and_is_no_try_of_the_row(road: Road) -> None:
    road.emulator.set("kameleoon", feature_experimentation=True, token_required=True)
    place = where(road, "", CLIENT, verify=True, feature_experimentation=True, **SOON)
    send = settled(road, road.deliver(road.check(road.upload(visitors(1)), place), 2))
    row = Delivery.objects.get()
    assert (row.evidence, row.attempt_count) == ("confirmed", 1)
    sent, looked = Attempt.objects.order_by("pk")
    assert (sent.readback, looked.readback, looked.deliveries) == (None, True, f"[{row.pk}]")
    assert json.loads(looked.copy.headers)["Authorization"] == "Bearer ••••••"
    assert looked.copy.url.partition("&")[0] == f"{road.emulator.base_url('kameleoon')}/visit/visitor?siteCode={SITE}"
    assert (looked.answer.status, json.loads(looked.answer.copy.body)["currentVisit"]["siteCode"]) == (200, SITE)
    said = Outcome.objects.filter(delivery=row).order_by("pk").values_list("attempt_id", "status", "evidence", "code")
    assert list(said) == [(sent.pk, "accepted", "delivered", ""), (looked.pk, "accepted", "confirmed", "")]
    entries = AuditEntry.objects.filter(object=f"send:{send.pk}", action__startswith="delivery.").order_by("seq")
    details = [json.loads(entry.detail) for entry in entries]
    assert [(detail["attempts"], detail.get("readback", False)) for detail in details] == [
        ([sent.pk], False), ([sent.pk], False), ([looked.pk], True), ([looked.pk], True)
    ]  # fmt: skip
    assert chain.verify().ok
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM portal_attempt WHERE readback")
        assert cursor.fetchone() == (1,)

# Which of several rows


def test_two_rows_that_are_alike_and_both_stored_are_both_confirmed(road: Road) -> None:
    send = road.deliver(road.check(road.upload(sold(0, 1)), verified(road, readback_after=0.02)), 1)
    assert road.emulator.counts("kameleoon")["effective"] == 2
    visits_end(road)
    assert tallies(settled(road, send)) == {"confirmed": 2}


def test_of_two_rows_that_are_alike_and_one_stored_one_is_confirmed(road: Road) -> None:
    place = verified(road, readback_after=0.03, readback_tries=2)
    first = road.deliver(road.check(road.upload(sold(0)), place), 1)
    road.emulator.set("kameleoon", lose=True)
    second = road.deliver(road.check(road.upload(sold(1), "more.csv"), place), 1)
    assert (first.accepted, second.accepted, road.emulator.counts("kameleoon")["effective"]) == (1, 1, 1)
    road.emulator.set("kameleoon", clock_ahead=31)
    first, second = settled(road, first), settled(road, second)
    assert sorted([*tallies(first), *tallies(second)]) == ["confirmed", "not_found"]
    # What is taken stays taken, however often the other one is looked for.
    Readback.objects.filter(state=S.NOT_FOUND).update(state=S.LOOKING, due_at=timezone.now(), tries=0)
    Send.objects.filter(readback_not_found=1).update(readback_not_found=0, readback_looking=1)
    first, second = settled(road, first), settled(road, second)
    assert sorted([*tallies(first), *tallies(second)]) == ["confirmed", "not_found"]


@pytest.mark.parametrize(("minutes", "state"), [(6, "not_found"), (4, "confirmed")])
def test_a_conversion_that_was_there_before_is_not_taken_for_ours(road: Road, minutes: int, state: str) -> None:
    event = {"time": int((time.time() - 60 * minutes) * 1000), "data": {"goalId": 36151, "revenue": 5}}
    shown = json.dumps({"previousVisits": [{"conversionEvents": [event]}]}).encode()
    with vendor(lambda seen: http_answer(shown if seen.line.startswith("GET") else b"")) as server:
        place = verified(road, base_url=server.url, readback_tries=1)
        send = settled(road, road.deliver(road.check(road.upload(sold(0)), place), 1))
    assert tallies(send) == {state: 1}


def test_the_database_itself_gives_a_conversion_to_one_row(road: Road) -> None:
    send = road.deliver(road.check(road.upload(visitors(2)), verified(road, readback_after=9)), 1)
    first, second = Readback.objects.filter(send=send)
    Readback.objects.filter(pk=first.pk).update(sighting=b"0" * 16)
    with pytest.raises(IntegrityError):
        Readback.objects.filter(pk=second.pk).update(sighting=b"0" * 16)
