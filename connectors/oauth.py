"""Access tokens by client credentials (OAuth 2.0, RFC 6749, 4.4): the request for one, and its answer."""

from __future__ import annotations

import base64
import json

from connectors.base import USER_AGENT, NotUnderstood, Request, Response

UNTOLD_SECONDS = 300
"""How long a token is kept whose answer does not say how long it is good."""


def token_request(url: str, client_id: str, client_secret: str) -> Request | None:
    """The request for a token, with the credentials in a Basic header; None without any.

    One of the two alone is sent all the same: the refusal then tells a person that the other is missing.
    """
    if not (client_id or client_secret):
        return None
    basic = base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
    sent = {
        "User-Agent": USER_AGENT,
        "Authorization": f"Basic {basic}",
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "application/json",
    }
    secret_texts = tuple(text for text in (client_id, client_secret, basic) if text)
    return Request("POST", url, sent, b"grant_type=client_credentials", secret_texts)


def read_token(response: Response) -> tuple[str, float]:
    """`access_token` and `expires_in`, the seconds that it is good for. Raises NotUnderstood without a token."""
    try:
        answer = json.loads(response.body)
    except (ValueError, RecursionError):
        raise NotUnderstood("it is not JSON.") from None
    token = answer.get("access_token") if isinstance(answer, dict) else None
    if not isinstance(token, str):
        raise NotUnderstood("it holds no access token.")
    seconds = answer.get("expires_in")
    return token, float(seconds if type(seconds) is int else UNTOLD_SECONDS)
