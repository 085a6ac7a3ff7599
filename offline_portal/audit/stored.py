"""Comparing the Attempts, Answers, Outcomes and their copies in the tables with the digests in the audit log."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from django.db import connection, models

from offline_portal.audit import groups
from offline_portal.audit.canonical import moment_sql
from offline_portal.models import Answer, AnswerCopy, Attempt, Outcome, RequestCopy

_ROWS_AT_ONCE = 10_000


class Changed(Exception):
    """What the tables hold is not what the entry `seq` covers."""

    def __init__(self, seq: int, message: str) -> None:
        super().__init__(message)
        self.seq = seq


class Counts(NamedTuple):
    """How many Attempts, Answers and Outcomes there are, or are covered."""

    attempts: int = 0
    answers: int = 0
    outcomes: int = 0


class StoredGroups:
    """Takes the entries over groups as they come, and looks at the tables for some thousand rows at once."""

    def __init__(self) -> None:
        self.covered = Counts()
        self._waiting: list[tuple[int, str, dict[str, Any]]] = []
        self._rows = 0

    def take(self, seq: int, action: str, detail: str) -> None:
        """Take one entry. Raises Changed, perhaps about an entry taken before."""
        group = json.loads(detail)
        if not {"attempts", "digest"} <= group.keys() or (action == groups.OUTCOMES and "outcomes" not in group):
            raise Changed(seq, "it does not say what it covers")
        self._waiting.append((seq, action, group))
        self._rows += len(group["attempts"]) + sum(group.get("outcomes", {}).values())
        if self._rows >= _ROWS_AT_ONCE:
            self.finish()

    def finish(self) -> None:
        """Look at everything taken since the last time. Raises Changed."""
        waiting, self._waiting, self._rows = self._waiting, [], 0
        begun = [id_ for _, action, group in waiting if action == groups.ATTEMPTS for id_ in group["attempts"]]
        ended = [id_ for _, action, group in waiting if action == groups.OUTCOMES for id_ in group["attempts"]]
        requests, answers = _Requests(begun), _Answers(ended)
        for seq, action, group in waiting:
            found, complaint = (requests if action == groups.ATTEMPTS else answers).compare(group)
            if complaint:
                raise Changed(seq, complaint)
            self.covered = Counts(*map(sum, zip(self.covered, found, strict=True)))


class _Requests:
    """The attempts with these ids, and the copies of their requests."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.attempts = {row[0]: row for row in select(Attempt, groups.ATTEMPT, "id", ids)}
        columns = ("attempt_id", "salt", "method", "url", "headers", "body")
        self.copies = {row[0]: row[1:] for row in select(RequestCopy, columns, "attempt_id", ids)}

    def compare(self, group: dict[str, Any]) -> tuple[Counts, str]:
        """How many rows the group has, and what is wrong with them (empty: nothing)."""
        ids = group["attempts"]
        missing = [id_ for id_ in ids if id_ not in self.attempts]
        if missing:
            return Counts(), f"attempt {missing[0]}, which it covers, is gone"
        if groups.digest([self.attempts[id_] for id_ in ids]) != group["digest"]:
            return Counts(), f"one of the attempts {_span(ids)} was changed"
        for id_ in ids:
            salt, *request = self.copies.get(id_, (b"", None))
            # A body over 64 kB is not kept, and a request may have been erased: neither is a change.
            whole = request[-1] is not None
            if whole and groups.salted(salt, groups.request_text(*request)) != bytes(self.attempts[id_][7]):
                return Counts(), f"the stored request of attempt {id_} was changed"
        return Counts(attempts=len(ids)), ""


class _Answers:
    """The answers to the attempts with these ids, the copies of them, and the outcomes."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.answers = {row[0]: row for row in select(Answer, groups.ANSWER, "attempt_id", ids)}
        self.outcomes: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
        for row in select(Outcome, groups.OUTCOME, "delivery_id", deliveries_of(ids)):
            self.outcomes[row[0]].append(row)
        copies = sorted({row[5] for row in self.answers.values() if row[5] is not None})
        columns = ("id", "salt", "headers", "body")
        self.copies = {
            id_: groups.salted(salt, groups.answer_text(headers, body))
            for id_, salt, headers, body in select(AnswerCopy, columns, "id", copies)
        }

    def compare(self, group: dict[str, Any]) -> tuple[Counts, str]:
        """How many rows the group has, and what is wrong with them (empty: nothing)."""
        ids = group["attempts"]
        answers = [self.answers[id_] for id_ in ids if id_ in self.answers]
        outcomes = [row for id_ in ids for row in self.outcomes[id_]]
        told = sum(group["outcomes"].values())
        if len(outcomes) != told:
            return Counts(), f"it covers {told} outcomes of the attempts {_span(ids)}; {len(outcomes)} are stored"
        if groups.digest(answers, outcomes) != group["digest"]:
            return Counts(), f"an answer or an outcome of the attempts {_span(ids)} was changed"
        for answer in answers:
            digest = self.copies.get(answer[5])
            if digest is not None and digest != bytes(answer[6] or b""):
                return Counts(), f"the stored answer to attempt {answer[0]} was changed"
        return Counts(answers=len(answers), outcomes=len(outcomes)), ""


def counts_sql() -> str:
    """SQL for three columns: how many Attempts, Answers and Outcomes are stored."""
    tables = (model._meta.db_table for model in (Attempt, Answer, Outcome))
    return ", ".join(f'(SELECT count(*) FROM "{table}")' for table in tables)


def deliveries_of(ids: Sequence[int]) -> list[int]:
    """The deliveries that these attempts carried."""
    texts = (text for (text,) in select(Attempt, ("deliveries",), "id", ids))
    # Read as numbers rather than as JSON: it may have been tampered with.
    return sorted({int(number) for text in texts for number in re.findall(r"[0-9]{1,18}", text)})


def select(
    model: type[models.Model], columns: Iterable[str], key: str, ids: Sequence[int]
) -> Iterator[tuple[Any, ...]]:
    """The columns of the rows whose `key` is among `ids`; moments as `canonical.moment` writes them."""
    moments = ("started_at", "ended_at")
    wanted = ", ".join(moment_sql(name) if name in moments else name for name in columns)
    postgresql = connection.vendor == "postgresql"
    among = "= ANY(%s)" if postgresql else "IN (SELECT value FROM json_each(%s))"
    with connection.cursor() as cursor:
        given = list(ids) if postgresql else json.dumps(list(ids))
        cursor.execute(f'SELECT {wanted} FROM "{model._meta.db_table}" WHERE {key} {among}', [given])
        yield from cursor


def _span(ids: Sequence[int]) -> str:
    return f"{min(ids)} to {max(ids)}"
