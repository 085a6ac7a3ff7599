"""A second person's yes, bound to exactly what would leave."""

from __future__ import annotations

import hashlib
import json

from django.contrib.auth.models import User
from django.db.models import Max
from django.utils import timezone

from offline_portal.audit import chain
from offline_portal.models import Approval, DestinationSecret, Edit, Send


def digest(send: Send) -> str:
    """SHA-256 over all that decides what leaves: file, mapping, edits, verdicts, settings and keys."""
    keys = DestinationSecret.objects.filter(destination=send.destination_id).order_by("key")
    facts = {
        "upload": send.upload.sha256,
        "destination": send.destination_id,
        "settings": send.destination.current_id,  # type: ignore[union-attr]
        "keys": [hashlib.sha256(key.ciphertext.encode()).hexdigest() for key in keys],
        "mapping": send.mapping,
        "duplicates": send.duplicates,
        "generation": send.generation,
        "last_edit": Edit.objects.filter(send=send).aggregate(last=Max("pk"))["last"],
        "ready": send.ready,
        "scheduled_at": send.scheduled_at.isoformat() if send.scheduled_at else None,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def ask(send: Send, actor: User) -> None:
    """Ask for an approval of the Send as it is now; inside the transaction that makes it wait."""
    approval = Approval.objects.create(send=send, digest=digest(send), asked_by=actor)
    chain.add(
        actor.get_username(), "approval.asked", f"send:{send.pk}", {"digest": approval.digest, "ready": send.ready}
    )


def awaited(send: Send) -> Approval | None:
    """The approval that is asked for and not decided."""
    return Approval.objects.filter(send=send, decision="").first()


def decide(approval: Approval, decision: str, reason: str, actor: User) -> None:
    """Write the decision down; inside a transaction."""
    approval.decision, approval.reason = decision, reason
    approval.decided_by, approval.decided_at = actor, timezone.now()
    approval.save()
    detail = {"digest": approval.digest, "reason": reason}
    chain.add(actor.get_username(), f"approval.{decision}", f"send:{approval.send_id}", detail)


def still_holds(send: Send) -> bool:
    """Whether what was approved (if anything had to be) is still what would leave."""
    given = Approval.objects.filter(send=send, decision=Approval.Decision.APPROVED).order_by("-pk").first()
    if given is None:
        return not send.destination.require_approval  # type: ignore[union-attr]
    return given.digest == digest(send)
