"""Taking a Send back that waits for an approval or for its time, because what would leave has changed."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils import timezone

from offline_portal.audit import chain
from offline_portal.models import Approval, Send

WAITING = (Send.Status.AWAITING_APPROVAL, Send.Status.SCHEDULED)


def withdraw(send: Send, actor: str, why: str) -> bool:
    """Make a waiting Send `checked` again, its approval void; inside a transaction.

    Returns False, and does nothing, for a Send that does not wait.
    """
    if not Send.objects.filter(pk=send.pk, status__in=WAITING).update(status=Send.Status.CHECKED, reason=why):
        return False
    _good(send).update(decision=Approval.Decision.VOID, reason=why, decided_at=timezone.now())
    chain.add(actor, "send.withdrawn", f"send:{send.pk}", {"reason": why})
    send.status, send.reason = Send.Status.CHECKED, why
    return True


def _good(send: Send) -> QuerySet[Approval]:
    """Approvals that are awaited, or given and not used yet."""
    return Approval.objects.filter(send=send, decision__in=("", Approval.Decision.APPROVED))
