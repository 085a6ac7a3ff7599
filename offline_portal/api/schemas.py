"""What goes in and out, for the OpenAPI document; what goes in is checked against it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from ninja import Schema
from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field, StrictBool

Item = TypeVar("Item")
LINE_LIMIT = 2_000
ERRORS = frozenset({400, 401, 403, 404, 409, 413, 422, 429})


def _named_or_whole(value: object) -> object:
    """A mapping's name, or a mapping: said in one sentence, not one for each of the two."""
    if not isinstance(value, str | dict):
        raise ValueError("Give auto, the name of a saved mapping, or a mapping.")
    return value


def _written_out(value: object) -> datetime | None:
    """A time as ISO 8601 and nothing else: a bare number would be seconds or milliseconds, and perhaps long past."""
    if value is None:
        return None
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError("Give a time with its zone, like 2026-11-01T09:00:00+01:00.") from None


class Body(Schema):
    """What a call takes; a field that it does not know is an error and not silence."""

    model_config = ConfigDict(extra="forbid")


class Page(Schema, Generic[Item]):
    """A part of a list; `next` is the `cursor` of the part behind it, null at the end."""

    items: list[Item]
    next: str | None


class ErrorBody(Schema):
    code: str
    message: str
    fields: dict[str, str]


class Error(Schema):
    error: ErrorBody


class Choice(Schema):
    value: str
    label: str


class FieldOut(Schema):
    key: str
    label: str
    type: str
    required: bool | Literal["conditional"]
    help: str
    aliases: list[str]
    choices: list[Choice]
    personal: bool
    example: str


class ConnectorOut(Schema):
    slug: str
    name: str
    docs: str
    settings: list[FieldOut]
    secrets: list[FieldOut]
    fields: list[FieldOut]


class SecretOut(Schema):
    set: bool
    hint: str | None


class DestinationOut(Schema):
    id: str
    name: str
    connector: str
    settings: dict[str, Any]
    secrets: dict[str, SecretOut]
    live: bool
    paused: bool
    reason: str | None
    waits_until: str | None
    require_approval: bool
    retention_days: int | None


class DestinationIn(Body):
    name: str
    connector: str
    settings: dict[str, Any] = {}
    secrets: dict[str, str | None] = {}
    live: StrictBool = False
    paused: StrictBool = False
    reason: str | None = Field(None, max_length=LINE_LIMIT)
    require_approval: StrictBool = False
    retention_days: int | None = None


class DestinationChange(Body):
    name: str = ""
    settings: dict[str, Any] = {}
    secrets: dict[str, str | None] = {}
    live: StrictBool = False
    paused: StrictBool = False
    reason: str | None = Field(None, max_length=LINE_LIMIT)
    require_approval: StrictBool = False
    retention_days: int | None = None


class Tested(Schema):
    ok: bool
    message: str


class FileProblem(Schema):
    line: int | None
    column: str | None
    code: str
    message: str


class UploadOut(Schema):
    id: str
    filename: str
    sha256: str
    bytes: int
    status: Literal["reading", "ready", "refused"]
    format: str
    encoding: str | None
    delimiter: str | None
    sheet: str | None
    sheets: list[str]
    header_line: int
    columns: list[str]
    rows: int
    problems: list[FileProblem]
    reason: str | None


class UploadRow(Schema):
    line: int
    cells: dict[str, str]


class MappingOut(Schema):
    id: str
    name: str
    connector: str
    version: int
    fields: dict[str, dict[str, Any]]
    created_by: str
    created_at: str


class MappingIn(Body):
    name: str
    connector: str
    fields: dict[str, Any]


class SendIn(Body):
    upload: str
    destination: str
    mapping: Annotated[str | dict[str, Any], BeforeValidator(_named_or_whole)]
    duplicates: Literal["skip", "send"] = "skip"
    scheduled_at: Annotated[AwareDatetime | None, BeforeValidator(_written_out)] = None


class SendOut(Schema):
    id: str
    upload: str
    destination: str | None
    mapping: dict[str, dict[str, Any]]
    status: str
    counts: dict[str, int]
    created_by: str
    created_at: str
    queued_at: str | None
    scheduled_at: str | None
    finished_at: str | None
    reason: str | None
    readback: dict[str, int]


class RowProblem(Schema):
    field: str | None
    column: str | None
    code: str
    message: str


class Earlier(Schema):
    delivery: str
    send: str
    line: int
    filename: str
    status: str | None


class RowOut(Schema):
    line: int
    verdict: Literal["unchecked", "ready", "problem", "duplicate", "excluded"]
    cells: dict[str, str]
    payload: dict[str, Any] | None
    problems: list[RowProblem]
    warnings: list[RowProblem]
    duplicate_of: Earlier | None


class RowChange(Body):
    cells: dict[str, str] | None = None
    excluded: StrictBool | None = None


class Retry(Body):
    statuses: list[Literal["rejected", "failed"]] = Field(min_length=1)
    reason: str = Field("", max_length=LINE_LIMIT)


class Decision(Body):
    reason: str = Field("", max_length=500)


class Resolve(Body):
    as_: Literal["resend", "accepted", "abandoned"] = Field(alias="as")
    reason: str = Field(max_length=500)


class ReadbackOut(Schema):
    state: Literal["looking", "confirmed", "not_found", "not_available", "stopped"]
    next_at: str | None
    tries: int


class DeliveryOut(Schema):
    id: str
    send: str
    line: int
    status: str
    evidence: str | None
    key: str | None
    identifier: str | None
    receipt: str | None
    code: str | None
    message: str | None
    warnings: list[RowProblem]
    attempt_count: int
    resolved: str | None
    readback: ReadbackOut | None


class RequestOut(Schema):
    method: str
    url: str
    headers: dict[str, str]
    body: str | None


class ResponseOut(Schema):
    status: int
    headers: dict[str, str]
    body: str | None
    truncated: bool


class AttemptOut(Schema):
    started: str
    ended: str | None
    request: RequestOut
    response: ResponseOut | None
    error: str | None


class MomentOut(Schema):
    at: str
    what: str
    who: str


class DeliveryStory(DeliveryOut):
    attempts: list[AttemptOut]
    looks: list[AttemptOut]
    timeline: list[MomentOut]


class AuditEntryOut(Schema):
    seq: int
    at: str
    actor: str
    action: str
    object: str
    detail: dict[str, Any]
    previous: str
    hash: str


class WorkerOut(Schema):
    name: str
    pid: int
    host: str
    state: str
    last_seen: str | None


class Sweeper(Schema):
    ok: bool
    last_pass: str | None


class HealthOut(Schema):
    database: str
    redis: str
    workers: list[WorkerOut]
    sweeper: Sweeper
    version: str
