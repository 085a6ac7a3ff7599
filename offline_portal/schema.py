"""Whether the tables are those that this version of the portal was written for.

A worker lives for weeks. One that is older than the tables could write what no longer fits, and one that is newer finds
columns missing in mid-send. So each asks before it begins anything, and does nothing until they fit.
"""

from __future__ import annotations

import pkgutil

from django.db import ProgrammingError, connection

from offline_portal import migrations

_KNOWN = frozenset(module.name for module in pkgutil.iter_modules(migrations.__path__))
"""The migrations that this program came with; those that are put in their place while it runs are not its own."""


def misfit() -> str:
    """Who has to be updated, in one sentence; empty where everything fits. Raises django.db.Error."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT name FROM django_migrations WHERE app = 'portal'")
            applied = {name for (name,) in cursor.fetchall()}
    except ProgrammingError:
        return "The database has no tables yet. Run: manage.py migrate"
    if unknown := max(applied - _KNOWN, default=""):
        return f"A newer version of the portal has changed the database ({unknown}). Start that version instead."
    if missing := min(_KNOWN - applied, default=""):
        return f"The database is older than this version of the portal ({missing}). Run: manage.py migrate"
    return ""
