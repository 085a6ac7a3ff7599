"""What a database that cannot be used just now looks like: the connection broke, a lock was not to be had in time, the
disk is full, or the server takes no writes. It passes; what was asked has not been done."""

from __future__ import annotations

import errno

from django.db import InterfaceError, InternalError, OperationalError

DATABASE_TROUBLE = (OperationalError, InterfaceError, InternalError)


def first_line(error: Exception) -> str:
    """What the database says, short enough for a log."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def disk_is_full(error: BaseException | None) -> bool:
    """Whether there is no room left, on our disk or on the database's."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    sqlstate = getattr(error.__cause__, "sqlstate", None) if error else None
    return isinstance(error, DATABASE_TROUBLE) and (sqlstate == "53100" or "disk is full" in str(error))
