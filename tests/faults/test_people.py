"""Twenty calls at once, a web server that dies at the worst moment, and people or keys that change in mid-run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User

from offline_portal import checks, destinations, people
from offline_portal.delivery import queue
from offline_portal.models import AuditEntry, Delivery, Send, Upload, Wakeup
from tests.conftest import Road
from tests.delivery.test_road import KISS, QUBIT, counts
from tests.faults.programs import Programs, Web, until
from tests.faults.soundness import must_be_sound


@pytest.fixture
def web(programs: Programs, road: Road) -> Web:
    return programs.web(DEBUG="1").sign_in(road.olivia)


def at_once(call: Callable[[], Any]) -> list[Any]:
    """Twenty of the same at one moment."""
    with ThreadPoolExecutor(20) as pool:
        return [answer.result() for answer in [pool.submit(call) for _ in range(20)]]


def statuses(answers: list[tuple[int, Any]]) -> Counter[int]:
    return Counter(status for status, _answer in answers)


def logged(action: str) -> int:
    return AuditEntry.objects.filter(action=action).count()


def test_twenty_equal_calls_with_a_key_make_one_send_and_without_one_send_rows_once(road: Road, web: Web) -> None:
    upload, where = road.upload(QUBIT), road.destination("qubit")
    body = {"upload": str(upload.pk), "destination": str(where.pk), "mapping": "auto"}
    keyed = at_once(lambda: web.api("POST", "/sends", body, Idempotency_Key="once"))
    assert set(statuses(keyed)) <= {201, 409} and Send.objects.count() == 1
    plain = at_once(lambda: web.api("POST", "/sends", body))
    assert statuses(plain) == {201: 20} and Send.objects.count() == 21
    for send in Send.objects.all():
        checks.run(send.pk)
    for send in Send.objects.all():
        assert web.api("POST", f"/sends/{send.pk}/queue")[0] == 202
        queue.run(send.pk)
    road.shift(send)
    assert Delivery.objects.filter(status="accepted").count() == 250
    assert road.emulator.counts("qubit")["repeated"] == 0


def test_each_act_twenty_times_at_once_does_it_once(road: Road, web: Web) -> None:
    road.emulator.set("qubit", fail_every=10)
    send = road.check(road.upload(QUBIT), road.destination("qubit"))

    def act(what: str, body: object = None) -> Counter[int]:
        return statuses(at_once(lambda: web.api("POST", f"/sends/{send.pk}/{what}", body)))

    assert act("queue") == {202: 20} and logged("send.queueing") == 1
    queue.run(send.pk)
    assert act("pause") == {202: 20} and logged("send.paused") == 1
    assert act("resume") == {202: 20} and logged("send.resumed") == 1
    assert road.shift(send).rejected == 25
    found = act("retry", {"statuses": ["rejected"], "reason": "mended"})
    assert found == {202: 1, 409: 19} and logged("send.retried") == 1
    assert act("cancel") == {202: 20} and logged("send.cancelled") == 1
    send.refresh_from_db()
    assert counts(send) == {"accepted": 225, "cancelled": 25}


def test_a_double_click_and_a_second_tab_send_once(road: Road, web: Web) -> None:
    send = road.check(road.upload(KISS), road.destination("kissmetrics"))
    assert statuses(at_once(lambda: web.post(f"/sends/{send.pk}/send", when="now"))) == {302: 20}
    assert logged("send.queueing") == 1 and Wakeup.objects.filter(work=f"queue:{send.pk}").count() == 1
    queue.run(send.pk)
    assert statuses(at_once(lambda: web.post(f"/sends/{send.pk}/do/pause"))) == {302: 20}
    assert logged("send.paused") == 1


def test_a_web_server_killed_between_commit_and_wake_up_loses_no_send(road: Road, programs: Programs) -> None:
    send = road.check(road.upload(KISS), road.destination("kissmetrics"))
    dying = programs.web("tests.faults.dying_web:application", DEBUG="1").sign_in(road.olivia)
    assert dying.api("POST", f"/sends/{send.pk}/queue") == (0, None)
    send.refresh_from_db()
    assert send.status == "queueing" and Wakeup.objects.filter(work=f"queue:{send.pk}").exists()
    # As if the time had passed after which a wake-up that nobody took is taken for lost.
    Wakeup.objects.all().delete()
    for queue_name in ("intake", "delivery"):
        programs.worker(queue_name)
    programs.sweeper()
    until(lambda: Send.objects.get(pk=send.pk).status == "finished", "it starts by itself", said=programs.said)
    assert must_be_sound(road, send) == {"accepted": 120}


@pytest.mark.parametrize("change", [people.disable, lambda who, by: people.set_roles(who, ["auditor"], by)])
def test_what_a_person_queued_goes_on_when_they_may_no_longer_send_and_it_is_logged(
    road: Road, change: Callable[[User, str], object]
) -> None:
    where = road.destination("kissmetrics", values={"rate": 20})
    send = road.deliver(road.check(road.upload(KISS), where), seconds=1)
    assert send.queued
    change(road.olivia, "adam")
    where.current.values["rate"] = 2000
    where.current.save()
    assert counts(road.shift(send)) == {"accepted": 120}
    assert logged("person.disabled") + logged("person.roles_changed") == 1
    assert AuditEntry.objects.get(action="send.queueing").actor == "olivia"


def test_a_key_revoked_or_deleted_in_mid_run_pauses_with_the_reason_and_a_new_one_is_taken(road: Road) -> None:
    adam = road.people["adam"]
    where = road.destination("qubit", values={"rate": 1})
    send = road.deliver(road.check(road.upload(QUBIT), where), seconds=1)
    sent = road.emulator.counts("qubit")["requests"]
    assert 0 < sent < 3
    road.emulator.set("qubit", status=401)
    send = road.shift(send, 5)
    assert send.status == "paused" and "401" in send.reason and not send.rejected
    road.emulator.clear(switches=True)
    where.refresh_from_db()
    destinations.set_secrets(where, adam, {"tracking_id": "another"})
    where.refresh_from_db()
    destinations.change(where, adam, paused=False)
    send = road.shift(send, 10)
    assert counts(send) == {"accepted": 250}
    assert {entry["account"] for entry in road.emulator.ledger("qubit")} == {"another"}
    assert json.loads(AuditEntry.objects.get(action="secret.changed").detail) == {"keys": ["tracking_id"]}
    assert Upload.objects.count() == 1
