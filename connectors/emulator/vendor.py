"""What every imitated vendor declares, and the shapes it speaks with the server."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from connectors.emulator.switches import Switch

if TYPE_CHECKING:
    from connectors.emulator.ledger import Ledger


@dataclass(slots=True)
class Call:
    """One request as it reached the vendor; `path` (without the prefix) and `query` still percent-encoded."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    received_at: float  # seconds since 1970, UTC


@dataclass(slots=True)
class Answer:
    """What the vendor answers; `why` is for people and travels in the header Emulator-Reason."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    why: str = ""


@dataclass(slots=True)
class Conversion:
    """One conversion found in a request, before it is stored.

    `verdict` is `effective`, `dropped` (a real vendor loses it in silence) or `rejected` (it says no).
    Two conversions of one account with the same `identity` are repeats; None repeats nothing.
    """

    key: dict[str, Any]
    content: dict[str, Any]
    verdict: str = "effective"
    reason: str = ""
    notes: list[str] = field(default_factory=list)
    identity: tuple[Any, ...] | None = None
    receipt: str = ""


@dataclass(slots=True)
class Judgement:
    """The vendor's opinion of one whole request: its answer and the conversions it would store."""

    answer: Answer
    conversions: list[Conversion] = field(default_factory=list)


class Vendor:
    """One imitated vendor. A file in `vendors/` with a subclass of this is all that a new vendor needs."""

    slug: str
    title: str
    account_label: str  # what tells accounts apart, in the vendor's words
    routes: tuple[str, ...]  # for the page: method and path
    ignores_repeats = False  # a repeated identity is a duplicate; if not, it is stored again and only listed
    switches: tuple[Switch, ...] = ()
    ledger: "Ledger | None" = None
    """What all vendors have stored; the server gives it, for vendors that can be asked about it."""

    def account(self, call: Call) -> str:
        """The account a request belongs to, from path, query and headers alone; empty if it names none."""
        raise NotImplementedError

    def judge(self, call: Call, account: str, options: Mapping[str, Any]) -> Judgement:
        """Judge a whole request; `options` holds the vendor's own switches that meet this request."""
        raise NotImplementedError

    def refusal(self, status: int, message: str = "", why: str = "") -> Answer:
        """An answer with this HTTP status in the shape the vendor gives its errors.

        Without a message it carries the reason phrase of the status.
        """
        body = json.dumps({"status": status, "message": message or phrase(status)}).encode()
        return Answer(status, body, why=why)


class BadFile(ValueError):
    """A whole file that the vendor cannot read; the message says why."""


class FileVendor(Vendor):
    """A vendor that reads files, which come by the doors for files and not over HTTP."""

    def account(self, call: Call) -> str:
        """Nobody: accounts are those of the doors."""
        return ""

    def judge(self, call: Call, account: str, options: Mapping[str, Any]) -> Judgement:
        """Always 404."""
        return Judgement(self.refusal(404, why="files come by FTP and SFTP; /doors.json names the ports"))

    def read_file(self, name: str, content: bytes) -> list[Conversion]:
        """What a finished file holds. Raises BadFile."""
        raise NotImplementedError


def phrase(status: int) -> str:
    """The reason phrase of an HTTP status, such as `Bad Gateway`."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
