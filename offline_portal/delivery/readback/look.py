"""One look at a vendor: for which rows, and what came of it. Pure: no database, no network."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from connectors.base import (
    Answered,
    Connector,
    ConnectorError,
    NeverSent,
    NotAvailable,
    NotUnderstood,
    Payload,
    Request,
    Response,
    Stored,
)
from offline_portal import redaction
from offline_portal.delivery.verdict import excerpt, seconds_to_wait

LONGEST = 500


class Sought(NamedTuple):
    """A row that is looked for; `since` is when it was first sent, None where nobody knows."""

    id: int
    payload: Payload
    since: datetime | None


class Said(NamedTuple):
    """What an answer, or the lack of one, says about the look: `shown` is None unless the vendor showed something."""

    code: str
    words: str
    shown: list[Stored] | None = None
    refused: bool = False
    """The vendor lets nobody look."""
    wait: float | None = None
    """Seconds for which it wants no look; 0 where it named no number."""
    at_once: bool = False
    """It was nobody's fault, and may be repeated at once."""


@dataclass
class Look:
    """One request that looks for the rows of one group of a Send."""

    send: int
    batch: int
    group: bytes
    rows: list[Sought]
    request: Request
    settings: dict[str, Any] = field(repr=False)
    attempt: int = 0
    response: Response | None = None
    error: ConnectorError | None = None
    ended_at: datetime | None = None
    said: Said | None = None


def of_answer(connector: Connector, response: Response, secret_texts: tuple[str, ...]) -> Said:
    """What an answer says."""
    if response.status == 429 or (response.status == 503 and response.header("Retry-After")):
        words = f"The vendor asks us to wait ({response.status})."
        return Said(f"http_{response.status}", words, wait=seconds_to_wait(response) or 0.0)
    try:
        return Said("", "", shown=connector.read_back(response))
    except NotAvailable as error:
        words = f"{error} {excerpt(response, secret_texts)}".strip()
        return Said("not_available", _clean(words, secret_texts), refused=True)
    except Answered as error:
        words = f"The vendor answered with status {error.status}. {excerpt(response, secret_texts)}"
        return Said(f"http_{error.status}", _clean(words, secret_texts))
    except NotUnderstood as error:
        return Said("not_understood", _clean(f"The answer could not be understood: {error}", secret_texts))
    except Exception as error:  # whatever a connector stumbles over shows no row
        return Said("not_understood", f"The answer could not be understood ({type(error).__name__}).")


def of_error(error: ConnectorError, secret_texts: tuple[str, ...]) -> Said:
    """What it means that no answer came."""
    never_sent = isinstance(error, NeverSent)
    wait = error.wait if isinstance(error, NeverSent) else None
    return Said("never_sent" if never_sent else "no_answer", _clean(str(error), secret_texts), wait=wait)


def of_refused_token() -> Said:
    """A 401 after which a new access token may help."""
    words = "The vendor refused the access token (401); the portal asks for a new one."
    return Said("http_401", words, at_once=True)


def of_held_up() -> Said:
    """The worker itself was too slow to let the request leave."""
    return Said("held_up", "The worker was held up before the request left; it goes once more.", at_once=True)


def _clean(words: str, secret_texts: tuple[str, ...]) -> str:
    return redaction.clean(words, secret_texts)[:LONGEST]
