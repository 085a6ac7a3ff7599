"""Audit entries and attempts in words."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any, NamedTuple

from django.urls import reverse
from django.utils import timezone

from offline_portal.models import Answer, Attempt, AuditEntry

_WORDS = {
    "send.drafted": ("edit", "began a send"),
    "send.mapped": ("mapping", "chose destination and columns"),
    "send.checked": ("check-circle", "checked every row"),
    "send.queueing": ("send", "had the ready rows sent"),
    "send.queued": ("clock", "lined the rows up"),
    "send.scheduled": ("calendar", "set the send to start at its time"),
    "send.withdrawn": ("undo", "took the send back before it left"),
    "approval.asked": ("people", "asked for an approval"),
    "approval.approved": ("check-circle", "approved the send"),
    "approval.rejected": ("cross-circle", "rejected the send"),
    "send.paused": ("pause", "paused the send"),
    "send.resumed": ("play", "resumed the send"),
    "send.cancelled": ("stop", "cancelled the send"),
    "send.retried": ("retry", "had rows sent again"),
    "send.doubt_ended": ("question", "stopped repeating rows whose answer was lost a day ago"),
    "send.finished": ("check-circle", "finished the send"),
    "send.failed": ("cross-circle", "could not check or queue the send"),
    "row.edited": ("edit", "changed a row"),
    "row.excluded": ("minus-circle", "left a row out"),
    "row.included": ("undo", "took a row back in"),
    "delivery.attempts": ("send", "sent requests"),
    "delivery.outcomes": ("motion", "noted what became of rows"),
    "delivery.resolved": ("question", "decided about an unknown row"),
    "delivery.revealed": ("eye", "looked at personal values"),
    "upload.accepted": ("upload", "took a file in"),
    "upload.refused": ("cross-circle", "refused a file"),
    "upload.read": ("file", "read a file"),
    "upload.reopened": ("file", "had a file read in another way"),
    "destination.created": ("destination", "made a destination"),
    "destination.changed": ("destination", "changed a destination"),
    "destination.paused": ("pause", "paused a destination"),
    "destination.opened": ("play", "opened a destination"),
    "readback.refused": ("search", "was not let look up at the vendor what it has stored"),
    "destination.archived": ("archive", "archived a destination"),
    "destination.tested": ("plug", "tested a connection"),
    "secret.changed": ("key", "changed a secret"),
    "secrets.rotated": ("key", "had all secrets encrypted with the new key"),
    "mapping.saved": ("mapping", "saved a mapping"),
    "log.set_back": ("undo", "noticed that the database is older than it was, and paused all destinations"),
    "access.refused": ("lock", "was kept out of a page"),
    "audit.exported": ("download", "took evidence away"),
    "login": ("user", "signed in"),
    "login.failed": ("lock", "failed to sign in"),
    "logout": ("leave", "signed out"),
    "token.made": ("key", "made a token"),
    "token.revoked": ("key", "ended a token"),
    "person.created": ("people", "added a person"),
    "person.roles_changed": ("people", "changed a person’s roles"),
    "person.disabled": ("lock", "disabled a person"),
    "person.enabled": ("user", "let a person in again"),
    "person.link_made": ("link", "made a link for a new password"),
    "person.password_set": ("key", "chose a password"),
    "password.changed": ("key", "changed their password"),
    "factor.added": ("shield", "added a second factor"),
    "factor.removed": ("shield", "removed a second factor"),
    "person.factors_dropped": ("shield", "took away second factors"),
}


class Told(NamedTuple):
    """One request and its answer, as a list shows them."""

    attempt: Attempt
    rows: int
    first: int | None
    answer: Answer | None
    milliseconds: int | None
    words: str
    tone: str
    request: str
    """Method and address without the query, which may hold personal values; all of it stands, masked, with the row."""


class Entry(NamedTuple):
    """One audit entry as a list shows it."""

    seq: int
    at: datetime
    actor: str
    action: str
    object: str
    address: str
    icon: str
    words: str
    facts: list[tuple[str, str]]
    hash: str


def told(attempt: Attempt) -> Told:
    """An attempt in words. Wants `answer` and `copy` selected."""
    ids = json.loads(attempt.deliveries)
    answer = getattr(attempt, "answer", None)
    spent = round((answer.ended_at - attempt.started_at).total_seconds() * 1000) if answer else None
    if answer is None:
        words, tone = "no answer yet", "wait"
    elif answer.status is None:
        words, tone = answer.error or "no answer came", "warn"
    else:
        words, tone = str(answer.status), "good" if answer.status < 300 else "bad"
    copy = getattr(attempt, "copy", None)
    request = f"{copy.method} {copy.url.partition('?')[0]}" if copy else ""
    return Told(attempt, len(ids), ids[0] if ids else None, answer, spent, words, tone, request)


def entry(found: AuditEntry) -> Entry:
    """An audit entry in words, its detail as pairs."""
    icon, words = _WORDS.get(found.action, ("info", found.action.replace(".", " ").replace("_", " ")))
    try:
        detail: dict[str, Any] = json.loads(found.detail)
    except ValueError:
        detail = {}
    facts = [
        (key.replace("_", " "), _short(value)) for key, value in detail.items() if value not in (None, "", [], {})
    ]
    return Entry(
        found.seq,
        found.at,
        found.actor,
        found.action,
        found.object,
        _address(found.object),
        icon,
        words,
        facts,
        found.hash,
    )


def _short(value: Any) -> str:
    """A value of a detail, for reading: long lists as their length, digests by their beginning."""
    if isinstance(value, list) and len(value) > 3:
        return str(len(value))
    if isinstance(value, dict):
        text = ", ".join(f"{key} {inner}" for key, inner in value.items())
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?[+]00:00", text):
        return f"{timezone.localtime(datetime.fromisoformat(text)):%Y-%m-%d %H:%M %Z}"
    if re.fullmatch("[0-9a-f]{32,}", text):
        return text[:12] + "…"
    return text if len(text) <= 120 else text[:119] + "…"


def _address(what: str) -> str:
    kind, _, number = what.partition(":")
    names = {"send": "send", "destination": "destination", "delivery": "row"}
    return reverse(names[kind], args=[int(number)]) if kind in names and number.isdigit() else ""
