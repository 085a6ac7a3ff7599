"""V9, V15, V16: a vendor that wants to be left alone, is still busy, or may have forgotten the key of a repeat."""

from __future__ import annotations

import math
import re
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Response
from offline_portal import destinations
from offline_portal.access import tokens
from offline_portal.audit import triggers
from offline_portal.delivery import control
from offline_portal.delivery.doubt import TOO_LATE
from offline_portal.delivery.pausing import wait
from offline_portal.delivery.verdict import LONGEST_WAIT, seconds_to_wait
from offline_portal.models import Attempt, Batch, Delivery, Destination, Outcome, SentKey
from tests.conftest import Road
from tests.delivery.test_road import counts
from tests.faults.vendors import (
    KISSMETRICS,
    QUBIT,
    ROWS,
    VENDORS,
    WITH_KEY,
    Vendor,
    audit,
    errors,
    name,
    once_at_the_vendor,
    statuses,
    sums_hold,
)

each = pytest.mark.parametrize("vendor", VENDORS, ids=name)
NOTHING_NAMED = ("", "soon", "-5", "date:-60", "nan", "inf", "1_0", "٣", "0", "0x10",
                 "Mon, 01 Jan 99999999999999999999 00:00:00 GMT")  # fmt: skip


def waits(where: Destination) -> float:
    """Seconds until the destination may be asked again, counted from the last answer."""
    where.refresh_from_db()
    assert where.waits_until is not None
    last = Attempt.objects.filter(batch__destination=where).latest("pk").answer.ended_at
    return (where.waits_until - last).total_seconds()


@each
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("said", "seconds"), [("2", 2), ("date:3", 3), ("1.5", 1.5)])
def test_it_waits_as_told_and_goes_on_by_itself(
    road: Road, vendor: Vendor, status: int, said: str, seconds: float
) -> None:
    where = vendor.where(road, rate=2)
    road.emulator.set(vendor.slug, status=status, retry_after=said, times=1)
    send = sums_hold(road.deliver(road.check(road.upload(vendor.sheet()), where)))
    assert counts(send) == {"accepted": ROWS}
    once_at_the_vendor(road, vendor)
    asked = Attempt.objects.get(answer__status=status)
    # A date has whole seconds.
    until = asked.answer.ended_at + timedelta(seconds=seconds - 1 * said.startswith("date"))
    left = Attempt.objects.exclude(answer__status=None)
    assert not left.filter(started_at__gt=asked.answer.ended_at, started_at__lt=until).exists()


@each
def test_the_wait_holds_for_the_whole_destination_and_for_no_other(road: Road, vendor: Vendor) -> None:
    where, other = vendor.where(road, "asked to wait"), vendor.where(road, "not asked", rate=1000)
    first = road.queue(road.check(road.upload(vendor.sheet()), where))
    road.emulator.set(vendor.slug, status=429, retry_after="3600", times=vendor.requests())
    first = sums_hold(road.shift(first, 1))
    asked = road.emulator.counts(vendor.slug)["requests"]
    assert counts(first) == {"queued": ROWS} and asked <= vendor.requests()
    assert {status for status in statuses(first) if status} == {429}, "the others were held back"
    assert 3590 < waits(where) < 3601
    road.emulator.clear()
    second = road.queue(road.check(road.upload(vendor.sheet(first=100), "second.csv"), where))
    third = road.queue(road.check(road.upload(vendor.sheet(first=200), "third.csv"), other))
    third = sums_hold(road.shift(third, 2))
    assert (counts(third), road.emulator.counts(vendor.slug)["received"]) == ({"accepted": ROWS}, ROWS)
    assert counts(sums_hold(second)) == counts(sums_hold(first)) == {"queued": ROWS}
    Destination.objects.filter(pk=where.pk).update(waits_until=timezone.now())
    assert counts(sums_hold(road.shift(second))) == counts(sums_hold(first)) == {"accepted": ROWS}


@pytest.mark.parametrize("said", NOTHING_NAMED)
def test_what_names_no_time_is_waited_for_as_for_a_fault(road: Road, settings: LazySettings, said: str) -> None:
    settings.PORTAL_RETRY_BASE = 40
    where = QUBIT.where(road)
    road.emulator.set("qubit", status=429, **({"retry_after": said} if said else {}))
    send = sums_hold(road.deliver(road.check(road.upload(QUBIT.sheet()), where), 1))
    assert (counts(send), statuses(send)) == ({"queued": ROWS}, [429])
    assert 19 < waits(where) <= 41


def test_a_huge_time_is_cut_to_a_day(road: Road) -> None:
    where = QUBIT.where(road)
    road.emulator.set("qubit", status=429, retry_after="9" * 30)
    send = sums_hold(road.deliver(road.check(road.upload(QUBIT.sheet()), where), 1))
    assert counts(send) == {"queued": ROWS}
    assert LONGEST_WAIT - 10 < waits(where) < LONGEST_WAIT + 1


@each
def test_where_no_time_is_named_the_pauses_grow_up_to_the_ceiling_and_nobody_is_given_up(
    road: Road, vendor: Vendor, settings: LazySettings
) -> None:
    settings.PORTAL_RETRY_BASE, settings.PORTAL_RETRY_CEILING, settings.PORTAL_RETRY_LIMIT = 10, 60, 2
    where = vendor.where(road, rate=2)
    road.emulator.set(vendor.slug, status=429)
    send, found = road.queue(road.check(road.upload(vendor.sheet()), where)), []
    for _ in range(5):
        send = sums_hold(road.shift(send, 1))
        found.append(waits(where))
        assert Batch.objects.get(send=send).tries == len(found), "kept where another worker finds it"
        Destination.objects.filter(pk=where.pk).update(waits_until=timezone.now())
    for seconds, longest in zip(found, (10, 20, 40, 60, 60), strict=True):
        assert longest / 2 - 1 < seconds <= longest + 1
    assert counts(send) == {"queued": ROWS}
    road.emulator.clear()
    assert counts(sums_hold(road.shift(send, 10))) == {"accepted": ROWS}


def test_a_wait_is_never_cut_short_by_another_reason(road: Road) -> None:
    """Two requests at once: one is told to wait an hour, the other gets no answer at all."""
    where = KISSMETRICS.where(road, rate=1000)
    asked, lost = {"value": 429, "times": 1}, {"value": "before_storing", "every": 2}
    road.emulator.set("kissmetrics", status=asked, retry_after="3600", cut=lost)
    send = sums_hold(road.deliver(road.check(road.upload(KISSMETRICS.sheet(2)), where), 1))
    assert counts(send) == {"queued": 2} and sorted(statuses(send), key=str) == [429, None]
    assert 3590 < waits(where) < 3601
    wait(where.pk, 5)
    assert 3590 < waits(where) < 3601


def test_an_open_destination_still_waits_as_its_vendor_asked(road: Road) -> None:
    where = QUBIT.where(road)
    road.emulator.set("qubit", status=429, retry_after="3600", times=1)
    send = road.deliver(road.check(road.upload(QUBIT.sheet()), where), 1)
    destinations.change(where, road.people["adam"], paused=True)
    where.refresh_from_db()
    destinations.change(where, road.people["adam"], paused=False)
    assert counts(sums_hold(road.shift(send, 1))) == {"queued": ROWS}
    assert 3590 < waits(where) < 3601


def seen(road: Road, *addresses: str) -> list[str]:
    """Pages as olivia reads them: words only."""
    client = Client()
    client.force_login(road.olivia)
    return [" ".join(re.sub("<[^>]+>", " ", client.get(one).content.decode()).split()) for one in addresses]


def waits_until(road: Road, where: Destination) -> datetime | None:
    """As the API tells it."""
    key = {"Authorization": f"Bearer {tokens.make(road.olivia)}"}
    told = Client().get(f"/api/v1/destinations/{where.pk}", headers=key).json()["waits_until"]
    return datetime.fromisoformat(told) if told else None


def test_people_are_told_until_when_it_waits_and_that_the_vendor_asked(road: Road) -> None:
    where = QUBIT.where(road)
    road.emulator.set("qubit", status=429, retry_after="3600")
    send = road.deliver(road.check(road.upload(QUBIT.sheet()), where), 1)
    where.refresh_from_db()
    until = timezone.localtime(where.waits_until).strftime("%H:%M:%S")
    page, detail, listed = seen(road, f"/sends/{send.pk}", f"/destinations/{where.pk}", "/destinations/")
    assert re.search(f"waits until [^.]*{until} because the vendor asked", page)
    assert re.search(f"It waits until [^.]*{until} , because the vendor asked for that", detail)
    assert re.search(f"Waits until [^.]*{until}", listed)
    assert waits_until(road, where) == where.waits_until
    Destination.objects.update(waits_until=timezone.now() - timedelta(seconds=1))
    assert waits_until(road, where) is None, "what is over is not told"
    assert "because the vendor asked" not in " ".join(seen(road, f"/sends/{send.pk}", f"/destinations/{where.pk}"))


def test_a_pause_of_our_own_is_not_called_the_vendors(road: Road, settings: LazySettings) -> None:
    settings.PORTAL_RETRY_BASE = 100
    where = KISSMETRICS.where(road)
    road.emulator.set("kissmetrics", status=500)
    send = road.deliver(road.check(road.upload(KISSMETRICS.sheet()), where), 1)
    pages = seen(road, f"/sends/{send.pk}", f"/destinations/{where.pk}")
    assert all("the vendor asked" not in page and "no usable answer" in page for page in pages)
    assert "( 1 time in a row)" in pages[1].replace("(1", "( 1")


@given(st.one_of(
    st.text(max_size=40),
    st.integers().map(str),
    st.floats().map(str),
    st.datetimes().map(lambda moment: format_datetime(moment.replace(tzinfo=UTC), usegmt=True)),
    st.tuples(st.integers(), st.integers(), st.integers()).map("Mon, {0[0]} Jan {0[1]} {0[2]}:00:00 GMT".format),
))  # fmt: skip
def test_no_retry_after_does_harm(text: str) -> None:
    found = seconds_to_wait(Response(429, {"Retry-After": text}, b""))
    assert found is None or (math.isfinite(found) and 0 <= found <= LONGEST_WAIT)


def test_a_date_counts_from_now() -> None:
    ahead = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert 85 < (seconds_to_wait(Response(503, {"retry-after": ahead}, b"")) or 0) <= 90


def test_what_has_begun_and_not_left_stays_here_once_the_vendor_wants_no_more(road: Road) -> None:
    where = KISSMETRICS.where(road, rate=40)
    road.emulator.set("kissmetrics", status=429, retry_after="3600")
    send = sums_hold(road.deliver(road.check(road.upload(KISSMETRICS.sheet(60)), where), 1))
    assert counts(send) == {"queued": 60}
    # A quarter of a second of moments was given out; only what left before the first answer came arrived.
    assert road.emulator.counts("kissmetrics")["requests"] == len([one for one in statuses(send) if one]) <= 5
    held_back = Delivery.objects.filter(send=send, code="held_up")
    assert held_back.count() >= 3 and "wanted no more requests" in held_back[0].message
    assert errors(send).count("") == road.emulator.counts("kissmetrics")["requests"]


# V15


@pytest.mark.parametrize("vendor", VENDORS[:3], ids=name)
@pytest.mark.parametrize("store", [True, False])
def test_still_busy_with_it_waits_and_repeats_with_a_key(
    road: Road, vendor: Vendor, store: bool, settings: LazySettings
) -> None:
    settings.PORTAL_RETRY_BASE = 0.2
    road.emulator.set(vendor.slug, status=409, store=store, times=1)
    send = sums_hold(road.deliver(road.check(road.upload(vendor.sheet()), vendor.where(road, rate=50))))
    assert counts(send) == {"accepted": ROWS}
    assert statuses(send).count(409) == 1
    once_at_the_vendor(road, vendor)
    assert set(Delivery.objects.filter(send=send).values_list("code", "message")) == {("", "")}


@pytest.mark.parametrize("store", [True, False])
def test_still_busy_with_it_is_unknown_without_a_key(road: Road, store: bool) -> None:
    road.emulator.set("qubit", status=409, store=store, times=1)
    send = sums_hold(road.deliver(road.check(road.upload(QUBIT.sheet()), QUBIT.where(road))))
    assert (send.status, counts(send), statuses(send)) == ("finished", {"unknown": ROWS}, [409])
    assert road.emulator.counts("qubit")["requests"] == 1
    assert set(Delivery.objects.filter(send=send).values_list("code", flat=True)) == {"http_409"}


# V16, and what is said of a row that was tried often enough


def grow_old(hours: float) -> None:
    """As if all attempts had been made so long ago. (The log is not asked afterwards.)"""
    with connection.cursor() as cursor:
        triggers.remove(connection.alias)
        earlier = Attempt.objects.latest("pk").started_at - timedelta(hours=hours)
        cursor.execute("UPDATE portal_attempt SET started_at = %s", [connection.ops.adapt_datetimefield_value(earlier)])
        triggers.install(connection.alias)


@pytest.mark.parametrize("vendor", WITH_KEY, ids=name)
def test_a_lost_answer_of_yesterday_is_not_repeated_any_more(
    road: Road, vendor: Vendor, settings: LazySettings
) -> None:
    settings.PORTAL_RETRY_BASE = 0.01
    road.emulator.set(vendor.slug, cut="after_storing")
    send = road.deliver(road.check(road.upload(vendor.sheet()), vendor.where(road)), 0.3)
    assert counts(send) == {"queued": ROWS}
    grow_old(23.9)
    send = road.shift(send, 0.3)
    assert counts(send) == {"queued": ROWS}, "a day is not over"
    grow_old(24.1)
    road.emulator.clear()
    Destination.objects.update(waits_until=None)
    Batch.objects.update(due_at=timezone.now())
    send = road.shift(send, 2)
    tried = set(Attempt.objects.values_list("deliveries", flat=True))
    assert (send.status, counts(send)) == ("finished", {"unknown": ROWS}), tried
    assert road.emulator.counts(vendor.slug)["requests"] == 0
    assert set(Delivery.objects.filter(send=send).values_list("code", "message")) == {("too_late", TOO_LATE)}
    assert [found["rows"] for found in audit("send.doubt_ended")] == [ROWS]
    # A person's decision counts from anew.
    for delivery in Delivery.objects.filter(send=send):
        control.resolve(delivery, "resend", "the vendor does not have it", road.olivia)
    assert counts(road.shift(send)) == {"accepted": ROWS}


def test_what_surely_never_left_may_wait_for_longer_than_a_day(road: Road) -> None:
    road.emulator.set("kissmetrics", status=503, retry_after="1", times=ROWS)
    send = road.deliver(road.check(road.upload(KISSMETRICS.sheet()), KISSMETRICS.where(road)), 0.5)
    grow_old(48)
    assert counts(road.shift(send)) == {"accepted": ROWS}


def closed_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"


@pytest.mark.parametrize("vendor", VENDORS, ids=name)
def test_after_the_last_try_a_row_that_never_left_has_failed(
    road: Road, vendor: Vendor, settings: LazySettings
) -> None:
    settings.PORTAL_RETRY_BASE, settings.PORTAL_RETRY_CEILING, settings.PORTAL_RETRY_LIMIT = 0.01, 0.05, 3
    where = vendor.where(road, base_url=closed_port())
    send = sums_hold(road.deliver(road.check(road.upload(vendor.sheet()), where), 20))
    assert (send.status, counts(send)) == ("finished", {"failed": ROWS})
    assert set(Delivery.objects.filter(send=send).values_list("attempt_count", flat=True)) == {3}
    [message] = set(Delivery.objects.filter(send=send).values_list("message", flat=True))
    assert message.startswith("Given up after 3 tries.") and "refused the connection" in message
    assert not SentKey.objects.exists(), "so that it can be sent again, by whatever file"


@pytest.mark.parametrize("vendor", WITH_KEY, ids=name)
def test_after_the_last_try_a_row_that_may_have_arrived_is_unknown(
    road: Road, vendor: Vendor, settings: LazySettings
) -> None:
    """Stored, its answer cut; and from then on the vendor cannot be reached any more."""
    settings.PORTAL_RETRY_BASE, settings.PORTAL_RETRY_CEILING, settings.PORTAL_RETRY_LIMIT = 0.01, 0.05, 3
    where = vendor.where(road)
    road.emulator.set(vendor.slug, cut="after_storing")
    send, lost = road.queue(road.check(road.upload(vendor.sheet()), where)), set()
    for _ in range(50):
        if lost:
            break
        road.shift(send, 0.2)
        lost = set(Outcome.objects.filter(code="no_answer").values_list("delivery__line", flat=True))
    where.current.values["base_url"] = closed_port()  # type: ignore[union-attr]
    where.current.save()  # type: ignore[union-attr]
    send = sums_hold(road.shift(send, 20))
    assert lost and send.status == "finished" and send.queued == 0
    ended = dict(Delivery.objects.filter(send=send).values_list("line", "status"))
    assert {line for line, status in ended.items() if status == "unknown"} == lost
    assert set(ended.values()) <= {"unknown", "failed"}
    assert SentKey.objects.count() == len(lost)
