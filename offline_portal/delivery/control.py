"""What a person may do with a Send on its way: pause, resume, cancel, retry, and settle an unknown row.

Every act is a conditional update: twenty clicks at once do it once.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from offline_portal.audit import chain
from offline_portal.delivery import again, cancelling, counting
from offline_portal.delivery.readback import asking
from offline_portal.delivery.states import Conflict, fresh, locked, log
from offline_portal.models import Delivery, Destination, Readback, Send
from offline_portal.wake import wake

S = Send.Status
L = Readback.State


def pause(send: Send, actor: User) -> Send:
    """Begin no more requests of this Send; those on the wire are awaited. Raises Conflict.

    One that is still being queued is paused as soon as that is done; until then its reason says so.
    """
    reason = f"Paused by {actor.get_username()}."
    with transaction.atomic():
        send = locked(send)
        mine = Send.objects.filter(pk=send.pk)
        if send.status in (S.QUEUED, S.SENDING):
            mine.update(status=S.PAUSED, reason=reason, held=False)
            log(actor, "send.paused", send)
        elif send.status == S.QUEUEING and not send.reason:
            mine.update(reason=reason)
            log(actor, "send.paused", send)
        elif send.status == S.PAUSED:
            mine.update(held=False)
        elif send.status != S.QUEUEING:
            raise Conflict("not_running", "Only a send that is queued or sending can be paused.")
    return fresh(send)


def resume(send: Send, actor: User) -> Send:
    """Let a paused Send go on. Raises Conflict (`destination_paused` while its destination is)."""
    with transaction.atomic():
        send = locked(send)
        if send.status in (S.QUEUED, S.SENDING) or (send.status == S.QUEUEING and not send.reason):
            return send
        if send.status == S.QUEUEING:
            Send.objects.filter(pk=send.pk).update(reason="")
            log(actor, "send.resumed", send)
            return fresh(send)
        if send.status != S.PAUSED:
            raise Conflict("not_paused", "Only a paused send can be resumed.")
        destination: Destination = send.destination  # type: ignore[assignment]
        if destination.paused:
            raise Conflict(
                "destination_paused",
                f"“{destination.name}” is paused: {destination.reason} An admin has to open it first.",
            )
        _go_on(Send.objects.filter(pk=send.pk))
        log(actor, "send.resumed", send)
    return fresh(send)


def destination_opened(destination: Destination) -> None:
    """Inside the transaction that opened it: the sends that stood still because of it go on."""
    # A pause that we took after faults is over; one that the vendor asked for is not ours to end.
    Destination.objects.filter(pk=destination.pk, failures__gt=0).update(waits_until=None, failures=0)
    _go_on(Send.objects.filter(destination=destination, status=S.PAUSED, held=True))


def _go_on(sends: object) -> None:
    sends.update(status=S.QUEUED, reason="", held=False, refusals_in_a_row=0, refusal_words="")  # type: ignore[attr-defined]
    wake("delivery", "shift")


def cancel(send: Send, actor: User) -> Send:
    """Send nothing more: waiting rows become `cancelled`, those on the wire are awaited. Raises Conflict."""
    with transaction.atomic():
        send = locked(send)
        if send.status == S.CANCELLED:
            return send
        if send.status in (S.FINISHED, S.FAILED):
            raise Conflict("already_over", "This send is over already; there is nothing left to cancel.")
        Send.objects.filter(pk=send.pk).update(
            status=S.CANCELLED, finished_at=timezone.now(), fence=F("fence") + 1, lease_until=None, held=False,
            again="", reason=f"Cancelled by {actor.get_username()}.",
        )
        if send.status == S.QUEUEING:
            # Half of its rows have a Batch, half have none: count all as queued, so that all become cancelled.
            Delivery.objects.filter(send=send, generation=send.generation, verdict="ready").update(status="queued")
            Send.objects.filter(pk=send.pk).update(queued=F("ready"))
        log(actor, "send.cancelled", send, {"accepted": send.accepted, "sending": send.sending})
        wake("intake", f"cancel:{send.pk}")
    cancelling.next_rows(send)
    return fresh(send)


def retry(send: Send, statuses: Sequence[str], reason: str, actor: User) -> Send:
    """Queue the rows in these statuses (`rejected`, `failed`) again, with the same wire keys. Raises Conflict.

    Rows whose conversion another Send has sent meanwhile stay as they are. Of very many, a worker queues the rest.
    """
    wanted = [status for status in ("rejected", "failed") if status in statuses]
    if not wanted or len(wanted) != len(set(statuses)):
        raise Conflict("statuses", "Only rejected and failed rows can be retried.")
    with transaction.atomic():
        send = locked(send)
        if send.again:
            raise Conflict("not_over", "Its rows are still being queued again. Try again in a moment.")
        if send.status not in (S.PAUSED, S.FINISHED):
            raise Conflict("not_over", "Rows can be retried once the send is finished or paused.")
        again.may_be_queued(send)
        asked = sum(getattr(send, status) for status in wanted)
        Send.objects.filter(pk=send.pk).update(again=",".join(wanted), again_behind=-1)
        queued, more = again.next_rows(send)
        if not queued and not more:
            raise Conflict("nothing_to_retry", "There is no row that could be retried.")
        rows = asked if more else queued
        log(actor, "send.retried", send, {"statuses": wanted, "rows": rows, "reason": reason})
        if more:
            wake("intake", f"again:{send.pk}")
    return fresh(send)


def resolve(delivery: Delivery, as_: str, reason: str, actor: User) -> Delivery:
    """A person's decision about an `unknown` row: `resend`, `accepted` (evidence `stated`) or `abandoned`.

    A row that was sent again and is unknown again may be decided anew; one that was abandoned stays so.
    Raises Conflict, also when no reason is given.
    """
    if as_ not in ("resend", "accepted", "abandoned"):
        raise Conflict("as", "An unknown row can be resolved as resend, accepted or abandoned.")
    if not reason.strip():
        raise Conflict("reason", "Say why: the reason is kept with the decision.")
    with transaction.atomic():
        delivery = Delivery.objects.select_for_update(of=("self",)).get(pk=delivery.pk)
        send = locked(delivery.send)
        if delivery.status != "unknown" or delivery.resolved == "abandoned":
            raise Conflict("not_unknown", "Only a row that is still unknown can be resolved.")
        if as_ == "resend":
            again.may_be_queued(send)
            Delivery.objects.filter(pk=delivery.pk).update(resolved=as_)
            counting.move(send.pk, asking.stop([delivery.pk], L.LOOKING, L.NOT_FOUND, L.NOT_AVAILABLE))
            again.queue(send, [(delivery.pk, delivery.status, bytes(delivery.duplicate_key))])
        elif as_ == "accepted":
            Delivery.objects.filter(pk=delivery.pk).update(status="accepted", evidence="stated", resolved=as_)
            counting.move(send.pk, {"unknown": -1, "accepted": 1})
        else:
            Delivery.objects.filter(pk=delivery.pk).update(resolved=as_)
            counting.move(send.pk, asking.stop([delivery.pk], L.LOOKING))
        detail = {"as": as_, "reason": reason.strip()[:500], "send": send.pk, "line": delivery.line}
        chain.add(actor.get_username(), "delivery.resolved", f"delivery:{delivery.pk}", detail)
    delivery.refresh_from_db()
    return delivery
