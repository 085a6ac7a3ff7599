"""`manage.py send ID queue|pause|resume|cancel|retry`"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError

from offline_portal import listing
from offline_portal.api.shapes import send_shape
from offline_portal.checks_system import PORTAL
from offline_portal.delivery import control, release
from offline_portal.delivery.states import Conflict
from offline_portal.management.command import WRONG_USE, PortalCommand
from offline_portal.management.following import address
from offline_portal.management.summary import summary
from offline_portal.management.who import found, sender
from offline_portal.models import Send

NEEDS_A_PERSON = 1
_ACTS = {
    "queue": release.queue, "pause": control.pause, "resume": control.resume, "cancel": control.cancel,
}  # fmt: skip
_RETRYABLE = ("rejected", "failed")


class Command(PortalCommand):
    """What a person may do with a send on its way, from a terminal or from cron."""

    help = (
        "Queue, pause, resume or cancel a send, or have its rejected and failed rows sent again. Done twice is as "
        "good as done once. Exit code 0: it is so; 1: the state of the send does not allow it; 2: wrong use."
    )
    requires_system_checks = (PORTAL,)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """As docs/operating.md tells."""
        add = parser.add_argument
        add("id", help="the number of the send")
        add("what", choices=[*_ACTS, "retry"], help="what is to be done with it")
        add("--as", dest="username", metavar="USER", help="the person who does it (with PORTAL_DEMO=1 olivia)")
        add("--reason", default="", help="why, for a retry: kept in the audit log")
        add("--statuses", default="", metavar="LIST", help="for a retry: rejected, failed, or both (default)")
        add("--json", action="store_true", help="print the send as JSON")

    def handle(self, *args: object, id: str, what: str, **options: Any) -> None:
        """Do it, and tell how the send stands then."""
        statuses = self._statuses(what, options["statuses"], options["reason"])
        person, send, problem = sender(options["username"]), found(listing.sends(), "send", id), ""
        try:
            self._act(send, what, statuses, options["reason"], person)
        except Conflict as conflict:
            problem = conflict.message
        send = listing.sends().get(pk=send.pk)
        self.stdout.write(json.dumps(send_shape(send), ensure_ascii=False) if options["json"] else summary(send))
        if problem:
            self.stderr.write(f"{problem} See {address(send)}")
            sys.exit(NEEDS_A_PERSON)

    def _act(self, send: Send, what: str, statuses: list[str], reason: str, person: User) -> None:
        if what == "retry":
            control.retry(send, statuses, reason, person)
        else:
            _ACTS[what](send, person)

    def _statuses(self, what: str, text: str, reason: str) -> list[str]:
        """Those whose rows go again. Raises CommandError for options that mean nothing here."""
        if what != "retry":
            if text or reason:
                raise CommandError(f"--statuses and --reason belong to retry, not to {what}.", returncode=WRONG_USE)
            return []
        statuses = [word.strip() for word in text.split(",") if word.strip()] or list(_RETRYABLE)
        if unknown := [word for word in statuses if word not in _RETRYABLE]:
            told = f"Only rejected and failed rows can be retried, not {', '.join(unknown)}."
            raise CommandError(told, returncode=WRONG_USE)
        return list(dict.fromkeys(statuses))
