"""`manage.py deliver FILE --to DESTINATION`"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError

from offline_portal import checks
from offline_portal.api.shapes import send_shape
from offline_portal.checks_system import PORTAL
from offline_portal.delivery import release
from offline_portal.delivery.states import Conflict
from offline_portal.intake import Refused
from offline_portal.intake.store import accept
from offline_portal.management.command import PortalCommand
from offline_portal.management.following import NoWorker, address, follow
from offline_portal.management.progress import Progress
from offline_portal.management.summary import summary
from offline_portal.management.who import sender
from offline_portal.mapping import FormatNeeded, MappingIncomplete, MappingInvalid
from offline_portal.models import Destination, Send, Upload

NEEDS_A_PERSON, WRONG_USE = 1, 2
_WAITS = {
    Send.Status.AWAITING_APPROVAL: (
        "Nothing has left yet: “{send.destination}” demands that somebody else (marketing ops or an admin) approves it."
    ),
    Send.Status.SCHEDULED: "Nothing has left yet: it starts by itself at {send.scheduled_at:%Y-%m-%d %H:%M %Z}.",
}


class Command(PortalCommand):
    """The main job from a terminal or from cron."""

    help = (
        "Upload a spreadsheet, match its columns, check its rows and send the good ones. Exit code 0: every row is "
        "accepted (or on its way); 1: something needs a person; 2: wrong use, or a file that cannot be read."
    )
    requires_system_checks = (PORTAL,)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """As docs/operating.md tells."""
        add = parser.add_argument
        add("file", type=Path, help="CSV, TSV, TXT, XLSX, or a zip with one of them")
        add("--to", required=True, metavar="DESTINATION", help="name or id of the destination")
        add("--mapping", default="auto", metavar="NAME", help="a saved mapping, or auto (default): match by names")
        add("--duplicates", choices=["skip", "send"], default="skip", help="rows that were sent before (default: skip)")
        add("--as", dest="username", metavar="USER", help="the person who sends (with PORTAL_DEMO=1 olivia)")
        add("--yes", action="store_true", help="send without asking")
        add("--wait", action="store_true", help="follow to the end")
        add("--json", action="store_true", help="print the send as JSON")

    def handle(self, *args: object, file: Path, **options: Any) -> None:
        """Deliver; the exit code tells how it went."""
        if not options["yes"] and not sys.stdin.isatty():
            raise CommandError("Nobody can be asked here: add --yes to send without asking.", returncode=WRONG_USE)
        person, destination = sender(options["username"]), self._destination(options["to"])
        send = self._begin(file, destination, options["mapping"], options["duplicates"], person)
        try:
            send, problem = self._deliver(send, person, options["yes"], options["wait"])
        except KeyboardInterrupt:
            send, problem = self._fresh(send), "Not followed any further. What was queued goes on without you."
        self._report(send, problem, options["json"])
        if problem or send.total != (send.accepted if options["wait"] else send.ready):
            sys.exit(NEEDS_A_PERSON)

    def _deliver(self, send: Send, person: User, yes: bool, wait: bool) -> tuple[Send, str]:
        """Check, ask, queue and follow; what needs a person, else an empty text."""
        # Not self.stderr: it ends each text with a line break and prints it in red.
        progress = Progress(sys.stderr)
        try:
            send = follow(send, progress)
            if send.status != Send.Status.CHECKED:
                return send, send.reason or "The check did not come to its end."
            if not send.ready:
                return send, "No row is ready to be sent."
            if not yes and not self._agreed(send):
                return send, "Not sent: you said no."
            send = release.queue(send, person)
            if send.status in _WAITS:
                return send, _WAITS[send.status].format(send=send)
            if wait:
                send = follow(send, progress)
            unfinished = wait and send.status != Send.Status.FINISHED
            return send, (send.reason or f"The send is {send.get_status_display().lower()}.") if unfinished else ""
        except Conflict as conflict:
            return self._fresh(send), conflict.message
        except NoWorker as why:
            return self._fresh(send), str(why)
        finally:
            progress.close()

    def _agreed(self, send: Send) -> bool:
        print(summary(send), file=sys.stderr)
        kind = "live" if send.destination.live else "test"  # type: ignore[union-attr]
        answer = input(f"Send {send.ready:,} rows to “{send.destination}” ({kind})? [y/N] ")
        return answer.strip().lower() in ("y", "yes")

    def _report(self, send: Send, problem: str, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(send_shape(send), ensure_ascii=False))
        else:
            self.stdout.write(summary(send))
        if problem:
            self.stderr.write(f"{problem} See {address(send)}")

    def _begin(self, file: Path, destination: Destination, mapping: str, duplicates: str, person: User) -> Send:
        try:
            upload = self._upload(file, person)
            return checks.create(upload, destination, mapping, duplicates, person)
        except (MappingIncomplete, MappingInvalid, FormatNeeded) as error:
            wrong = "; ".join(f"{key}: {message}" for key, message in error.fields.items())
            raise CommandError(f"The columns cannot be matched. {wrong}", returncode=WRONG_USE) from None
        except checks.CannotCheck as error:
            raise CommandError(error.message, returncode=WRONG_USE) from None

    def _upload(self, file: Path, person: User) -> Upload:
        try:
            return accept(file, file.name, person)
        except Refused as refusal:
            raise CommandError(f"{file} is refused: {refusal.message}", returncode=WRONG_USE) from None
        except OSError as error:
            raise CommandError(f"{file} cannot be opened: {error.strerror}.", returncode=WRONG_USE) from None

    def _destination(self, wanted: str) -> Destination:
        known = Destination.objects.filter(archived_at=None).select_related("current")
        by_id = known.filter(pk=wanted) if wanted.isascii() and wanted.isdigit() else known.none()
        found = known.filter(name=wanted).first() or known.filter(name__iexact=wanted).first() or by_id.first()
        if found is None:
            names = ", ".join(f"“{name}”" for name in known.order_by("name").values_list("name", flat=True)) or "none"
            raise CommandError(f"There is no destination “{wanted}”. There are: {names}.", returncode=WRONG_USE)
        return found

    def _fresh(self, send: Send) -> Send:
        return Send.objects.select_related("upload", "destination", "created_by").get(pk=send.pk)
