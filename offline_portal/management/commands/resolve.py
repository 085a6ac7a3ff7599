"""`manage.py resolve DELIVERY resend|accepted|abandoned --reason …`"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from django.core.management.base import CommandError

from offline_portal import listing
from offline_portal.api.shapes import delivery_shape
from offline_portal.checks_system import PORTAL
from offline_portal.delivery import control
from offline_portal.delivery.states import Conflict
from offline_portal.management.command import WRONG_USE, PortalCommand
from offline_portal.management.who import found, sender

NEEDS_A_PERSON = 1


class Command(PortalCommand):
    """A person's decision about a row of which nobody knows whether it arrived."""

    help = (
        "Settle an unknown row: resend it with the same wire key, call it accepted on your word, or abandon it. "
        "Exit code 0: it is so; 1: the state of the row does not allow it; 2: wrong use."
    )
    requires_system_checks = (PORTAL,)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """As docs/operating.md tells."""
        add = parser.add_argument
        add("delivery", help="the number of the row's delivery, as the API and the address of its page have it")
        add("what", choices=["resend", "accepted", "abandoned"], help="what it counts as from now on")
        add("--reason", required=True, help="why: kept with the decision")
        add("--as", dest="username", metavar="USER", help="the person who decides (with PORTAL_DEMO=1 olivia)")
        add("--json", action="store_true", help="print the delivery as JSON, personal values masked")

    def handle(self, *args: object, delivery: str, what: str, reason: str, **options: Any) -> None:
        """Decide, and tell what the row is then."""
        if not reason.strip():
            raise CommandError("Say why: --reason TEXT.", returncode=WRONG_USE)
        sent = listing.deliveries().select_related("send__upload__created_by", "batch")
        person, row, problem = sender(options["username"]), found(sent, "delivery", delivery), ""
        try:
            control.resolve(row, what, reason, person)
        except Conflict as conflict:
            problem = conflict.message
        row = sent.get(pk=row.pk)
        if options["json"]:
            self.stdout.write(json.dumps(delivery_shape(row), ensure_ascii=False))
        else:
            decided = f", decided: {row.resolved}" if row.resolved else ""
            self.stdout.write(f"Delivery {row.pk}, line {row.line} of send {row.send_id}: {row.status}{decided}")
        if problem:
            self.stderr.write(problem)
            sys.exit(NEEDS_A_PERSON)
