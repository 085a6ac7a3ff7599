"""From a checked Send to one whose rows may leave: queued by a person, approved by another, at its time."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from offline_portal.audit import chain
from offline_portal.checks.start import check_again
from offline_portal.checks.withdrawal import withdraw
from offline_portal.delivery import approval
from offline_portal.delivery.states import Conflict, fresh, locked
from offline_portal.models import Approval, Destination, Send
from offline_portal.wake import wake

S = Send.Status
CHANGED = "Rows, mapping, settings or keys were changed after it was queued. Look at it again, then queue it again."
_ON_ITS_WAY = (S.AWAITING_APPROVAL, S.SCHEDULED, S.QUEUEING, S.QUEUED, S.SENDING, S.PAUSED, S.FINISHED)


class OwnSend(Conflict):
    """Nobody approves what they queued themselves."""


def queue(send: Send, actor: User) -> Send:
    """Have the ready rows sent: at once, or at its time, or once a second person has approved.

    Asked again for a Send on its way, it changes nothing. Raises Conflict.
    """
    with transaction.atomic():
        send = locked(send)
        if send.status in _ON_ITS_WAY:
            return send
        if send.status == S.CHECKING:
            raise Conflict("still_checking", "This send is still being checked. Wait until that is done.")
        if send.status != S.CHECKED:
            raise Conflict("not_checked", f"A send that is {send.get_status_display().lower()} cannot be queued.")
        if not send.ready:
            raise Conflict("nothing_ready", "No row is ready to be sent. Mend the rows with problems first.")
        destination: Destination = send.destination  # type: ignore[assignment]
        if destination.archived_at:
            raise Conflict("destination_archived", f"“{destination.name}” has been archived. Choose another one.")
        stale = destination.current_id != send.settings_version_id
        if stale:
            Send.objects.filter(pk=send.pk).update(settings_version=destination.current)
            check_again(send)
        else:
            Send.objects.filter(pk=send.pk).update(queued_by=actor, reason="")
            if destination.require_approval:
                Send.objects.filter(pk=send.pk).update(status=S.AWAITING_APPROVAL)
                approval.ask(send, actor)
            else:
                _release(send, actor.get_username())
    if stale:
        raise Conflict(
            "settings_changed",
            "The destination's settings were changed after the check. The rows are being checked again; then send.",
        )
    return fresh(send)


def approve(send: Send, actor: User, reason: str = "") -> Send:
    """Say yes to a Send that another person queued. Raises Conflict, and OwnSend for one's own.

    When anything has changed since it was asked for, the approval is void and the Send `checked` again.
    """
    with transaction.atomic():
        send, asked = _to_decide(send, actor)
        void = asked.digest != approval.digest(send)
        if void:
            withdraw(send, actor.get_username(), CHANGED)
        else:
            approval.decide(asked, "approved", reason.strip()[:500], actor)
            _release(send, actor.get_username())
    if void:
        raise Conflict("approval_void", f"{CHANGED} It was not sent.")
    return fresh(send)


def reject(send: Send, actor: User, reason: str = "") -> Send:
    """Say no: the Send is `checked` again, with the reason. Raises Conflict, and OwnSend for one's own."""
    with transaction.atomic():
        send, asked = _to_decide(send, actor)
        approval.decide(asked, "rejected", reason.strip()[:500], actor)
        words = f"Not approved by {actor.get_username()}. {reason.strip()}".strip()
        Send.objects.filter(pk=send.pk).update(status=S.CHECKED, reason=words)
    return fresh(send)


def choose_time(send: Send, at: datetime | None) -> None:
    """When its rows leave once it is queued (aware; None: at once). Only a `checked` Send takes it."""
    Send.objects.filter(pk=send.pk, status=S.CHECKED).update(scheduled_at=at)


def take_back(send: Send, actor: User) -> Send:
    """Make a Send that waits for an approval or for its time `checked` again. Raises Conflict."""
    with transaction.atomic():
        send = locked(send)
        if not withdraw(send, actor.get_username(), f"Taken back by {actor.get_username()}."):
            raise Conflict("not_waiting", "Only a send that waits for an approval or for its time can be taken back.")
    return fresh(send)


def _to_decide(send: Send, actor: User) -> tuple[Send, Approval]:
    send = locked(send)
    asked = approval.awaited(send)
    if send.status != S.AWAITING_APPROVAL or asked is None:
        raise Conflict("not_awaiting", "This send does not wait for an approval.")
    if asked.asked_by_id == actor.pk:
        raise OwnSend("own_send", "You queued this send yourself. Somebody else has to approve it.")
    return send, asked


def release_due() -> int:
    """Let the scheduled sends go whose time has come; returns how many. For the sweeper."""
    due = Send.objects.filter(status=S.SCHEDULED, scheduled_at__lte=timezone.now())
    return sum(_release_one(pk) for pk in due.values_list("pk", flat=True))


def _release_one(pk: int) -> bool:
    with transaction.atomic():
        send = locked(Send(pk=pk))
        if send.status != S.SCHEDULED:
            return False
        destination: Destination = send.destination  # type: ignore[assignment]
        unchanged = destination.current_id == send.settings_version_id and approval.still_holds(send)
        if unchanged:
            _release(send, "portal")
        else:
            withdraw(send, "portal", CHANGED)
    return unchanged


def _release(send: Send, actor: str) -> None:
    """All that had to be agreed is: wait for the time, or have a worker queue the rows."""
    if send.scheduled_at and send.scheduled_at > timezone.now():
        Send.objects.filter(pk=send.pk).update(status=S.SCHEDULED)
        chain.add(actor, "send.scheduled", f"send:{send.pk}", {"at": send.scheduled_at.isoformat()})
        return
    Send.objects.filter(pk=send.pk).update(
        status=S.QUEUEING, reached_line=0, reason="", fence=F("fence") + 1, lease_until=None
    )
    chain.add(actor, "send.queueing", f"send:{send.pk}", {"ready": send.ready})
    wake("intake", f"queue:{send.pk}")
