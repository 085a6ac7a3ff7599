"""The judge of the soak: silent about what is right, and loud about each broken promise."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from django.conf import LazySettings
from django.db import connection, transaction
from django.utils import timezone

from offline_portal import checks
from offline_portal.audit import chain
from offline_portal.delivery import control, sweep
from offline_portal.models import Answer, Attempt, AuditEntry, Batch, Delivery, Readback, RequestCopy, Row, Send
from tests.conftest import Road
from tests.delivery.looking import settled, visits_end
from tests.delivery.test_faults import begin_and_die, lapse
from tests.soak import judge
from tests.soak.judge_looks import BY_LOOKS_ALONE
from tests.soak.vendors import VENDORS, Vendor

BY_NAME = {vendor.name: replace(vendor, rows=6) for vendor in VENDORS}
QUBIT, TIMED, SHOWN = BY_NAME["Qubit"], BY_NAME["KISSmetrics with times"], BY_NAME["Kameleoon, read back"]
SHOWN = replace(SHOWN, settings={**SHOWN.settings, "readback_after": 0, "readback_every": 0.01, "readback_tries": 9})
S = Readback.State


def queued(road: Road, vendor: Vendor) -> Send:
    values = {**vendor.settings, "rate": 1000}
    where = road.destination(vendor.connector, vendor.name, values, **vendor.secrets)
    return road.queue(road.check(road.upload(vendor.file(1), "file 1.csv"), where))


def complaints(road: Road, vendor: Vendor) -> str:
    """All that the judge says."""
    [tally], of_the_log = judge.judge({"file 1.csv": (vendor, 1)}, road.emulator)
    return "\n".join(tally.complaints + of_the_log)


@pytest.mark.parametrize("vendor", [QUBIT, TIMED], ids=lambda vendor: vendor.connector)
def test_nothing_is_said_when_all_is_right(road: Road, vendor: Vendor) -> None:
    road.shift(queued(road, vendor))
    assert complaints(road, vendor) == ""
    [tally], _ = judge.judge({"file 1.csv": (vendor, 1)}, road.emulator)
    assert tally.numbers["at the vendor"] == tally.numbers["accepted"] == tally.numbers["rows of files"] == 6
    assert vendor.name in judge.table([tally])


def _once_more(road: Road) -> None:
    copy = RequestCopy.objects.get()
    httpx.post(f"{road.emulator.base_url('qubit')}/events/acme", content=copy.body, headers=json.loads(copy.headers))


def _covered_twice(road: Road) -> None:
    entry = AuditEntry.objects.get(action="delivery.attempts")
    with transaction.atomic():
        chain.add("portal", entry.action, entry.object, json.loads(entry.detail))


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (_once_more, "counts 2 times at the vendor"),
        (lambda road: road.emulator.clear(), "is not at the vendor"),
        (lambda road: Row.objects.filter(line=3).delete(), "6 rows in its file, 6 read, 5 stored"),
        (lambda road: Delivery.objects.filter(line=3).update(status="unknown"), "counter says 6 accepted"),
        (lambda road: Delivery.objects.filter(line=3).update(status="failed"), "is at the vendor all the same"),
        (lambda road: Delivery.objects.filter(line=3).update(status="rejected"), "is at the vendor all the same"),
        (lambda road: Send.objects.update(status="sending", accepted=5, sending=1), "is sending with 0 rows queued"),
        (_covered_twice, "stands in 2 entries delivery.attempts"),
        (lambda road: Delivery.objects.filter(line=3)._raw_delete("default"), "is at the vendor, but nobody sent it"),
    ],
)  # fmt: skip
def test_a_broken_promise_is_told(road: Road, break_it: Callable[[Road], object], told: str) -> None:
    road.shift(queued(road, QUBIT))
    break_it(road)
    assert told in complaints(road, QUBIT)


def test_an_attempt_without_an_answer_makes_its_rows_unknown_or_repeated(road: Road) -> None:
    send = queued(road, TIMED)
    begin_and_die(road, send)
    assert "was never brought to an end" in complaints(road, TIMED)
    lapse()
    sweep.one_pass()
    Delivery.objects.filter(line=3).update(status="cancelled")
    assert "has no answer (The worker stopped before an answer was written.), but delivery" in complaints(road, TIMED)
    Delivery.objects.filter(line=3).update(status="queued")
    road.shift(send)
    assert complaints(road, TIMED) == ""


def test_what_a_person_resent_may_be_there_twice(road: Road) -> None:
    road.emulator.set("qubit", cut="after_storing")
    send = road.shift(queued(road, QUBIT), 2)
    assert (send.unknown, complaints(road, QUBIT)) == (6, "")
    road.emulator.set("qubit")
    control.resolve(Delivery.objects.get(line=3), "resend", "it is not there", road.olivia)
    road.shift(send)
    assert len(road.emulator.effective("qubit")) == 7
    assert complaints(road, QUBIT) == ""


def test_rows_that_were_refused_are_not_there_until_a_person_has_them_sent_once_more(road: Road) -> None:
    road.emulator.set("qubit", fail_every=3)
    send = road.shift(queued(road, QUBIT), 2)
    assert (send.accepted, send.rejected, complaints(road, QUBIT)) == (4, 2, "")
    road.emulator.set("qubit")
    send = road.shift(control.retry(send, ["rejected"], "once more", road.olivia), 2)
    assert (send.accepted, send.rejected, complaints(road, QUBIT)) == (6, 0, "")


def test_rows_whose_repeat_was_refused_may_be_there(road: Road, settings: LazySettings) -> None:
    settings.PORTAL_RETRY_BASE = 0.05
    road.emulator.set("kissmetrics", cut={"value": "after_storing", "times": 1}, status={"value": 400, "every": 2})
    one = replace(TIMED, rows=1)
    send = road.shift(queued(road, one), 2)
    assert (send.unknown, len(road.emulator.effective("kissmetrics")), complaints(road, one)) == (1, 1, "")


def looked_for(road: Road) -> Send:
    """Six rows of one visitor, two of them alike each time, that the vendor shows after a while."""
    send = road.shift(queued(road, SHOWN), 1)
    visits_end(road)
    return settled(road, send)


def unknown_and_not_there(road: Road, settings: LazySettings) -> Send:
    """The same, but that they never arrived, and that no answer came."""
    settings.PORTAL_RETRY_LIMIT = 1
    road.emulator.change("kameleoon", cut={"value": "before_storing", "times": 1})
    send = settled(road, road.shift(queued(road, replace(SHOWN, settings=SHOWN.settings | {"readback_tries": 1})), 1))
    assert (send.unknown, send.readback_not_found) == (6, 6)
    return send


def test_nothing_is_said_of_rows_that_were_found(road: Road) -> None:
    send = looked_for(road)
    assert (send.readback_confirmed, complaints(road, SHOWN)) == (6, "")
    [tally], _ = judge.judge({"file 1.csv": (SHOWN, 1)}, road.emulator)
    assert (tally.numbers["attempts"], tally.numbers["confirmed"], tally.numbers["looks"] > 0) == (1, 6, True)


def test_nothing_is_said_of_rows_that_are_not_there_and_unknown(road: Road, settings: LazySettings) -> None:
    unknown_and_not_there(road, settings)
    assert complaints(road, SHOWN) == ""


def test_a_look_without_an_answer_says_nothing_about_a_row(road: Road, settings: LazySettings) -> None:
    settings.PORTAL_RETRY_BASE = 0.05
    send = road.shift(queued(road, replace(SHOWN, settings=SHOWN.settings | {"readback_after": 0.02})), 0.5)
    road.emulator.change("kameleoon", cut={"value": "after_storing", "times": 2})
    visits_end(road)
    assert settled(road, send).readback_confirmed == 6
    assert Answer.objects.filter(status=None).count() == Attempt.objects.filter(answer__status=None).count() == 2
    assert complaints(road, SHOWN) == ""


@pytest.mark.parametrize(("met", "unknown"), [({"times": 2}, 1), ({"every": 2}, 0)], ids=["conversions", "looks"])
def test_nothing_is_said_of_a_vendor_that_refuses(
    road: Road, settings: LazySettings, met: dict[str, int], unknown: int
) -> None:
    settings.PORTAL_RETRY_BASE = 0.05
    road.emulator.change("kameleoon", status={"value": 422, **met})
    send = looked_for(road)
    assert (send.readback_confirmed, send.unknown, complaints(road, SHOWN)) == (6 - unknown, unknown, "")
    assert Answer.objects.filter(status=422).exists()


def test_an_unknown_row_that_only_a_look_has_accepted_is_fine(road: Road, settings: LazySettings) -> None:
    settings.PORTAL_RETRY_LIMIT = 1
    road.emulator.change("kameleoon", cut={"value": "after_storing", "times": 1})
    assert looked_for(road).accepted == 6
    [tally], _ = judge.judge({"file 1.csv": (SHOWN, 1)}, road.emulator)
    assert (tally.numbers["without an answer"], tally.numbers[BY_LOOKS_ALONE], tally.complaints) == (1, 6, [])


@contextmanager
def without_the_rule_on_sightings() -> Iterator[None]:
    """As if the database let two rows have one stored conversion."""
    rule = next(rule for rule in Readback._meta.constraints if rule.name == "sighting_once")
    with connection.schema_editor() as editor:
        editor.remove_constraint(Readback, rule)
    yield
    Readback.objects.update(sighting=None)
    with connection.schema_editor() as editor:
        editor.add_constraint(Readback, rule)


def _a_look_covered_twice(road: Road) -> None:
    entry = AuditEntry.objects.filter(action="delivery.outcomes", detail__contains='"readback":true').latest("seq")
    with transaction.atomic():
        chain.add("portal", entry.action, entry.object, json.loads(entry.detail))


def _an_endless_look(road: Road) -> None:
    Attempt.objects.create(
        batch=Batch.objects.get(), fence=1, worker="w", version="1", started_at=timezone.now(), deliveries="[]",
        request_digest=b"d", readback=True,
    )  # fmt: skip


def _third(**values: Any) -> Callable[[Road], object]:
    return lambda road: Readback.objects.filter(delivery__line=3).update(**values)


BROKEN: tuple[tuple[Callable[[Road], object], str], ...] = (
    (lambda road: Delivery.objects.filter(line=3).update(evidence="delivered"), "and not as both"),
    (lambda road: Delivery.objects.filter(line=3).update(status="unknown", evidence=""), "and not as both"),
    (_third(state=S.NOT_FOUND), "was looked for in vain"),
    (_third(state=S.NOT_AVAILABLE), "was looked for in vain"),
    (_third(state=S.STOPPED), "and is not confirmed"),
    (_third(sighting=None), "by no stored conversion"),
    (_third(state=S.LOOKING, due_at=timezone.now()), "is looking for ever"),
    (_third(attempt=9), "is confirmed for ever"),
    (lambda road: Send.objects.update(readback_not_found=1), "counter says 1 not_found, of its rows looked for 0"),
    (_a_look_covered_twice, "stands in 2 entries delivery.outcomes"),
    (_an_endless_look, "was never brought to an end"),
    (_an_endless_look, "stands in 0 entries delivery.attempts"),
    # The vendor forgets for good, so these are the last.
    (lambda road: road.emulator.clear(), "is not at the vendor"),
    (lambda road: road.emulator.clear(), "are alike, and all accepted; the vendor holds 0 such"),
)


def test_a_broken_promise_about_looks_is_told(road: Road) -> None:
    looked_for(road)
    for break_it, told in BROKEN:
        with transaction.atomic():
            break_it(road)
            assert told in complaints(road, SHOWN)
            transaction.set_rollback(True)


def test_two_rows_with_one_stored_conversion_are_told(road: Road) -> None:
    looked_for(road)
    with without_the_rule_on_sightings():
        Readback.objects.filter(delivery__line__in=(3, 4)).update(sighting=b"the same")
        assert "claim the same stored conversion" in complaints(road, SHOWN)


def test_an_unknown_row_that_a_look_accepted_and_that_is_not_there_is_told(
    road: Road, settings: LazySettings
) -> None:
    unknown_and_not_there(road, settings)
    Delivery.objects.filter(line=3).update(status="accepted", evidence="confirmed", code="", message="")
    Readback.objects.filter(delivery__line=3).update(state=S.CONFIRMED, sighting=b"somebody's")
    Send.objects.update(unknown=5, accepted=1, readback_not_found=5, readback_confirmed=1)
    told = complaints(road, SHOWN)
    assert "are alike, and all accepted; the vendor holds 0 such" in told and told.count("\n") == 0


def test_what_the_web_server_did_twice_or_not_at_all_is_told(road: Road) -> None:
    send = queued(road, QUBIT)
    assert judge.of_the_web({"file 1.csv"}, {}) == []
    checks.create(send.upload, send.destination, "auto", "skip", road.olivia)
    assert "file 1.csv was brought to the web server once and became {'uploads': 1, 'sends': 2}" in judge.of_the_web(
        {"file 1.csv", "file 2.csv"}, {}
    )
    assert "file 2.csv" in judge.of_the_web({"file 2.csv"}, {})[0]


def test_a_decision_that_was_made_twice_or_although_it_was_refused_is_told(road: Road) -> None:
    road.emulator.set("qubit", cut="after_storing")
    road.shift(queued(road, QUBIT), 2)
    row = control.resolve(Delivery.objects.get(line=3), "resend", "decision 1", road.olivia)
    assert judge.of_the_web((), {"decision 1": True}) == []
    assert "decision 1” was answered no, and made 1 times" in judge.of_the_web((), {"decision 1": False})[0]
    Delivery.objects.filter(pk=row.pk).update(status="unknown")
    Send.objects.update(queued=0, unknown=6)
    control.resolve(row, "resend", "decision 1", road.olivia)
    assert "answered yes, and made 2 times" in judge.of_the_web((), {"decision 1": True})[0]


def test_a_retry_that_was_made_although_it_was_refused_is_told(road: Road) -> None:
    road.emulator.set("qubit", fail_every=3)
    send = road.shift(queued(road, QUBIT), 2)
    control.retry(send, ["rejected"], "decision 1", road.olivia)
    assert judge.of_the_web((), {"decision 1": True}) == []
    assert "decision 1” was answered no, and made 1 times" in judge.of_the_web((), {"decision 1": False})[0]
