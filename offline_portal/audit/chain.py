"""Adding to the audit log. Every entry carries the hash of the one before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any

from django.db import connection
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from offline_portal import bulk
from offline_portal.audit.canonical import canonical, entry_hash, moment
from offline_portal.audit.verification import Verification, verify
from offline_portal.models import AuditEntry, AuditHead

__all__ = ["ChainBroken", "Verification", "add", "add_many", "verify"]

_FIELDS = ("seq", "at", "actor", "action", "object", "detail", "previous", "hash")
_LONGEST = {name: AuditEntry._meta.get_field(name).max_length for name in ("actor", "action", "object")}
_LAST = "SELECT seq, hash FROM portal_audithead WHERE id = 1"

witness: ContextVar[Callable[[str], None] | None] = ContextVar("witness", default=None)
"""Is told of the object of every act in this context, inside its transaction; what it raises undoes the act."""


class ChainBroken(Exception):
    """The chain has entries but no head: nobody can tell how it should go on. `verify_audit` says more."""


def add(actor: str, action: str, object: str, detail: dict[str, Any]) -> AuditEntry:
    """Add one entry: who (`actor`: a username, or `portal`) did what (`send.queued`) to which object (`send:12`).

    Must run inside the transaction that does the act, as its last statement: it locks the head of the chain, and
    everything else is locked before it. `detail` holds ids, names, counts and digests, never a secret nor a
    personal value. Raises TransactionManagementError outside a transaction, TypeError for a detail that is no
    JSON, ValueError for a name that is empty, too long or not printable.
    """
    return add_many([(actor, action, object, detail)])[0]


def add_many(entries: Iterable[tuple[str, str, str, dict[str, Any]]]) -> list[AuditEntry]:
    """Add several entries at once, in this order, each (actor, action, object, detail); see `add`."""
    if not connection.in_atomic_block:
        raise TransactionManagementError("An audit entry needs the transaction of the act that it tells of.")
    checked = [(_short(entry), _detail(entry[3])) for entry in entries]
    if not checked:
        return []
    if (tell := witness.get()) is not None:
        tell(checked[0][0][2])
    seq, last_hash = _locked_head()
    at = timezone.now()
    added = []
    for (actor, action, object), detail in checked:
        seq, previous = seq + 1, last_hash
        last_hash = entry_hash(seq, moment(at), actor, action, object, detail, previous)
        added.append(AuditEntry(seq, at, actor, action, object, detail, previous, last_hash))
    bulk.insert(AuditEntry, _FIELDS, [tuple(getattr(entry, name) for name in _FIELDS) for entry in added])
    bulk.set_by_ids(AuditHead, {"seq": seq, "hash": last_hash}, [1])
    return added


def _locked_head() -> tuple[int, str]:
    """Number and hash of the last entry. On SQLite the transaction has held the one write lock since it began."""
    with connection.cursor() as cursor:
        cursor.execute(_LAST + (" FOR UPDATE" if connection.vendor == "postgresql" else ""))
        last = cursor.fetchone()
    if last is None:
        AuditHead.objects.bulk_create([AuditHead(pk=1)], ignore_conflicts=True)
        return _locked_head()
    if last[0] == 0 and AuditEntry.objects.exists():
        raise ChainBroken("The audit log has lost the note of its end. Run: manage.py verify_audit")
    return last


def _short(entry: tuple[str, str, str, dict[str, Any]]) -> tuple[str, str, str]:
    for (name, longest), text in zip(_LONGEST.items(), entry[:3], strict=True):
        if not 0 < len(text) <= longest or not text.isprintable():
            raise ValueError(f"{name} of an audit entry must have 1 to {longest} printable characters: {text!r}")
    return entry[0], entry[1], entry[2]


def _detail(detail: dict[str, Any]) -> str:
    if not isinstance(detail, dict):
        raise TypeError("The detail of an audit entry is a dict.")
    return canonical(_plain(detail))


def _plain(value: Any) -> Any:
    """`value` as both databases can keep it, or TypeError: what is no JSON would come back as something else."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("The keys in the detail of an audit entry are text.")
        return {_plain(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if value is None or isinstance(value, int | float):
        return value
    raise TypeError(f"The detail of an audit entry takes no {type(value).__name__}: write it as text.")
