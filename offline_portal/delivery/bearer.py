"""Access tokens (OAuth 2.0 bearer tokens): fetched when first needed, kept in memory only, renewed after a 401.

A token request is no Attempt: it carries no rows. When it fails, the rows' own request never left.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.conf import settings as portal

from connectors.base import Blocked, Connector, ConnectorError, NeverSent, NotUnderstood, Request, Response
from connectors.http import HttpDoor
from offline_portal.delivery.verdict import excerpt, seconds_to_wait

if TYPE_CHECKING:
    from offline_portal.delivery.writing import Parcel

FETCH_SECONDS = 10.0
"""Most that a token request may take: with the request that waits for it, it must fit into the lease."""
EARLY = 30.0
"""Seconds before its end at which a token is no longer used; a tenth of its life where that is less."""
NO_TOKEN = "The access token could not be fetched, so nothing was sent."  # noqa: S105
NOT_YET = "(access token)"
_FIT_FOR_A_HEADER = re.compile(r"[\x21-\x7e]+")

Key = tuple[str, tuple[tuple[str, str], ...], bytes]


@dataclass(frozen=True)
class _Token:
    text: str
    until: float


class Tokens:
    """The tokens of one worker's shift: who asks with the same credentials shares one, and one request for it."""

    def __init__(self, door: HttpDoor) -> None:
        self._door = door
        self._fetches: dict[Key, asyncio.Task[_Token]] = {}

    async def get(self, connector: Connector, asked: Request) -> str:
        """The token that `asked` (from `connector.auth`) is answered with. Raises NeverSent or Blocked."""
        fetch = self._fetches.get(_key(asked))
        if fetch is None or (fetch.done() and _is_spent(fetch)):
            fetch = self._fetches[_key(asked)] = asyncio.create_task(_fetch(self._door, connector, asked))
        return (await asyncio.shield(fetch)).text

    def drop(self, asked: Request, text: str) -> None:
        """Forget a token that was refused, unless it has been renewed meanwhile."""
        fetch = self._fetches.get(_key(asked))
        if fetch is not None and fetch.done() and not _is_spent(fetch) and fetch.result().text == text:
            del self._fetches[_key(asked)]


class Bearer:
    """Puts the token of one destination on requests; does nothing where the connector asks for none."""

    def __init__(
        self, tokens: Tokens, connector: Connector, settings: Mapping[str, Any], secrets: Mapping[str, str]
    ) -> None:
        self._tokens, self._connector, self._settings, self._secrets = tokens, connector, settings, secrets
        self._renewed: set[int] = set()

    @cached_property
    def _asked(self) -> Request | None:
        return self._connector.auth(self._settings, self._secrets)

    def announced(self, request: Request) -> Request:
        """The request with a place for the token: redacted, it reads exactly as it will when it leaves."""
        return request if self._asked is None else _with_token(request, NOT_YET)

    async def signed(self, request: Request) -> Request:
        """The request with the token in it, and its secrets named. Raises NeverSent or Blocked."""
        if self._asked is None:
            return request
        token = await self._tokens.get(self._connector, self._asked)
        secret_texts = (*request.secret_texts, *self._asked.secret_texts, token)
        return replace(_with_token(request, token), secret_texts=secret_texts)

    def may_repeat(self, parcel: Parcel) -> bool:
        """Whether these rows, refused with a 401, may go once more with a new token: once a row, then never again."""
        if self._asked is None or parcel.response is None or parcel.response.status != 401:
            return False
        self._tokens.drop(self._asked, parcel.request.headers["Authorization"].removeprefix("Bearer "))
        rows = {row.id for row in parcel.rows}
        first = self._renewed.isdisjoint(rows)
        self._renewed |= rows
        return first


def _with_token(request: Request, token: str) -> Request:
    return replace(request, headers={**request.headers, "Authorization": f"Bearer {token}"})


def _key(asked: Request) -> Key:
    return asked.url, tuple(asked.headers.items()), asked.body


def _is_spent(fetch: asyncio.Task[_Token]) -> bool:
    """Whether a finished fetch brought no token, or one that is about to expire."""
    return fetch.cancelled() or fetch.exception() is not None or time.monotonic() >= fetch.result().until


async def _fetch(door: HttpDoor, connector: Connector, asked: Request) -> _Token:
    """A new token. Raises Blocked where a person must mend something, else NeverSent."""
    asked_at = time.monotonic()
    try:
        response = await door.send(asked, min(FETCH_SECONDS, portal.PORTAL_REQUEST_DEADLINE))
        if not 200 <= response.status < 300:
            raise _refusal(response, asked)
        text, seconds = connector.read_token(response)
    except (Blocked, NeverSent) as error:
        raise _without_token(type(error), str(error), error.wait) from None
    except NotUnderstood as error:
        raise _without_token(NeverSent, f"Its answer could not be understood: {error}") from None
    except ConnectorError as error:
        # It may have arrived, but it carried no rows.
        raise _without_token(NeverSent, str(error)) from None
    except Exception as error:  # whatever a connector stumbles over is no token
        raise _without_token(NeverSent, f"Its answer could not be read ({type(error).__name__}).") from None
    if not _FIT_FOR_A_HEADER.fullmatch(text):
        raise _without_token(NeverSent, "What came is no token.")
    return _Token(text, asked_at + seconds - min(EARLY, seconds / 10))


def _refusal(response: Response, asked: Request) -> NeverSent:
    """What an answer other than 2xx means: wait, try again, or a person must look at the credentials."""
    if response.status == 429 or (response.status == 503 and response.header("Retry-After")):
        error = NeverSent(f"The vendor asks us to wait ({response.status}).")
        error.wait = seconds_to_wait(response) or 0.0
        return error
    words = excerpt(response, asked.secret_texts)[:200]
    said = f" The vendor says: {words}" if words else ""
    if 300 <= response.status < 500 and response.status not in (408, 425):
        mend = "Check the destination's token address, client id and client secret."
        return Blocked(f"The vendor gives us none ({response.status}). {mend}{said}")
    return NeverSent(f"The vendor has a fault of its own ({response.status}).{said}")


def _without_token(kind: type[NeverSent], why: str, wait: float | None = None) -> NeverSent:
    error = kind(f"{NO_TOKEN} {why}")
    error.wait = wait
    return error
