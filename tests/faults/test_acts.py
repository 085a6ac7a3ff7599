"""What people do with a send on its way: twice, or in the middle of something; from a terminal too."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from offline_portal.delivery import control, queue, release
from offline_portal.delivery.states import Conflict
from offline_portal.models import AuditEntry, Delivery, Send
from tests.conftest import Road
from tests.delivery.test_road import KISS, QUBIT, counts


def told(*arguments: str) -> tuple[int, str, str]:
    """Exit code, output and complaint of a command."""
    out, complaint, code = io.StringIO(), io.StringIO(), 0
    try:
        call_command(*arguments, stdout=out, stderr=complaint)
    except SystemExit as end:
        code = int(end.code or 0)
    except CommandError as wrong:
        code = wrong.returncode
        complaint.write(str(wrong))
    return code, out.getvalue(), complaint.getvalue()


def logged(action: str) -> int:
    return AuditEntry.objects.filter(action=action).count()


def queueing(road: Road) -> Send:
    return release.queue(road.check(road.upload(KISS), road.destination("kissmetrics")), road.olivia)


def test_a_send_that_is_paused_while_it_is_queued_is_paused_then(road: Road) -> None:
    send = queueing(road)
    for _ in range(2):
        send = control.pause(send, road.olivia)
        assert (send.status, send.reason) == ("queueing", "Paused by olivia.")
    queue.run(send.pk)
    send = road.shift(send, 1)
    assert (send.status, send.reason, send.held) == ("paused", "Paused by olivia.", False)
    assert counts(send) == {"queued": 120}
    assert road.emulator.counts("kissmetrics")["requests"] == 0 and logged("send.paused") == 1
    control.resume(send, road.olivia)
    assert counts(road.shift(send)) == {"accepted": 120}


def test_it_is_not_paused_when_it_was_resumed_before_it_was_queued(road: Road) -> None:
    send = queueing(road)
    control.pause(send, road.olivia)
    for _ in range(2):
        assert control.resume(send, road.olivia).reason == ""
    assert (logged("send.paused"), logged("send.resumed")) == (1, 1)
    queue.run(send.pk)
    assert counts(road.shift(send)) == {"accepted": 120}


def test_opening_its_destination_does_not_resume_what_a_person_paused(road: Road) -> None:
    send = queueing(road)
    control.pause(send, road.olivia)
    place = send.destination
    place.paused, place.reason = True, "Month end."
    place.save()
    queue.run(send.pk)
    control.destination_opened(place)
    send.refresh_from_db()
    assert (send.status, send.reason, send.held) == ("paused", "Paused by olivia.", False)


def test_a_send_is_led_from_a_terminal(road: Road) -> None:
    send = road.check(road.upload(QUBIT), road.destination("qubit"))
    act = "send", str(send.pk)
    who = "--as", "olivia"
    code, out, _ = told(*act, "queue", *who)
    assert code == 0 and "250" in out
    assert told(*act, "queue", *who)[0] == 0
    assert told(*act, "pause", *who)[0] == 0
    queue.run(send.pk)
    code, out, _ = told(*act, "pause", *who, "--json")
    assert (code, json.loads(out)["status"], logged("send.paused")) == (0, "paused", 1)
    for _ in range(2):
        assert told(*act, "resume", *who)[0] == 0
    road.emulator.set("qubit", fail_every=10)
    send = road.shift(send)
    assert send.rejected == 25
    code, _, complaint = told(*act, "pause", *who)
    assert code == 1 and "Only a send that is queued or sending" in complaint
    road.emulator.clear()
    code, out, _ = told(*act, "retry", *who, "--statuses", "rejected", "--reason", "mended", "--json")
    assert (code, json.loads(out)["counts"]["queued"]) == (0, 25)
    assert json.loads(AuditEntry.objects.get(action="send.retried").detail)["reason"] == "mended"
    for _ in range(2):
        assert told(*act, "cancel", *who)[0] == 0
    send.refresh_from_db()
    assert (send.status, counts(send)) == ("cancelled", {"accepted": 225, "cancelled": 25})
    assert {entry.actor for entry in AuditEntry.objects.filter(action="send.cancelled")} == {"olivia"}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("send", "424242", "pause", "--as", "olivia"), "There is no send '424242'."),
        (("send", "one", "pause", "--as", "olivia"), "There is no send 'one'."),
        (("send", "1", "pause"), "Say who sends: --as USER."),
        (("send", "1", "pause", "--as", "audrey"), "audrey is not a person who may send"),
        (("send", "1", "pause", "--as", "olivia", "--reason", "x"), "belong to retry"),
        (("send", "1", "retry", "--as", "olivia", "--statuses", "accepted"), "Only rejected and failed rows"),
        (("send", "1", "polish"), "invalid choice: 'polish'"),
        (("resolve", "424242", "resend", "--as", "olivia", "--reason", "x"), "There is no delivery '424242'."),
        (("resolve", "1", "resend", "--as", "olivia", "--reason", " "), "Say why"),
        (("resolve", "1", "resend", "--as", "olivia"), "--reason"),
    ],
)  # fmt: skip
def test_wrong_use_is_one_clear_line(people: Any, arguments: tuple[str, ...], complaint: str) -> None:
    code, _, said = told(*arguments)
    assert complaint in said and "\n" not in said.strip()
    assert code in (1, 2) and "Traceback" not in said


def test_an_unknown_row_is_settled_from_a_terminal(road: Road) -> None:
    road.emulator.set("qubit", cut={"value": "after_storing", "times": 1})
    send = road.deliver(road.check(road.upload(QUBIT), road.destination("qubit")))
    one, two, three = Delivery.objects.filter(send=send, status="unknown").order_by("line")[:3]
    because = "--as", "olivia", "--reason", "looked it up"
    code, out, _ = told("resolve", str(one.pk), "accepted", *because, "--json")
    assert (code, json.loads(out)["status"], json.loads(out)["evidence"]) == (0, "accepted", "stated")
    code, _, complaint = told("resolve", str(one.pk), "accepted", *because)
    assert code == 1 and "still unknown" in complaint
    code, out, _ = told("resolve", str(two.pk), "abandoned", *because)
    assert code == 0 and "unknown, decided: abandoned" in out
    assert told("resolve", str(three.pk), "resend", *because)[0] == 0
    send = road.shift(send)
    assert counts(send) == {"accepted": 152, "unknown": 98}
    assert logged("delivery.resolved") == 3


def test_cancel_in_mid_run_leaves_what_was_sent_and_cancels_the_rest(road: Road) -> None:
    where = road.destination("kissmetrics", values={"rate": 20})
    send = road.deliver(road.check(road.upload(KISS), where), seconds=2)
    assert 0 < send.accepted < 120
    for _ in range(20):
        send = control.cancel(send, road.olivia)
    accepted = send.accepted
    assert (send.status, counts(send), logged("send.cancelled")) == (
        "cancelled", {"accepted": accepted, "cancelled": 120 - accepted}, 1,
    )  # fmt: skip
    road.shift(send, 1)
    assert road.emulator.counts("kissmetrics")["requests"] == accepted
    with pytest.raises(Conflict):
        control.pause(send, road.olivia)
