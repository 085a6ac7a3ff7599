"""The judge of the soak: silent about what is right, and loud about each broken promise."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest
from django.db import transaction

from offline_portal.audit import chain
from offline_portal.delivery import control, sweep
from offline_portal.models import AuditEntry, Delivery, RequestCopy, Row, Send
from tests.conftest import Road
from tests.delivery.test_faults import begin_and_die, lapse
from tests.soak import judge
from tests.soak.vendors import VENDORS, Vendor

BY_NAME = {vendor.name: replace(vendor, rows=6) for vendor in VENDORS}
QUBIT, TIMED = BY_NAME["Qubit"], BY_NAME["KISSmetrics with times"]


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
