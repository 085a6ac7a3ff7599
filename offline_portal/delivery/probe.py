"""The connection test of a destination: one request that stores nothing, and a sentence about what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

from django.conf import settings

import connectors
from connectors.base import USER_AGENT, Blocked, Connector, NeverSent, NoAnswer, Request, Response
from connectors.by_file import FileConnector
from offline_portal import secrets
from offline_portal.delivery import replies
from offline_portal.delivery.bearer import Bearer, Tokens
from offline_portal.delivery.doors import Doors
from offline_portal.delivery.verdict import excerpt
from offline_portal.models import Destination
from offline_portal.redaction import scrub

PROBE_SECONDS = 10.0
"""A person waits for this answer."""


def test_connection(destination: Destination) -> tuple[bool, str]:
    """(works, plain sentence) for a destination as it is stored now. Raises nothing that a network can cause."""
    connector = connectors.get(destination.connector)
    try:
        known = secrets.unseal(destination)
    except secrets.Unreadable as error:
        return False, str(error)
    if missing := _missing(connector, destination, known):
        return False, f"{missing} is not set yet. Enter it first."
    request = connector.probe(destination.settings, known)
    try:
        if isinstance(connector, FileConnector):
            return _describe_login(asyncio.run(_log_in(connector, destination, known)), known)
        if request is None:
            return _describe_reach(asyncio.run(_send(_knock(destination), destination, known)))
        works, sentence = _describe(connector, asyncio.run(_send(request, destination, known)))
    except Blocked as error:
        return False, f"{error} Nothing was sent."
    except NeverSent as error:
        return False, f"{error} Check the address in the settings; if it is right, try again later."
    except NoAnswer as error:
        return False, f"{error} Check the address in the settings, or try again later."
    return works, scrub(sentence, known.values())


async def _send(request: Request, destination: Destination, known: Mapping[str, str]) -> Response:
    """The answer to `request`, which carries a new access token where the vendor gives any."""
    connector = connectors.get(destination.connector)
    async with Doors(connections=1) as door:
        signed = await Bearer(Tokens(door), connector, destination.settings, known).signed(request)
        return await door.send(signed, min(PROBE_SECONDS, settings.PORTAL_REQUEST_DEADLINE))


async def _log_in(connector: FileConnector, destination: Destination, known: Mapping[str, str]) -> Response:
    """The answer of a server that takes files: nothing is stored there."""
    async with Doors(connections=1) as doors:
        door = connector.door(destination.settings, known)
        return await doors.knock(door, min(PROBE_SECONDS, settings.PORTAL_REQUEST_DEADLINE))


def _describe_login(response: Response, known: Mapping[str, str]) -> tuple[bool, str]:
    if response.status < 300:
        return True, "The server lets us in, and the folder is there. Whether we may write shows with the first file."
    return False, f"{replies.meaning(response.status)} It says: {excerpt(response, tuple(known.values()))}"


def _missing(connector: Connector, destination: Destination, known: Mapping[str, str]) -> str | None:
    """The label of the first required setting or secret that has no value."""
    for declared, values in ((connector.settings, destination.settings), (connector.secrets, known)):
        for field in declared:
            if field.required is True and not values.get(field.key):
                return field.label
    return None


def _knock(destination: Destination) -> Request:
    """For a vendor without a harmless request: only whether somebody answers at the address."""
    return Request("HEAD", destination.settings["base_url"], {"User-Agent": USER_AGENT})


def _describe_reach(response: Response) -> tuple[bool, str]:
    if 300 <= response.status < 400:
        return _describe_redirect(response)
    return True, "A server answers at this address. Whether the keys are right will show with the first row sent."


def _describe(connector: Connector, response: Response) -> tuple[bool, str]:
    """What a status means with every vendor; the rest the connector knows."""
    match response.status:
        case 401 | 403:
            return False, (
                f"The vendor answers but does not let us in (status {response.status}). Enter the keys anew, and "
                "check at the vendor that they are active and may write."
            )
        case 429:
            return True, "The vendor answers, and asks us to slow down for now (status 429)."
        case status if 300 <= status < 400:
            return _describe_redirect(response)
        case status if status >= 500:
            return False, f"The vendor answers, but has a fault of its own (status {status}). Try again later."
        case _:
            return connector.describe_probe(response)


def _describe_redirect(response: Response) -> tuple[bool, str]:
    place = urlsplit(response.header("location")).hostname
    return False, (
        f"This address leads on to {place or 'another one'} (status {response.status}), and the portal does not "
        "follow. Enter the final address."
    )
