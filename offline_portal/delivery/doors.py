"""Both doors to the network as one, as deliveries use them: each request leaves by the door that it is made for."""

from __future__ import annotations

import ssl
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from django.conf import settings

from connectors.base import Request, Response
from connectors.by_file import Door, File
from connectors.files import FileDoor
from connectors.http import HttpDoor


class Doors:
    """Used as `async with Doors(connections) as doors`; at most so many HTTP requests at a time."""

    def __init__(self, connections: int) -> None:
        allow_private = settings.PORTAL_ALLOW_PRIVATE_DESTINATIONS
        self._http = HttpDoor(connections, allow_private)
        self._files = FileDoor(allow_private, training_certificates())

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._http)
            await stack.enter_async_context(self._files)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def send(self, request: Request, deadline: float) -> Response:
        """One request or file within `deadline` seconds. Raises what the doors raise."""
        if isinstance(request, File):
            return await self._files.send(request, deadline)
        return await self._http.send(request, deadline)

    async def knock(self, door: Door, deadline: float) -> Response:
        """A login at a server that takes files, which stores nothing. Raises what the door raises."""
        return await self._files.knock(door, deadline)


def in_doubt(request: Request) -> bool:
    """Whether an earlier try of the same file may have arrived."""
    return isinstance(request, File) and request.in_doubt


def training_certificates() -> ssl.SSLContext | None:
    """The certificates of the system and that of the emulator in PORTAL_DATA; None where training is not allowed."""
    own = Path(settings.PORTAL_DATA) / "emulator" / "certificate.pem"
    if not settings.PORTAL_ALLOW_PRIVATE_DESTINATIONS or not own.exists():
        return None
    context = ssl.create_default_context()
    context.load_verify_locations(own)
    return context
