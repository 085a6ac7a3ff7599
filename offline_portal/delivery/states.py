"""What every act of a person on a Send has in common: lock it, say why it cannot be done, log it."""

from __future__ import annotations

from django.contrib.auth.models import User

from offline_portal.audit import chain
from offline_portal.models import Send


class Conflict(Exception):
    """The state does not allow it. `code` is stable; the message tells a person what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def locked(send: Send) -> Send:
    return Send.objects.select_for_update(of=("self",)).select_related("destination", "upload").get(pk=send.pk)


def fresh(send: Send) -> Send:
    return Send.objects.select_related("destination", "upload").get(pk=send.pk)


def log(actor: User, action: str, send: Send, detail: dict[str, object] | None = None) -> None:
    chain.add(actor.get_username(), action, f"send:{send.pk}", detail or {})
