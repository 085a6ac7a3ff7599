"""What a connector is: a declaration and a few pure functions.

A connector knows one vendor and nothing else: it neither sends, sleeps, stores nor logs.
`offline_portal.delivery` builds its requests, carries them, and gives it the answers to read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Final, Literal, NamedTuple

VERSION = "1.0"
USER_AGENT = f"OfflinePortal/{VERSION}"

FieldType = Literal[
    "text", "email", "url", "number", "integer", "money", "currency", "timestamp", "boolean", "choice", "secret"
]
Role = Literal["", "time", "amount", "currency", "person", "reference"]
Evidence = Literal["delivered", "batch", "row", "confirmed"]

ALONE: Final[Hashable] = object()
"""The group of a payload that shares its request with no other, not even with one that is the same."""


@dataclass(frozen=True)
class Choice:
    """One allowed value of a Field: what is sent, and what a person reads."""

    value: str
    label: str


@dataclass(frozen=True)
class Field:
    """One thing a vendor accepts from a row, or one setting or secret of a destination.

    `type` decides how a cell becomes a value (see `offline_portal.checking`):
    text, email, url, choice, secret -> text; number, money -> plain decimal text with a dot;
    integer -> digits; currency -> three capital letters (ISO 4217); boolean -> True or False;
    timestamp -> ISO 8601 text in UTC ending in `Z`.
    A key ending in `:*` is an open-ended family (`property:*`): a mapping names its members (`property:Plan`).
    An alias of a family ends in `*` too: `prop:*` takes the column `Prop:Plan`; without a colon before the star
    (`item*`) it takes numbers only (`ITEM1`); with a low line there (`utm_*`) it takes the whole column as the
    member's name (`utm_source`).
    `max_length` counts characters; a longer text is a problem.
    `multiline`: a secret of several lines, such as a private key.
    `window_days`: a moment longer ago than that many days gets a warning, one in the future always does.
    """

    key: str
    label: str
    type: FieldType = "text"
    required: bool | Literal["conditional"] = False
    help: str = ""
    aliases: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()
    personal: bool = False
    example: str = ""
    role: Role = ""
    default: str | bool | int | float | None = None
    max_length: int | None = None
    window_days: int | None = None
    multiline: bool = False

    @property
    def is_family(self) -> bool:
        """Whether the key stands for any number of fields (`property:*`)."""
        return self.key.endswith(":*")

    def covers(self, key: str) -> bool:
        """Whether `key` is this field, or a member of this family."""
        return key == self.key or (self.is_family and key.startswith(self.key[:-1]) and len(key) >= len(self.key))


class Payload(NamedTuple):
    """One row as it leaves: its values by field key, and the key that the vendor receives to tell repeats apart."""

    values: dict[str, Any]
    wire_key: str | None = None


class Issue(NamedTuple):
    """What a connector's own rules say of a payload. A warning does not stop the row."""

    field: str
    code: str
    message: str
    warning: bool = False
    instead: str = ""
    """Another field that would do: its column is named where `field` has none."""


@dataclass(frozen=True)
class Request:
    """One HTTP request, whole. `secret_texts` never reach a log, a screen or the database."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    secret_texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Response:
    """What came back: `body` is decompressed and at most 1 MB; `truncated` tells that there was more."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool = False

    def header(self, name: str) -> str:
        """The value of a header, whatever its case; empty when absent."""
        wanted = name.lower()
        return next((value for key, value in self.headers.items() if key.lower() == wanted), "")


class Outcome(NamedTuple):
    """What one answer says about one payload."""

    accepted: bool
    evidence: Evidence | None = None
    receipt: str | None = None
    code: str = ""
    message: str = ""
    warnings: tuple[str, ...] = ()


class Stored(NamedTuple):
    """One conversion that a vendor, asked afterwards, says it has stored."""

    likeness: Hashable
    """Equal to `Connector.likeness` of a row that this may be."""
    at: datetime
    """When the vendor received it; aware."""
    name: str
    """Tells it from all others of its group, and is the same in every answer."""


class ConnectorError(Exception):
    """Base of everything that may go wrong between a payload and its outcome."""


class NeverSent(ConnectorError):
    """Surely nothing arrived: name not found, connection refused, connect time-out, no token.

    Not one byte of the request left; of a file nothing under its final name.
    """

    wait: float | None = None
    """Seconds for which the vendor wants no request at all, where it said so; 0 where it named no number."""


class Blocked(NeverSent):
    """Nothing left, and a repeat would end the same until a person mends the connection.

    A certificate that does not verify, or an address that a destination may not point at.
    """


class NoAnswer(ConnectorError):
    """The request may have arrived; no usable answer came (time-out, cut, reset, anything unforeseen)."""


class Undecidable(NoAnswer):
    """It may have arrived, and no look at the vendor can tell any more: nothing repeats it by itself."""


class NotUnderstood(ConnectorError):
    """`read` cannot make sense of an answer: wrong shape, wrong number of results, cut body."""


class Refused(ConnectorError):
    """`read` found that the vendor refused the whole request; the text is the vendor's own."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class NotAvailable(ConnectorError):
    """`read_back` found that the vendor lets nobody of this account look; that says nothing about any row."""


class Answered(ConnectorError):
    """`read` found another HTTP status inside the body than on the status line; that one counts."""

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(message)
        self.status = status


BASE_URL = Field(
    "base_url", "Address", "url", True,
    help="Scheme, host, and where needed a port and a path prefix. The portal adds the vendor's own path.",
)
RATE = Field(
    "rate", "Requests a second", "number",
    help="The most requests a second to this destination, over all sends and workers. Above 0, at most 5000.",
)
TIMEZONE = Field(
    "timezone", "Time zone", "text",
    help="IANA name, such as Europe/Berlin: the zone of dates in spreadsheets that name none.", example="Europe/Berlin",
)


class Connector:
    """Base of the vendors. Subclasses declare; they override a function only where the vendor differs."""

    slug: ClassVar[str]
    name: ClassVar[str]
    docs: ClassVar[str]
    api_version: ClassVar[str] = ""
    default_base_url: ClassVar[str] = ""
    own_settings: ClassVar[tuple[Field, ...]] = ()
    secrets: ClassVar[tuple[Field, ...]] = ()
    fields: ClassVar[tuple[Field, ...]]

    transport: ClassVar[Literal["http", "file"]] = "http"
    rows_a_request: ClassVar[int] = 1
    bytes_a_request: ClassVar[int] = 2_000_000
    rows_a_batch: ClassVar[int] = 5_000
    """At full speed some seconds of work: between two batches of a destination the wire stands still for a moment."""
    default_rate: ClassVar[float] = 5.0
    in_flight: ClassVar[int] = 50
    connection_settings: ClassVar[tuple[str, ...]] = ("base_url", "rate")
    """Settings that follow the destination as it is now, also for sends queued before they changed."""
    best_evidence: ClassVar[Evidence] = "delivered"
    refusal_is_total: ClassVar[bool] = False
    sample: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """A spreadsheet to try the vendor with: header, then rows, some of them with a problem."""

    @property
    def settings(self) -> tuple[Field, ...]:
        """All settings of a destination at this vendor, the common ones first."""
        from dataclasses import replace

        address = replace(BASE_URL, default=self.default_base_url, example=self.default_base_url)
        return (address, *self.own_settings, replace(RATE, default=self.default_rate), TIMEZONE)

    def field(self, key: str) -> Field | None:
        """The declared field that a mapping key means; None when the vendor knows no such field."""
        return next((declared for declared in self.fields if declared.covers(key)), None)

    def check_settings(self, settings: Mapping[str, Any]) -> list[Issue]:
        """Rules over a destination's settings that a single Field cannot say."""
        return []

    def check_keys(self, keys: Collection[str]) -> list[Issue]:
        """Rules over the field keys of a mapping, such as names that a vendor keeps for itself."""
        return []

    def check(self, values: dict[str, Any], settings: Mapping[str, Any]) -> list[Issue]:
        """Rules across fields and the vendor's own limits.

        It may change `values` in place: add computed ones, and replace what must not be kept (by its hash).
        """
        return []

    def group(self, values: Mapping[str, Any], settings: Mapping[str, Any]) -> Hashable:
        """Only payloads of one group share a request; ALONE is a group of one."""
        return None

    def duplicate_key(self, values: Mapping[str, Any]) -> Sequence[Any] | None:
        """What makes two rows the same conversion; None where only the whole payload does."""
        return None

    def similar_key(self, values: Mapping[str, Any]) -> Sequence[Any] | None:
        """What makes the vendor perhaps mistake two different rows for one; None where nothing does."""
        return None

    similar_warning: ClassVar[str] = ""

    def wire_key(self, values: Mapping[str, Any], new_key: Callable[[int], str]) -> str | None:
        """What the vendor receives to tell repeats apart; `new_key(n)` gives n random hexadecimal digits."""
        return None

    def identifiers(self, values: Mapping[str, Any]) -> list[tuple[str, str]]:
        """(kind, text) of everything an auditor may search for; the first one stands for the row in lists."""
        found = [(key, str(value)) for key, value in values.items() if self._role(key) in ("reference", "person")]
        return sorted(found, key=lambda item: self._role(item[0]) != "reference")

    def search_forms(self, text: str) -> list[str]:
        """As what else a payload may hold a searched text, where `check` keeps a hash in its place."""
        return []

    def _role(self, key: str) -> Role:
        declared = self.field(key)
        return declared.role if declared else ""

    def harmless_to_repeat(self, values: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
        """Whether the vendor surely counts this payload once, however often it arrives with its wire key."""
        return False

    def build(
        self, payloads: Sequence[Payload], settings: Mapping[str, Any], secrets: Mapping[str, str]
    ) -> Request:
        """The one request that carries these payloads."""
        raise NotImplementedError

    def preview(
        self, payload: Payload, settings: Mapping[str, Any], secrets: Mapping[str, str], keys: Sequence[str]
    ) -> Request:
        """The request that a single payload would make; `keys` are all fields of its mapping."""
        return self.build([payload], settings, secrets)

    def auth(self, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Request | None:
        """The request for an access token, which all others then carry as `Authorization: Bearer`; None: they do not.

        The token is fetched, kept and renewed by `offline_portal.delivery.bearer`.
        """
        return None

    def read_token(self, response: Response) -> tuple[str, float]:
        """(token, seconds until it expires) from a 2xx answer to `auth`. Raises NotUnderstood."""
        raise NotImplementedError

    def read(self, response: Response, payloads: Sequence[Payload]) -> list[Outcome]:
        """Exactly one Outcome a payload, in order, from a 2xx answer.

        Raises NotUnderstood, Refused or Answered. Other statuses never reach a connector: what they mean is the
        same for all vendors (see `offline_portal.delivery.verdict`).
        """
        raise NotImplementedError

    can_be_read_back: ClassVar[bool] = False
    """Whether the vendor tells afterwards what it has stored. Then the five below are there, and the settings of
    `connectors.readback` among its own."""

    def readback_group(self, values: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
        """Rows of one group are looked up by one request. Names the account at the vendor too."""
        raise NotImplementedError

    def readback(self, payload: Payload, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Request:
        """The request that shows what the vendor has stored of this row, and of all others of its group."""
        raise NotImplementedError

    def read_back(self, response: Response) -> list[Stored]:
        """All that an answer to `readback` shows, whatever its status but 429, and 503 with Retry-After.

        Raises NotAvailable, Answered (it is no 2xx) or NotUnderstood.
        """
        raise NotImplementedError

    def likeness(self, values: Mapping[str, Any]) -> Hashable:
        """What of a payload the vendor shows again: a Stored that is equal in it may be this row."""
        raise NotImplementedError

    def told_by_readback(self, response: Response) -> list[dict[str, Any]]:
        """What else an answer to `readback` holds, as values by field key: the personal ones are masked in it.

        Raises NotUnderstood.
        """
        return []

    def probe(self, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Request | None:
        """A request that shows whether the destination answers and stores nothing; None where there is none."""
        return None

    def describe_probe(self, response: Response) -> tuple[bool, str]:
        """(works, plain sentence) for the answer to `probe`."""
        return response.status < 500, f"The vendor answered with status {response.status}."
