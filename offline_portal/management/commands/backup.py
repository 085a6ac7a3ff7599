"""`manage.py backup FILE`"""

from __future__ import annotations

import argparse
import sqlite3
from contextlib import closing
from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError

from offline_portal.checks_system import PORTAL
from offline_portal.management.command import PortalCommand


class Command(PortalCommand):
    """A copy of the SQLite database, as of one moment, while everything runs."""

    help = "Copy the SQLite database into FILE while the portal runs, and check the copy. For PostgreSQL use pg_dump."
    requires_system_checks = (PORTAL,)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Where to."""
        parser.add_argument("file", type=Path, help="the copy; it must not exist yet")

    def handle(self, *args: object, file: Path, **options: object) -> None:
        """Copy and check; 2 where that cannot be."""
        database = settings.DATABASES["default"]
        if not database["ENGINE"].endswith("sqlite3"):
            raise CommandError("The database is PostgreSQL. Back it up with pg_dump (docs/operating.md).", returncode=2)
        if file.exists():
            raise CommandError(f"{file} is there already. Choose another name: nothing is overwritten.", returncode=2)
        try:
            copy(Path(database["NAME"]), file)
        except (sqlite3.Error, OSError) as why:
            file.unlink(missing_ok=True)
            raise CommandError(f"No backup was made: {why}.", returncode=1) from None
        self.stdout.write(f"{file}: {file.stat().st_size:,} bytes. Keep it apart from the keys.")


def copy(database: Path, file: Path) -> None:
    """Copy by SQLite's online backup, readable by us alone. Raises sqlite3.Error, OSError."""
    if not database.exists():
        raise FileNotFoundError(f"there is no database at {database}")
    file.touch(mode=0o600, exist_ok=False)
    with closing(sqlite3.connect(database, timeout=30)) as source, closing(sqlite3.connect(file)) as target:
        # In one step: it reads one moment and, with a write-ahead log, keeps no writer waiting. A backup in several
        # steps begins anew after each write of another program.
        source.backup(target)
        # One file on its own: no -wal beside it that somebody could forget.
        target.execute("PRAGMA journal_mode=DELETE")
        found = target.execute("PRAGMA quick_check").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(f"the copy is damaged: {found}")
