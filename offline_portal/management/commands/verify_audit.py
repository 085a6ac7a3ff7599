"""manage.py verify_audit [--json] [--head FILE]"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from offline_portal.audit import chain, signing, triggers
from offline_portal.management.command import PortalCommand


class Command(PortalCommand):
    help = (
        "Recompute the audit chain and compare what is stored of every request, answer and outcome with it."
        " Exit 1 with the first bad entry if it does not hold."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument("--head", type=_head, metavar="FILE", help="an exported head.json to compare with")

    def handle(self, *args: Any, **options: Any) -> None:
        showing = sys.stderr.isatty() and not options["json"]
        result = chain.verify(head=options["head"], progress=self._show if showing else None)
        missing = triggers.missing()
        if options["json"]:
            self.stdout.write(json.dumps(asdict(result) | {"missing_triggers": missing}))
        else:
            self._tell(result)
            for name in missing:
                self.stderr.write(f"The trigger {name} is missing. Run: manage.py migrate")
        if not result.ok:
            sys.exit(1)

    def _tell(self, result: chain.Verification) -> None:
        if result.ok:
            self.stdout.write(f"The audit log holds: {result.checked:,} entries, up to {result.head_hash[:16]}….")
        else:
            self.stderr.write(f"The audit log does not hold. {result.reason}")
            self.stderr.write(f"Everything before is sound: {result.checked:,} entries checked.")

    def _show(self, checked: int, total: int) -> None:
        self.stderr.write(f"\r{checked:,} of {total:,} entries", ending="" if checked < total else "\n")
        self.stderr.flush()


def _head(name: str) -> dict[str, Any]:
    try:
        head = json.loads(Path(name).read_text(encoding="utf-8"))
        if {"public_key", "signature"} <= head.keys() and not signing.holds(head):
            raise argparse.ArgumentTypeError(f"{name} was changed after it was exported: its signature does not hold.")
        # What `--json` prints is a head too, for those who keep it every night.
        seq, digest = ("head_seq", "head_hash") if "head_seq" in head else ("seq", "hash")
        return {"seq": int(head[seq]), "hash": str(head[digest])}
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{name} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        message = f'{name} is no exported head: it must be JSON with "seq" and "hash".'
        raise argparse.ArgumentTypeError(message) from None
