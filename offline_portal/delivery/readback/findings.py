"""What came of looks, written down: Answers and Outcomes, rows confirmed, when to look again, and when no more.

One transaction for some looks, under the fence of the Reader. A look changes a row only for the better: what was not
found stays as it was.
"""

from __future__ import annotations

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import transaction
from django.utils import timezone

from connectors.base import NoAnswer, Payload, Request, Stored
from offline_portal import bulk, claims
from offline_portal.audit import chain, groups
from offline_portal.audit.keys import keyed
from offline_portal.delivery import counting, exchanges
from offline_portal.delivery.pausing import back_off
from offline_portal.delivery.readback import look, refusal, rivals
from offline_portal.delivery.readback.look import Look, Said, Sought
from offline_portal.delivery.readback.reading import Desk, desk_of
from offline_portal.delivery.readback.sightings import Wanted, pair
from offline_portal.models import Attempt, Delivery, Outcome, Readback, Reader

log = logging.getLogger(__name__)

NOT_SHOWN = "The vendor does not show it."
_S = Readback.State
_NO_REQUEST = Request("", "")


class Open(NamedTuple):
    """A row that is still looked for by a certain Attempt."""

    id: int
    status: str
    evidence: str
    due_at: datetime
    tries: int
    failures: int


class Finding(NamedTuple):
    """What a row, and its Readback, become by a look."""

    row: int
    status: str
    evidence: str
    code: str
    words: str
    state: str
    due_at: datetime | None
    tries: int
    failures: int
    sighting: bytes | None = None


def settle(desk: Desk, looks: Sequence[Look]) -> None:
    """Write down what came of these looks. Raises ClaimLost."""
    with transaction.atomic():
        claims.keep(Reader, desk.destination, desk.fence)
        open_rows = _lock(looks)
        answers = exchanges.end(looks, {})
        given: dict[bytes, int] = {}
        found = {one.attempt: _findings(desk, one, open_rows[one.attempt], given) for one in looks}
        outcomes = {
            attempt: [(attempt, one.row, one.status, one.evidence, one.code, one.words, None) for one in findings]
            for attempt, findings in found.items()
        }
        bulk.insert(Outcome, groups.OUTCOME, [row for rows in outcomes.values() for row in rows])
        _write([finding for findings in found.values() for finding in findings])
        _land(desk, looks)
        for send in sorted({one.send for one in looks}):
            mine = [one.attempt for one in looks if one.send == send]
            counting.move(send, _change([(open_rows[attempt], found[attempt]) for attempt in mine]))
        chain.add_many([*refusal.note(desk, looks), *_entries(looks, answers, outcomes)])


def _lock(looks: Sequence[Look]) -> dict[int, dict[int, Open]]:
    """By Attempt, the rows that it still looks for: a person may have decided about others meanwhile."""
    ids = sorted({row.id for one in looks for row in one.rows})
    rows = Delivery.objects.select_for_update().filter(pk__in=ids).order_by("pk")
    states = {pk: (status, evidence) for pk, status, evidence in rows.values_list("pk", "status", "evidence")}
    found: dict[int, dict[int, Open]] = {one.attempt: {} for one in looks}
    waiting = Readback.objects.filter(pk__in=ids, state=_S.LOOKING).values_list(
        "pk", "attempt", "due_at", "tries", "failures"
    )
    for pk, attempt, *facts in waiting:
        if attempt in found and states[pk][0] in ("accepted", "unknown"):
            found[attempt][pk] = Open(pk, *states[pk], *facts)
    return found


def _findings(desk: Desk, one: Look, open_rows: dict[int, Open], given: dict[bytes, int]) -> list[Finding]:
    """For every row that is still looked for; `given`, by conversion the row that gets it, grows."""
    said: Said = one.said  # type: ignore[assignment]
    mine = _sightings(desk, one, open_rows, given) if said.shown and open_rows else {}
    given.update({digest: row for row, digest in mine.items()})
    now = timezone.now()
    return [_finding(desk, row, said, mine.get(row.id), now) for row in open_rows.values()]


def _sightings(desk: Desk, one: Look, open_rows: dict[int, Open], given: dict[bytes, int]) -> dict[int, bytes]:
    """{row: the digest of the stored conversion that it is}, none of them another row's."""
    shown: list[Stored] = one.said.shown  # type: ignore[assignment, union-attr]
    digests = {stored.name: keyed("sighting", f"{one.group.hex()} {stored.name}") for stored in shown}
    others = Readback.objects.filter(destination=desk.destination, sighting__in=list(digests.values()))
    taken = given.keys() | {bytes(digest) for digest in others.values_list("sighting", flat=True)}
    wanted = [
        Wanted(row.id, desk.connector.likeness(row.payload.values), row.since, open_rows[row.id].status == "unknown")
        for row in one.rows if row.id in open_rows and row.since is not None
    ]  # fmt: skip
    in_doubt = {row.likeness for row in wanted if row.unknown} & {stored.likeness for stored in shown}
    if in_doubt:
        try:
            wanted += rivals.of(desk, one, in_doubt, but={*open_rows, *given.values()})
        except rivals.TooMany:
            wanted = [row for row in wanted if not row.unknown]
    paired = pair(wanted, shown, {name for name, digest in digests.items() if digest in taken})
    return {row: digests[stored.name] for row, stored in paired.items() if row in open_rows}


def _finding(desk: Desk, row: Open, said: Said, sighting: bytes | None, now: datetime) -> Finding:
    if sighting is not None:
        words, tries = "The vendor shows it.", row.tries + 1
        return Finding(
            row.id, "accepted", "confirmed", "", words, _S.CONFIRMED, None, tries, row.failures, sighting
        )
    as_before = (row.id, row.status, row.evidence)
    if said.refused:
        return Finding(*as_before, said.code, said.words, _S.NOT_AVAILABLE, None, row.tries, row.failures)
    if row.due_at > now or said.at_once or said.wait is not None:
        # It rode along before its time, or the look does not count.
        code, words = (said.code, said.words) if said.shown is None else ("not_found", NOT_SHOWN)
        return Finding(*as_before, code, words, _S.LOOKING, row.due_at, row.tries, row.failures)
    return _not_found(desk, row, now) if said.shown is not None else _no_answer(desk, row, said, now)


def _not_found(desk: Desk, row: Open, now: datetime) -> Finding:
    timing, tries = desk.timing, row.tries + 1
    words = f"{NOT_SHOWN} Look {tries} of {timing.tries}."
    state, due_at = (_S.NOT_FOUND, None) if tries >= timing.tries else (_S.LOOKING, now + timing.every)
    return Finding(row.id, row.status, row.evidence, "not_found", words, state, due_at, tries, row.failures)


def _no_answer(desk: Desk, row: Open, said: Said, now: datetime) -> Finding:
    """It counts as no look; but they come to an end, too."""
    failures = row.failures + 1
    state, due_at, words = _S.LOOKING, now + timedelta(seconds=back_off(failures)), said.words
    if failures >= desk.timing.tries * settings.PORTAL_RETRY_LIMIT:
        state, due_at = _S.NOT_AVAILABLE, None
        words = f"Given up after {failures} looks without a usable answer. {words}"[: look.LONGEST]
    return Finding(row.id, row.status, row.evidence, said.code, words, state, due_at, row.tries, failures)


def _write(findings: Sequence[Finding]) -> None:
    confirmed = [one.row for one in findings if one.state == _S.CONFIRMED]
    better = {"status": "accepted", "evidence": "confirmed", "code": "", "message": ""}
    bulk.set_by_ids(Delivery, better, confirmed, "status IN ('accepted', 'unknown')")
    in_vain = [one for one in findings if one.state == _S.NOT_FOUND and one.status == "unknown"]
    for number in {one.tries for one in in_vain}:
        words = f"No usable answer came. In {number} looks the vendor did not show it; it may be there all the same."
        ids = [one.row for one in in_vain if one.tries == number]
        bulk.set_by_ids(Delivery, {"code": "not_found", "message": words}, ids, "status = 'unknown'")
    bulk.set_each(
        Readback, ("state", "due_at", "tries", "failures", "sighting"),
        [(one.row, str(one.state), one.due_at, one.tries, one.failures, one.sighting) for one in findings],
        "state = 'looking'",
    )  # fmt: skip


def _land(desk: Desk, looks: Sequence[Look]) -> None:
    """They are on the wire no more, not even for rows that nobody looks for any more."""
    flown = [one.attempt for one in looks]
    Readback.objects.filter(destination=desk.destination, attempt__in=flown).update(attempt=None)


def _change(looked: Sequence[tuple[dict[int, Open], Sequence[Finding]]]) -> Counter[str]:
    """By how much the counters of a Send move."""
    change: Counter[str] = Counter()
    for open_rows, findings in looked:
        for one in findings:
            change.update({open_rows[one.row].status: -1})
            change.update({one.status: 1})
            change.update({"readback_looking": -1})
            change.update({f"readback_{one.state}": 1})
    return change


def _entries(
    looks: Sequence[Look], answers: Sequence[tuple[Any, ...]], outcomes: dict[int, list[tuple[Any, ...]]]
) -> list[tuple[str, str, str, dict[str, Any]]]:
    """One audit entry a Send, over the Answers to its looks and what they say."""
    by_send: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for one, answer in zip(looks, answers, strict=True):
        by_send[one.send].append(answer)
    entries = []
    for send, mine in by_send.items():
        said = [row for answer in mine for row in outcomes[answer[0]]]
        detail = {
            "attempts": [answer[0] for answer in mine], "outcomes": dict(Counter(row[2] for row in said)),
            "digest": groups.digest(mine, said), "readback": True,
        }  # fmt: skip
        entries.append(("portal", groups.OUTCOMES, f"send:{send}", detail))
    return entries


def close_abandoned(desk: Desk) -> int:
    """Give every look of a reader that is no more its honest end; returns how many there were. Raises ClaimLost."""
    flying = Readback.objects.filter(destination=desk.destination, attempt__isnull=False)
    numbers = sorted(set(flying.values_list("attempt", flat=True)))
    unanswered = Attempt.objects.filter(pk__in=numbers, answer=None).select_related("batch").order_by("pk")
    looks = [_abandoned(attempt) for attempt in unanswered]
    if looks:
        settle(desk, looks)
    return len(looks)


def close_silent() -> int:
    """For the sweeper: the same for all readers that fell silent."""
    closed = 0
    silent = Reader.objects.filter(lease_until__lt=timezone.now()).select_related("destination__current")
    for reader in silent[:200]:
        fence = claims.take(Reader, reader.pk)
        if fence is None:
            continue
        try:
            closed += close_abandoned(desk_of(reader.destination, fence, without_secrets=True))
        except claims.ClaimLost:
            continue
        except DatabaseError:
            raise
        except Exception:
            # One that cannot be closed must not keep all others waiting; it comes back with its next lease.
            log.exception("The looks at destination %s could not be closed", reader.destination_id)
            continue
        claims.give_back(Reader, reader.pk, fence)
    return closed


def _abandoned(attempt: Attempt) -> Look:
    error = NoAnswer("The worker stopped before an answer was written.")
    rows = [Sought(pk, Payload({}), None) for pk in json.loads(attempt.deliveries)]
    said = look.of_error(error, ())
    return Look(
        attempt.batch.send_id, attempt.batch_id, b"", rows, _NO_REQUEST, {}, attempt.pk, error=error,
        ended_at=timezone.now(), said=said,
    )  # fmt: skip
