"""The main job on real parts: a file in, the emulator's ledger out, every row looked up."""

from __future__ import annotations

import json

import pytest
from django.conf import LazySettings
from django.db import connection

from offline_portal import checks, destinations
from offline_portal.audit import chain
from offline_portal.delivery import control
from offline_portal.delivery.states import Conflict
from offline_portal.intake import Options
from offline_portal.models import Answer, AnswerCopy, Attempt, AuditEntry, Delivery, Outcome, RequestCopy, Send, SentKey
from tests.conftest import Road

KISS = "Email,Event,Date,Prop:Billed amount\n" + "".join(
    f"person{n}@example.com,Purchased,2026-10-05 09:{n // 60:02}:{n % 60:02},{n}.50\n" for n in range(120)
)
QUBIT = "Visitor ID,Date,Value,Currency,Transaction ID\n" + "".join(
    f"visitor-{n},2026-10-05 09:{n // 60:02}:{n % 60:02},{n}.50,EUR,order-{n}\n" for n in range(250)
)


def counts(send: Send) -> dict[str, int]:
    names = ("queued", "sending", "accepted", "rejected", "unknown", "failed", "cancelled")
    return {name: value for name in names if (value := getattr(send, name))}


def test_kissmetrics_rows_reach_the_ledger_one_a_request(road: Road) -> None:
    send = road.check(road.upload(KISS), road.destination("kissmetrics"))
    assert (send.status, send.total, send.ready) == ("checked", 120, 120)
    send = road.deliver(send)
    assert (send.status, counts(send)) == ("finished", {"accepted": 120})
    assert road.emulator.counts("kissmetrics")["effective"] == 120
    assert road.emulator.counts("kissmetrics")["requests"] == 120
    assert set(Delivery.objects.values_list("evidence", flat=True)) == {"delivered"}
    assert Attempt.objects.count() == Answer.objects.count() == Outcome.objects.count() == 120
    # The pixel is the same every time: it is kept once.
    assert AnswerCopy.objects.count() == 1
    assert not any("key-0001" in url for url in RequestCopy.objects.values_list("url", flat=True))
    assert chain.verify().ok


def test_qubit_rows_share_requests_and_get_receipts(road: Road) -> None:
    send = road.deliver(road.check(road.upload(QUBIT), road.destination("qubit")))
    assert (send.status, counts(send)) == ("finished", {"accepted": 250})
    assert road.emulator.counts("qubit")["requests"] == 3
    found = Delivery.objects.values_list("receipt", "evidence", "wire_key")
    assert {receipt for receipt, _evidence, _key in found} == {
        entry["receipt"] for entry in road.emulator.effective("qubit")
    }
    assert {evidence for _receipt, evidence, _key in found} == {"row"}
    assert {key for _receipt, _evidence, key in found} == {f"order-{n}" for n in range(250)}


def test_bad_rows_say_why_and_stay_behind(road: Road) -> None:
    text = (
        "Email,Event,Date\n"
        "bob@bob.com,Purchased,2026-10-05 09:00:00\n"
        ",Purchased,2026-10-05 09:00:00\n"
        "eve@example.com,Purchased,yesterday\n"
    )
    send = road.deliver(road.check(road.upload(text), road.destination("kissmetrics")))
    assert (send.ready, send.problem, send.accepted) == (1, 2, 1)
    problems = {
        line: [(problem["field"], problem["column"]) for problem in json.loads(text)]
        for line, text in Delivery.objects.filter(verdict="problem").values_list("line", "problems")
    }
    assert problems == {3: [("identity", "Email")], 4: [("timestamp", "Date")]}
    assert road.emulator.counts("kissmetrics")["requests"] == 1


def test_the_same_rows_in_another_file_are_duplicates(road: Road) -> None:
    where = road.destination("kissmetrics")
    first = road.deliver(road.check(road.upload(KISS), where))
    assert first.accepted == 120
    again = road.check(road.upload(KISS + "new@example.com,Purchased,2026-10-06 10:00:00,1\n", "other.csv"), where)
    assert (again.ready, again.duplicate) == (1, 120)
    earlier = Delivery.objects.get(pk=Delivery.objects.get(send=again, line=2).duplicate_of)
    assert (earlier.send_id, earlier.line) == (first.pk, 2)
    again = road.deliver(again)
    assert road.emulator.counts("kissmetrics")["requests"] == 121


def test_a_race_between_two_sends_leaves_one_of_each_row(road: Road) -> None:
    where = road.destination("kissmetrics")
    one, two = road.check(road.upload(KISS), where), road.check(road.upload(KISS, "b.csv"), where)
    assert (one.ready, two.ready) == (120, 120)
    one, two = road.queue(one), road.queue(two)
    assert (one.ready, two.ready, two.duplicate) == (120, 0, 120)
    assert two.status == "finished"
    road.shift(one)
    assert road.emulator.counts("kissmetrics")["requests"] == 120


def test_duplicates_can_be_sent_by_decision(road: Road) -> None:
    where = road.destination("qubit")
    road.deliver(road.check(road.upload(QUBIT), where))
    again = road.deliver(road.check(road.upload(QUBIT, "again.csv"), where, duplicates="send"))
    assert again.accepted == 250
    assert SentKey.objects.filter(forced=True).count() == 250


def test_mixed_results_are_kept_by_position(road: Road) -> None:
    road.emulator.set("qubit", fail_every=10)
    send = road.deliver(road.check(road.upload(QUBIT), road.destination("qubit")))
    assert send.accepted + send.rejected == 250
    assert send.rejected == 25
    rejected = Delivery.objects.filter(status="rejected")
    assert all(delivery.message for delivery in rejected)
    effective = {entry["receipt"] for entry in road.emulator.effective("qubit")}
    assert effective == set(Delivery.objects.filter(status="accepted").values_list("receipt", flat=True))
    # Rejected rows release their key, so that they can be retried with it.
    road.emulator.clear()
    control.retry(send, ["rejected"], "the vendor mended it", road.olivia)
    send = road.shift(send)
    assert counts(send) == {"accepted": 250}


def test_a_lost_answer_is_unknown_where_a_repeat_could_count_twice(road: Road) -> None:
    road.emulator.set("qubit", cut={"value": "after_storing", "times": 1})
    send = road.deliver(road.check(road.upload(QUBIT), road.destination("qubit")))
    assert counts(send) == {"accepted": 150, "unknown": 100}
    assert send.status == "finished"
    assert road.emulator.counts("qubit")["requests"] == 3


def test_a_lost_answer_is_repeated_where_that_is_harmless(road: Road, settings: LazySettings) -> None:
    settings.PORTAL_RETRY_BASE = 0.05
    road.emulator.set("kissmetrics", cut={"value": "after_storing", "times": 3})
    send = road.deliver(road.check(road.upload(KISS), road.destination("kissmetrics")))
    assert counts(send) == {"accepted": 120}
    assert road.emulator.counts("kissmetrics")["effective"] == 120
    assert road.emulator.counts("kissmetrics")["requests"] == 123


def test_a_refused_key_pauses_the_destination_once(road: Road) -> None:
    road.emulator.set("qubit", status=401)
    send = road.deliver(road.check(road.upload(QUBIT), road.destination("qubit")))
    assert (send.status, counts(send)) == ("paused", {"queued": 250})
    assert "401" in send.reason
    assert AuditEntry.objects.filter(action="destination.paused").count() == 1
    with pytest.raises(Conflict) as refused:
        control.resume(send, road.olivia)
    assert refused.value.code == "destination_paused"
    road.emulator.clear()
    send.destination.paused = False  # type: ignore[union-attr]
    send.destination.save()  # type: ignore[union-attr]
    control.destination_opened(send.destination)  # type: ignore[arg-type]
    send = road.shift(send)
    assert counts(send) == {"accepted": 250}


def test_wait_as_told(road: Road) -> None:
    road.emulator.set("qubit", status=429, retry_after="1", times=1)
    send = road.deliver(road.check(road.upload(QUBIT), road.destination("qubit")))
    assert counts(send) == {"accepted": 250}
    times = sorted(Attempt.objects.values_list("started_at", flat=True))
    assert (times[-1] - times[0]).total_seconds() >= 1


def test_cancel_says_what_was_already_sent(road: Road) -> None:
    send = road.queue(road.check(road.upload(KISS), road.destination("kissmetrics")))
    send = control.cancel(send, road.olivia)
    assert (send.status, counts(send)) == ("cancelled", {"cancelled": 120})
    assert not SentKey.objects.exists()
    road.shift(send, 1)
    assert road.emulator.counts("kissmetrics")["requests"] == 0


def test_a_key_that_the_vendor_echoes_is_stored_nowhere(road: Road) -> None:
    where = road.destination("qubit", tracking_id="very-secret-id")
    road.emulator.set("qubit", status=422, message="tracking id very-secret-id is closed\x1b[31m")
    text = QUBIT.splitlines()[0] + "\nv-1,2026-10-05 09:00:00,1.50,EUR,order-1\n"
    send = road.deliver(road.check(road.upload(text), where))
    delivery = Delivery.objects.get(send=send)
    assert delivery.status == "rejected"
    assert "is closed" in delivery.message
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            stored = repr(cursor.fetchall())
            assert "very-secret-id" not in stored, table
            assert "\x1b" not in stored, table


def test_a_cell_typed_anew_is_no_longer_what_intake_found(road: Road) -> None:
    text = KISS.splitlines()[0].encode() + b"\nbob@bob.com,Purchased \xff,2026-10-05 09:00:00,5\n"
    upload = road.upload(text, options=Options(encoding="utf-8"))
    send = road.check(upload, road.destination("kissmetrics"))
    assert (send.ready, send.problem) == (0, 1)
    delivery = checks.edit_cells(send, 2, {"Event": "Purchased"}, road.olivia)
    assert delivery.verdict == "ready"
    send.refresh_from_db()
    assert (send.ready, send.problem) == (1, 0)


def test_editing_a_row_settles_its_duplicates_anew(road: Road) -> None:
    head, first, *_rest = KISS.splitlines()
    send = road.check(road.upload("\n".join([head, first, first, first])), road.destination("kissmetrics"))
    assert (send.ready, send.duplicate) == (1, 2)
    checks.edit_cells(send, 2, {"Email": "else@example.com"}, road.olivia)
    send.refresh_from_db()
    assert (send.ready, send.duplicate) == (2, 1)
    assert Delivery.objects.get(send=send, line=4).duplicate_of == Delivery.objects.get(send=send, line=3).pk
    checks.exclude(send, 3, True, road.olivia)
    send.refresh_from_db()
    assert (send.ready, send.duplicate, send.excluded) == (2, 0, 1)
    checks.exclude(send, 3, False, road.olivia)
    send.refresh_from_db()
    assert (send.ready, send.duplicate, send.excluded) == (2, 1, 0)


def test_pausing_a_destination_by_hand_holds_its_sends_until_it_is_opened(road: Road) -> None:
    where = road.destination("kissmetrics")
    send = road.queue(road.check(road.upload(KISS), where))
    destinations.change(where, road.people["adam"], paused=True, reason="Month end.")
    send = road.shift(send, 1)
    assert (send.status, send.reason, counts(send)) == ("paused", "Month end.", {"queued": 120})
    where.refresh_from_db()
    destinations.change(where, road.people["adam"], paused=False)
    assert counts(road.shift(send)) == {"accepted": 120}


def test_a_send_paused_by_a_person_stays_so_when_its_destination_is_opened(road: Road) -> None:
    where = road.destination("kissmetrics")
    send = road.queue(road.check(road.upload(KISS), where))
    control.pause(send, road.olivia)
    destinations.change(where, road.people["adam"], paused=True)
    destinations.change(where, road.people["adam"], paused=False)
    send.refresh_from_db()
    assert send.status == "paused"
    control.resume(send, road.olivia)
    assert counts(road.shift(send)) == {"accepted": 120}


def test_what_shows_only_while_reading_is_told_too(road: Road) -> None:
    head, *rows = KISS.splitlines()
    upload = road.upload("\n".join([head, *rows[:40], "", *rows[40:]]))
    assert upload.rows == 120
    assert [(problem["line"], problem["code"]) for problem in upload.problems] == [(42, "blank_line")]
