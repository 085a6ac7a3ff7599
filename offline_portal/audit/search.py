"""Finding deliveries by what an auditor has in hand: an order id, an e-mail, a receipt, a line, a file name.

Values are found by their keyed digests, so that the index itself tells nothing. Every page is read by key, never
by offset: the millionth delivery is found as quickly as the first.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from django.db.models import QuerySet

from connectors import all_connectors
from offline_portal.audit.keys import keyed
from offline_portal.models import Delivery, Identifier, Send

_LINE = re.compile(r"(?:(?P<file>.+?)[\s,:]+)?\b(?:line|zeile|ligne|satır)\s+(?P<line>[1-9][0-9]{0,8})", re.IGNORECASE)
_SENDS_AT_MOST = 1_000
_NEWEST = 2**62


class BadCursor(ValueError):
    """The cursor is not one that `find` gave."""


class Found(NamedTuple):
    """One page of deliveries; `next` is the cursor of the page behind it, None on the last one."""

    deliveries: list[Delivery]
    next: str | None


def digest(text: str) -> bytes:
    """16 bytes that stand for an identifier, however it is spaced or capitalised."""
    plain = " ".join(unicodedata.normalize("NFC", text).casefold().split())
    return keyed("identifier", plain)


def find(text: str, limit: int = 50, cursor: str | None = None) -> Found:
    """Deliveries with this identifier or receipt (exactly, but for case and spaces), the newest first.

    `line 17` finds that line of every send, `orders.csv line 17` that of the files so named. A text that is no
    identifier finds the deliveries of the files whose name contains it. Only what was queued is a delivery. Each
    comes with its send, upload and destination loaded. Raises BadCursor.
    """
    text = text.strip()
    way, place = _place(cursor)
    if not text or limit < 1:
        return Found([], None)
    if line := _LINE.fullmatch(text):
        sends = _sends(line["file"] or "")
        return _page("id", _with_line(sends, int(line["line"]), place[0]), limit)
    if way == "id":
        found = _page("id", _with_value(text, place[0], limit + 1), limit)
        if found.deliveries or cursor:
            return found
        place = [_NEWEST, _NEWEST]
    return _in_files(text, limit, *place)


def _with_value(text: str, before: int, limit: int) -> list[int]:
    """Ids of the newest deliveries older than `before` that carry the text as an identifier or a receipt."""
    found: list[int] = []
    # One query each: together they could not be read off the index in order.
    for form in (text, *_hidden_forms(text)):
        known = Identifier.objects.filter(digest=digest(form), delivery__lt=before).order_by("-delivery")
        found += known.values_list("delivery", flat=True)[:limit]
    receipts = Delivery.objects.filter(receipt=text, pk__lt=before).order_by("-pk")
    return found + list(receipts.values_list("pk", flat=True)[:limit])


def _hidden_forms(text: str) -> list[str]:
    """What stands in the place of the text in payloads of vendors that may be told a hash only."""
    return sorted({form for connector in all_connectors().values() for form in connector.search_forms(text)})


def _with_line(sends: QuerySet[Send], line: int, before: int) -> Iterator[int]:
    """One delivery a send, found by the index over (send, generation, line)."""
    for send, generation in list(sends.values_list("pk", "generation")):
        found = Delivery.objects.filter(send=send, generation=generation, line=line, pk__lt=before)
        yield from found.exclude(status=None).values_list("pk", flat=True)


def _in_files(text: str, limit: int, send_before: int, line_before: int) -> Found:
    """Deliveries of whole files: the newest send first, in each the last line first."""
    found: list[Delivery] = []
    for send in _sends(text):
        of_send = _whole(Delivery.objects.filter(send=send.pk, generation=send.generation).exclude(status=None))
        if send.pk > send_before:
            continue
        if send.pk == send_before:
            of_send = of_send.filter(line__lt=line_before)
        found += of_send.order_by("-line")[: limit + 1 - len(found)]
        if len(found) > limit:
            last = found[limit - 1]
            return Found(found[:limit], f"file.{last.send_id}.{last.line}")
    return Found(found, None)


def _sends(file: str) -> QuerySet[Send]:
    """The newest sends that were queued, of files whose name contains `file`."""
    found = Send.objects.filter(queued_at__isnull=False, upload__filename__icontains=file)
    return found.order_by("-pk")[:_SENDS_AT_MOST]


def _page(way: str, ids: Iterable[int], limit: int) -> Found:
    newest = sorted(set(ids), reverse=True)
    found = _whole(Delivery.objects.filter(pk__in=newest[:limit])).order_by("-pk")
    return Found(list(found), f"{way}.{newest[limit - 1]}" if len(newest) > limit else None)


def _whole(found: QuerySet[Delivery]) -> QuerySet[Delivery]:
    return found.select_related("send__upload", "send__destination__current", "readback")


def _place(cursor: str | None) -> tuple[str, list[int]]:
    if cursor is None:
        return "id", [_NEWEST]
    way, *numbers = cursor.split(".")
    if (way, len(numbers)) not in (("id", 1), ("file", 2)) or not all(re.fullmatch("[0-9]{1,18}", n) for n in numbers):
        raise BadCursor("This cursor is not one of this list: start again without it.")
    return way, [int(number) for number in numbers]
