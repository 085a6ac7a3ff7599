"""The whole story of one send, to be verified elsewhere: its rows, requests, answers, outcomes, and the log."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain as joined
from typing import Any

from django.db import transaction
from django.db.models import Min

import connectors
from offline_portal import redaction
from offline_portal.audit import chain, groups, links
from offline_portal.audit.archive import Archive
from offline_portal.audit.canonical import canonical, moment
from offline_portal.audit.export import EXPORTED, HUGE_FROM, closing, table
from offline_portal.audit.keys import keyed
from offline_portal.audit.stored import deliveries_of, select
from offline_portal.models import Answer, AnswerCopy, Attempt, AuditEntry, Delivery, Outcome, RequestCopy, Send

ROW = (
    "line", "delivery", "verdict", "status", "evidence", "receipt", "code", "message", "identifier", "wire_key",
    "attempts", "resolved", "problems", "digest",
)  # fmt: skip
_COUNTS = ("total", "unchecked", "ready", "problem", "duplicate", "excluded", *Delivery.Status.values)
_ROWS_AT_ONCE, _ENTRIES_AT_ONCE = 1_000, 50


def of_send(send: Send, actor: str) -> Iterator[bytes]:
    """A zip with all that is known of the send. That `actor` took it away is logged first.

    The rows are written before the end of the log is noted, so that the log covers all that they say even while the
    send is on its way.
    """
    with transaction.atomic():
        chain.add(actor, EXPORTED, f"send:{send.pk}", {})
    archive = Archive("evidence", huge=send.total > HUGE_FROM)
    story = _Story(send)
    return joined(
        archive.document("send.json", _facts(send)),
        archive.member("rows.csv", table(joined([ROW], story.rows()))),
        _log(archive, story),
        closing(archive),
    )


def _log(archive: Archive, story: _Story) -> Iterator[bytes]:
    last = links.head()
    yield from archive.document("head.json", last.document())
    yield from archive.member("chain.jsonl", links.lines(story.first_entry(), last, story.choose))
    yield from archive.member("attempts.jsonl", story.attempts(last.seq))
    yield from archive.member("outcomes.jsonl", story.outcomes(last.seq))


def _facts(send: Send) -> dict[str, Any]:
    """The send, its file, its destination and how its columns were mapped. No cell, no secret."""
    upload, place, version = send.upload, send.destination, send.settings_version
    moments = {name: getattr(send, name) for name in ("created_at", "queued_at", "scheduled_at", "finished_at")}
    return {
        "id": send.pk, "status": send.status, "reason": send.reason, "duplicates": send.duplicates,
        "counts": {name: getattr(send, name) for name in _COUNTS}, "mapping": send.mapping,
        "created_by": send.created_by.get_username(),
        "queued_by": send.queued_by.get_username() if send.queued_by else None,
        **{name: moment(at) if at else None for name, at in moments.items()},
        "upload": {
            "id": upload.pk, "filename": upload.filename, "bytes": upload.bytes, "sha256": upload.sha256,
            "rows": upload.rows, "sheet": upload.sheet, "header_line": upload.header_line,
            "created_by": upload.created_by.get_username(), "created_at": moment(upload.created_at),
        },
        "destination": place and {
            "id": place.pk, "name": place.name, "connector": place.connector, "live": place.live,
            "settings": version.values if version else {},
        },
    }  # fmt: skip


class _Story:
    """Reads one send's story, some thousand rows at once."""

    def __init__(self, send: Send) -> None:
        self.send = send
        self.connector = connectors.get(send.destination.connector) if send.destination else None
        self._objects = (f"send:{send.pk}", f"upload:{send.upload_id}")

    def rows(self) -> Iterator[Sequence[object]]:
        """What became of each row, in order of line; personal values masked."""
        reached = -1
        mine = Delivery.objects.filter(send=self.send, generation=self.send.generation).order_by("line")
        while page := list(mine.filter(line__gt=reached)[:_ROWS_AT_ONCE]):
            yield from map(self._row, page)
            reached = page[-1].line

    def _row(self, row: Delivery) -> Sequence[object]:
        values = json.loads(row.payload) if row.payload else {}
        found = self.connector.identifiers(values) if self.connector and values else []
        texts = (row.receipt, row.message, found[0][1] if found else None, row.wire_key)
        receipt, message, identifier, wire_key = (self._masked(text, [values]) if text else text for text in texts)
        problems = "; ".join(f"{one['field']}: {one['code']}" for one in json.loads(row.problems or "[]"))
        digest = keyed("evidence", row.payload).hex() if row.payload else None
        return (
            row.line, row.pk, row.verdict, row.status, row.evidence, receipt, row.code, message, identifier, wire_key,
            row.attempt_count, row.resolved, problems, digest,
        )  # fmt: skip

    def first_entry(self) -> int:
        """The first entry of the log that tells of the send or of its file."""
        return AuditEntry.objects.filter(object__in=self._objects).aggregate(first=Min("seq"))["first"] or 1

    def choose(self, rows: Sequence[links.Entry]) -> set[int]:
        """The entries that tell of the send, its file or its rows."""
        numbers = {row[0]: int(row[4][9:]) for row in rows if row[4].startswith("delivery:") and row[4][9:].isdigit()}
        mine = set(Delivery.objects.filter(pk__in=set(numbers.values()), send=self.send).values_list("pk", flat=True))
        told = {seq for seq, delivery in numbers.items() if delivery in mine}
        return told | {row[0] for row in rows if row[4] in self._objects}

    def attempts(self, last: int) -> Iterator[str]:
        """A line for each entry over requests: the attempts that it covers, with what was sent."""
        for entries in self._entries(groups.ATTEMPTS, last):
            ids = [attempt for _seq, detail in entries for attempt in detail["attempts"]]
            stored = {row[0]: row for row in select(Attempt, groups.ATTEMPT, "id", ids)}
            columns = ("attempt_id", "salt", "method", "url", "headers", "body")
            copies = {row[0]: row[1:] for row in select(RequestCopy, columns, "attempt_id", ids)}
            payloads = self._payloads(ids)
            for seq, detail in entries:
                attempts = [
                    _named(groups.ATTEMPT, stored[id_])
                    | {"request": self._request(copies.get(id_), _carried(stored[id_], payloads))}
                    for id_ in detail["attempts"] if id_ in stored
                ]  # fmt: skip
                yield canonical({"entry": seq, "attempts": attempts}) + "\n"

    def outcomes(self, last: int) -> Iterator[str]:
        """A line for each entry over answers: these, and what they meant for each row."""
        for entries in self._entries(groups.OUTCOMES, last):
            ids = [attempt for _seq, detail in entries for attempt in detail["attempts"]]
            answers = {row[0]: row for row in select(Answer, groups.ANSWER, "attempt_id", ids)}
            kept = sorted({row[5] for row in answers.values() if row[5] is not None})
            copies = {row[0]: row[1:] for row in select(AnswerCopy, ("id", "salt", "headers", "body"), "id", kept)}
            carried = {row[0]: row[1] for row in select(Attempt, ("id", "deliveries"), "id", ids)}
            outcomes: dict[int, list[Any]] = defaultdict(list)
            for row in select(Outcome, groups.OUTCOME, "delivery_id", deliveries_of(ids)):
                outcomes[row[0]].append(row)
            payloads = self._payloads(ids)
            for seq, detail in entries:
                told: dict[str, Any] = {"entry": seq, "answers": [], "outcomes": []}
                for id_ in detail["attempts"]:
                    hidden = [payloads[row] for row in _ids(carried.get(id_, "[]")) if row in payloads]
                    if id_ in answers:
                        copy = self._answer(copies.get(answers[id_][5]), hidden)
                        told["answers"].append(_named(groups.ANSWER, answers[id_]) | {"copy": copy})
                    told["outcomes"] += [self._outcome(row, payloads) for row in outcomes[id_]]
                yield canonical(told) + "\n"

    def _entries(self, action: str, last: int) -> Iterator[list[tuple[int, dict[str, Any]]]]:
        found = AuditEntry.objects.filter(object=self._objects[0], action=action, seq__lte=last).order_by("seq")
        reached = 0
        while page := list(found.filter(seq__gt=reached).values_list("seq", "detail")[:_ENTRIES_AT_ONCE]):
            yield [(seq, json.loads(detail)) for seq, detail in page]
            reached = page[-1][0]

    def _payloads(self, attempts: Sequence[int]) -> dict[int, dict[str, Any]]:
        found = select(Delivery, ("id", "payload"), "id", deliveries_of(attempts))
        return {id_: json.loads(payload) for id_, payload in found if payload}

    def _request(self, copy: Sequence[Any] | None, hidden: list[dict[str, Any]]) -> dict[str, Any] | None:
        if copy is None:
            return None
        salt, method, url, headers, body = copy
        return {"method": method, "headers": headers, **self._veiled(salt, hidden, url=url, body=body)}

    def _answer(self, copy: Sequence[Any] | None, hidden: list[dict[str, Any]]) -> dict[str, Any] | None:
        if copy is None:
            return None
        salt, headers, body = copy
        return {"headers": headers, **self._veiled(salt, hidden, body=body)}

    def _veiled(self, salt: bytes, hidden: list[dict[str, Any]], **texts: str | None) -> dict[str, Any]:
        """The texts with personal values masked; with the salt only where none had to be."""
        shown = {name: self._masked(text, hidden) if text else text for name, text in texts.items()}
        # With the salt anybody could try what stands under the mask.
        return shown | {"salt": bytes(salt).hex() if shown == texts else None}

    def _outcome(self, row: Sequence[Any], payloads: dict[int, dict[str, Any]]) -> dict[str, Any]:
        told = _named(groups.OUTCOME, row)
        hidden = [payloads[told["delivery_id"]]] if told["delivery_id"] in payloads else []
        for name in ("message", "receipt"):
            masked = self._masked(told[name], hidden) if told[name] else told[name]
            if masked != told[name]:
                told |= {name: masked, "masked": True}
        return told

    def _masked(self, text: str, hidden: list[dict[str, Any]]) -> str:
        return redaction.mask_in(text, hidden, self.connector) if self.connector else text


def _named(names: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    return {name: groups.plain(value) for name, value in zip(names, row, strict=True)}


def _ids(deliveries: str) -> list[int]:
    found: list[int] = json.loads(deliveries)
    return found


def _carried(attempt: Sequence[Any], payloads: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
    """The payloads of the rows that an attempt carried."""
    return [payloads[row] for row in _ids(attempt[6]) if row in payloads]
