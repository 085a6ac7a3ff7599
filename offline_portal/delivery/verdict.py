"""What an answer, or the lack of one, means for the rows of a request: one table for all vendors."""

from __future__ import annotations

import email.utils
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from connectors.base import (
    Answered,
    Blocked,
    Connector,
    ConnectorError,
    NeverSent,
    NotUnderstood,
    Outcome,
    Payload,
    Refused,
    Response,
    Undecidable,
)
from offline_portal import redaction
from offline_portal.delivery import replies

BROKEN_CONNECTION = {
    401: "The vendor does not accept our key (401).",
    403: "The vendor forbids this (403): the key lacks the right, or the account is closed.",
    404: "The vendor knows no such address or account (404).",
    405: "The vendor does not take requests of this kind at this address (405).",
    410: "The vendor has shut this address down (410).",
    415: "The vendor does not take this kind of content (415).",
}
WAIT_503 = "wait_503"
"""The code of a 503 that asks to wait; any other 503 may have been answered after the row was stored."""
LONGEST_WAIT = 24 * 3600.0
_LOOKED_THROUGH = 64 * 1024
_SECONDS = re.compile(r"[0-9]{1,300}(?:\.[0-9]{1,20})?")
FIRST_SINGLES = 5
"""So many single rows refused in the same words, none accepted: then it is not the rows."""


@dataclass(frozen=True)
class RowVerdict:
    """What one Delivery becomes: its next status, and why."""

    status: str
    evidence: str = ""
    code: str = ""
    message: str = ""
    receipt: str | None = None
    never_arrived: bool = False
    """Surely: after the last try such a row is `failed`, any other `unknown`."""


@dataclass
class Verdict:
    """What one request's rows become, and what follows for the Batch and its Destination."""

    rows: list[RowVerdict]
    again: bool = False
    """Repeat after a growing pause; the try counts."""
    lost: bool = False
    """No usable answer came, whether or not it is repeated: the vendor may be down."""
    split: bool = False
    """Repeat at once, in two halves."""
    repeat: bool = False
    """Repeat at once, as it is: nothing was taken, and the try does not count."""
    wait: float | None = None
    """Seconds for which the vendor wants no request to this destination."""
    pause: str = ""
    """Why the destination must be paused until a person mends the connection."""
    refusal: str = field(default="")
    """The vendor's words when it refused one row that stood alone."""


class Judge:
    """Reads answers for one Batch: one connector, one set of settings."""

    def __init__(
        self, connector: Connector, harmless: Sequence[bool], payloads: Sequence[Payload],
        secret_texts: Sequence[str] = (),
    ) -> None:
        self.connector, self.payloads = connector, payloads
        # A file is looked for under its final name before anything is repeated (see `connectors.files`).
        self.harmless = [True] * len(payloads) if connector.transport == "file" else harmless
        self.secret_texts = secret_texts

    def _clean(self, text: str, longest: int = 500) -> str:
        """The vendor's words as they may be stored: a vendor may echo our key."""
        return redaction.clean(text, self.secret_texts)[:longest]

    def of_error(self, error: ConnectorError) -> Verdict:
        """The verdict when no answer came."""
        text = self._clean(str(error))
        if isinstance(error, Blocked):
            return Verdict(self._queued("blocked", text), pause=text)
        if isinstance(error, NeverSent):
            rows = self._queued("never_sent", text, never_arrived=True)
            return Verdict(rows, again=error.wait is None, wait=error.wait)
        if isinstance(error, Undecidable):
            return Verdict([RowVerdict("unknown", code="undecidable", message=text)] * len(self.payloads))
        return self._lost("no_answer", text)

    def of_refused_token(self) -> Verdict:
        """The verdict of a 401 after which a new access token may help."""
        text = "The vendor refused the access token (401); the portal asks for a new one."
        return Verdict(self._queued("http_401", text), repeat=True)

    def of_held_up(self, why: str) -> Verdict:
        """The verdict when we did not let the request leave."""
        return Verdict(self._queued("held_up", f"{why} It goes once more.", never_arrived=True), repeat=True)

    def of_answer(self, response: Response) -> Verdict:
        """The verdict of an answer."""
        if self.connector.transport == "file" and response.status >= 300:
            return self._of_reply(response)
        return self._of_status(response.status, response, "")

    def _of_reply(self, response: Response) -> Verdict:
        """A file server said no before the file had its final name: nothing arrived."""
        code, words = f"ftp_{response.status}", excerpt(response, self.secret_texts)
        text = self._clean(f"{replies.meaning(response.status)} It says: {words}")
        rows = self._queued(code, text, never_arrived=True)
        return Verdict(rows, again=True) if replies.passes(response.status) else Verdict(rows, pause=text)

    def _of_status(self, status: int, response: Response, words: str) -> Verdict:
        if 200 <= status < 300:
            return self._of_success(response)
        if status in BROKEN_CONNECTION or 300 <= status < 400:
            reason = BROKEN_CONNECTION.get(status) or f"The vendor sends us on to another address ({status})."
            return Verdict(self._queued(f"http_{status}", reason), pause=reason)
        retry_after = seconds_to_wait(response)
        if status == 429 or (status == 503 and response.header("Retry-After")):
            text = f"The vendor asks us to wait ({status})."
            code = "http_429" if status == 429 else WAIT_503
            return Verdict(self._queued(code, text), wait=retry_after or 0.0)
        if status == 409 and all(self.harmless):
            text = "The vendor is still busy with this (409)."
            return Verdict(self._queued("http_409", text), wait=retry_after or 0.0)
        words = words or excerpt(response, self.secret_texts)
        if status == 413 and len(self.payloads) > 1:
            return Verdict(self._queued("http_413", "Too large for one request (413)."), split=True)
        if status in (400, 413, 422):
            return self._refused(f"http_{status}", words or f"Refused with status {status}.")
        return self._lost(f"http_{status}", f"The vendor answered with status {status}. {words}".strip())

    def _of_success(self, response: Response) -> Verdict:
        try:
            outcomes = self.connector.read(response, self.payloads)
            if len(outcomes) != len(self.payloads):
                raise NotUnderstood(f"{len(outcomes)} results for {len(self.payloads)} rows")
        except Refused as refusal:
            return self._refused(refusal.code or "refused", str(refusal))
        except Answered as answered:
            if 200 <= answered.status < 300:
                return self._lost("not_understood", f"The answer could not be understood: {answered}")
            return self._of_status(answered.status, response, str(answered))
        except NotUnderstood as error:
            return self._lost("not_understood", f"The answer could not be understood: {error}")
        except Exception as error:  # whatever a connector stumbles over is not an acceptance
            return self._lost("not_understood", f"The answer could not be understood ({type(error).__name__}).")
        rows = [self._row(outcome) for outcome in outcomes]
        return Verdict(rows, refusal=rows[0].message if len(rows) == 1 and rows[0].status == "rejected" else "")

    def _refused(self, code: str, words: str) -> Verdict:
        code, words = self._clean(code, 60), self._clean(words)
        if len(self.payloads) == 1:
            return Verdict([RowVerdict("rejected", code=code, message=words)], refusal=words)
        if self.connector.refusal_is_total:
            return Verdict(self._queued(code, words), split=True)
        text = f"The vendor refused the whole request and does not say what it kept. {words}"
        return replace(self._lost(code, text), lost=False)

    def _lost(self, code: str, text: str) -> Verdict:
        """It may have arrived: repeated only where that is harmless, else honestly unknown."""
        text = self._clean(text)
        rows = [RowVerdict("queued" if safe else "unknown", code=code, message=text) for safe in self.harmless]
        return Verdict(rows, again=any(self.harmless), lost=True)

    def _queued(self, code: str, text: str, never_arrived: bool = False) -> list[RowVerdict]:
        code, text = self._clean(code, 60), self._clean(text)
        waiting = RowVerdict("queued", code=code, message=text, never_arrived=never_arrived)
        return [waiting] * len(self.payloads)

    def _row(self, outcome: Outcome) -> RowVerdict:
        status = "accepted" if outcome.accepted else "rejected"
        evidence = (outcome.evidence or "") if outcome.accepted else ""
        words = self._clean(outcome.message or "; ".join(outcome.warnings))
        receipt = None if outcome.receipt is None else self._clean(outcome.receipt, 200)
        return RowVerdict(status, evidence, self._clean(outcome.code, 60), words, receipt)


def excerpt(response: Response, secret_texts: Sequence[str]) -> str:
    """The first words of an answer's body, as text without secrets."""
    text = redaction.scrub(response.body[:_LOOKED_THROUGH].decode("utf-8", "replace"), secret_texts)
    return redaction.visible(" ".join(text.split()))[:500]


def seconds_to_wait(response: Response) -> float | None:
    """Retry-After as seconds from now (RFC 9110, 10.2.3), at most a day; None when it is neither number nor date."""
    text = response.header("Retry-After").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST_WAIT)
    try:
        moment = email.utils.parsedate_to_datetime(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (moment - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT)
