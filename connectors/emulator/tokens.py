"""The token office of an imitated vendor: client credentials in, access tokens out (RFC 6749, 4.4)."""

import base64
import binascii
import json
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from connectors.emulator.switches import Switch
from connectors.emulator.vendor import Answer, Call

TOKEN_SECONDS = 3600
SWITCHES = (
    Switch("token_required", "boolean", "Answers 401 without an access token.", rule=True),
    Switch("token_seconds", "integer", "How long new tokens are good; 3600 unless set.", rule=True),
    Switch("known_clients", "text", "CLIENT_ID:SECRET pairs that get a token, separated by commas; others 401.",
           rule=True),
    Switch("revoke_token", "boolean", "Forgets the token that a request carries, and answers 401."),
)  # fmt: skip


class Tokens:
    """The tokens that one vendor has given."""

    def __init__(self) -> None:
        self._ends: dict[str, float] = {}

    def give(self, call: Call, options: Mapping[str, Any]) -> Answer:
        """A new token for the client in the Basic header, or the refusal."""
        client, known = credentials(call), options.get("known_clients")
        if client is None or (known is not None and client not in [name.strip() for name in known.split(",")]):
            return Answer(401, b'{"error":"invalid_client"}', why="unknown client id or secret")
        if dict(parse_qsl(call.body.decode("utf-8", "replace"))).get("grant_type") != "client_credentials":
            return Answer(400, b'{"error":"unsupported_grant_type"}', why="grant_type is not client_credentials")
        seconds, token = options.get("token_seconds", TOKEN_SECONDS), secrets.token_urlsafe(24)
        self._ends = {known: end for known, end in self._ends.items() if end > call.received_at}
        self._ends[token] = call.received_at + seconds
        given = {"access_token": token, "token_type": "bearer", "expires_in": seconds}
        return Answer(200, json.dumps(given).encode())

    def fault(self, call: Call, options: Mapping[str, Any]) -> str:
        """Why the token on a request is not good enough; empty where it is, or where none is needed."""
        scheme, _, token = call.headers.get("Authorization", "").partition(" ")
        if not token:
            return "the access token is missing" if options.get("token_required") else ""
        if options.get("revoke_token"):
            self._ends.pop(token, None)
        if scheme.lower() != "bearer" or self._ends.get(token, 0) <= call.received_at:
            return "the access token is unknown or has expired"
        return ""


def credentials(call: Call) -> str | None:
    """`CLIENT_ID:SECRET` of a Basic header, None if there is none."""
    scheme, _, coded = call.headers.get("Authorization", "").partition(" ")
    try:
        found = base64.b64decode(coded, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return found if scheme.lower() == "basic" and ":" in found else None
