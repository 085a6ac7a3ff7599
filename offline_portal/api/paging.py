"""Cursors: where a list goes on, as an opaque text."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any, TypeVar

from ninja import Schema
from pydantic import Field

from offline_portal.api.errors import ApiError, missing
from offline_portal.listing import Page

Item = TypeVar("Item")
_LARGEST = 2**63 - 1


class PageQuery(Schema):
    """How much of a list, and from where on."""

    cursor: str | None = Field(None, max_length=100, description="`next` of the page before.")
    limit: int = Field(100, ge=1, le=1000)

    @property
    def after(self) -> int | None:
        """The key behind which the page begins. Raises ApiError 400 for a cursor that is none of ours."""
        if self.cursor is None:
            return None
        try:
            text = base64.b64decode(self.cursor.encode(), altchars=b"-_", validate=True).decode("ascii")
        except (binascii.Error, ValueError):
            text = ""
        if not text.startswith("after:") or (key := _whole(text[6:])) is None:
            message = "This cursor is not one of ours. Take `next` of the page before, or leave it out."
            raise ApiError(400, "bad_cursor", message, {"cursor": message})
        return key


def shown(page: Page[Item], shape: Callable[[Item], dict[str, Any]]) -> dict[str, Any]:
    """A page as it leaves: {"items", "next"}."""
    return {"items": [shape(item) for item in page.items], "next": cursor(page.next)}


def number(text: str, what: str) -> int:
    """The id in an address. Raises ApiError 404 for what can be none."""
    found = _whole(text)
    if found is None:
        raise missing(what)
    return found


def cursor(key: int | None) -> str | None:
    """Where a list goes on, as the caller gets it; None at its end."""
    return None if key is None else base64.urlsafe_b64encode(f"after:{key}".encode()).decode()


def _whole(text: str) -> int | None:
    """A whole number that a database takes as a key."""
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        return None
    return key if (key := int(text)) <= _LARGEST else None
