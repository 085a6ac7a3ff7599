"""Every way in which a call can fail, in one shape: {"error": {"code", "message", "fields"}}."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from typing import Any

from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.multipartparser import MultiPartParserError
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, Throttled, ValidationError

from offline_portal.audit.search import BadCursor
from offline_portal.checks import CannotCheck, CellTooLarge, NotEditable
from offline_portal.delivery.release import OwnSend
from offline_portal.delivery.states import Conflict
from offline_portal.destinations import Invalid, Unfinished
from offline_portal.intake import Refused
from offline_portal.mapping import FormatNeeded, MappingIncomplete, MappingInvalid
from offline_portal.models import Row
from offline_portal.trouble import DATABASE_TROUBLE, disk_is_full, first_line

log = logging.getLogger(__name__)

TOO_LARGE = "too_large"
_MAPPING_CODES = {
    MappingIncomplete: ("mapping_incomplete", "These fields are needed, and nothing is mapped to them."),
    MappingInvalid: ("mapping_invalid", "This mapping cannot be used."),
    FormatNeeded: ("format_needed", "These columns can be read in two ways. Say which format they have."),
}
_CONFLICTS = frozenset({"already_queued", "still_checking", "no_destination"})
_CODES = {400: "bad_request", 403: "forbidden", 404: "not_found", 413: TOO_LARGE}


class ApiError(Exception):
    """A call that cannot be answered: HTTP status, stable code, a sentence for a person, and reasons by field."""

    def __init__(self, status: int, code: str, message: str, fields: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.fields = status, code, message, fields or {}


def missing(what: str) -> ApiError:
    """404 for something that is not there, or that this person may not see."""
    return ApiError(404, "not_found", f"There is no such {what}.")


def answer(status: int, code: str, message: str, fields: dict[str, str] | None = None) -> JsonResponse:
    """An error as it leaves."""
    return JsonResponse({"error": {"code": code, "message": message, "fields": fields or {}}}, status=status)


def answer_exceptions(api: NinjaAPI) -> None:
    """Register how each exception of the stages is answered."""
    for kinds, answered in _ANSWERS:
        for kind in kinds:
            api.add_exception_handler(kind, answered)


def _own(request: HttpRequest, error: ApiError) -> HttpResponse:
    return answer(error.status, error.code, error.message, error.fields)


def _stranger(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    message = "Send a valid token: “Authorization: Bearer TOKEN”. `manage.py token USERNAME` prints a new one."
    response = answer(401, "unauthorized", message)
    response["WWW-Authenticate"] = "Bearer"
    return response


def _http(request: HttpRequest, error: HttpError) -> HttpResponse:
    return answer(error.status_code, _CODES.get(error.status_code, "error"), str(error))


def _throttled(request: HttpRequest, error: Throttled) -> HttpResponse:
    return answer(429, "too_many_requests", "Too many calls. Wait as long as Retry-After says, then go on.")


def _not_found(request: HttpRequest, error: Exception) -> HttpResponse:
    return answer(404, "not_found", "There is nothing at this address.")


def _not_valid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """What cannot even be read in an address is 400; what can be read but not taken is 422."""
    fields = {_place(wrong["loc"]): _sentence(wrong) for wrong in error.errors}
    unreadable = any(wrong["loc"][0] in ("query", "path") and "parsing" in wrong["type"] for wrong in error.errors)
    if unreadable:
        return answer(400, "bad_request", "A part of the address cannot be understood.", fields)
    return answer(422, "invalid", "Some of what was sent cannot be taken.", fields)


def _place(loc: tuple[Any, ...]) -> str:
    """`("body", "body", "settings", "rate")` is `settings.rate`."""
    parts = list(loc[1:])
    if loc[0] == "body" and parts[:1] == ["body"]:
        parts = parts[1:]
    return ".".join(map(str, parts)) or str(loc[0])


def _sentence(wrong: dict[str, Any]) -> str:
    if wrong["type"] == "missing":
        return "This is needed."
    if wrong["type"] == "extra_forbidden":
        return "There is no such field here."
    return str(wrong["msg"]).removeprefix("Value error, ")


def _too_big(request: HttpRequest, error: Exception) -> HttpResponse:
    return answer(413, TOO_LARGE, "The body of the call is too large.")


def _unreadable(request: HttpRequest, error: Exception) -> HttpResponse:
    return answer(400, "bad_request", "The call cannot be understood.")


def _refused_file(request: HttpRequest, error: Refused) -> HttpResponse:
    """413 where the bytes of the file are too many, else 422; `fields` carries intake's own code."""
    fields = {"code": error.code, "message": error.message}
    if error.code == TOO_LARGE:
        return answer(413, TOO_LARGE, error.message, fields)
    return answer(422, "refused", error.message, fields)


def _invalid(request: HttpRequest, error: Invalid) -> HttpResponse:
    return answer(422, "invalid", "Some of what was sent cannot be taken.", error.fields)


def _mapping(request: HttpRequest, error: Any) -> HttpResponse:
    code, message = next(_MAPPING_CODES[kind] for kind in type(error).__mro__ if kind in _MAPPING_CODES)
    return answer(422, code, message, error.fields)


def _state(request: HttpRequest, error: Any) -> HttpResponse:
    if isinstance(error, OwnSend):
        return answer(403, error.code, error.message)
    status = 409 if isinstance(error, Conflict | NotEditable) or error.code in _CONFLICTS else 422
    return answer(status, error.code, error.message)


def _large_cell(request: HttpRequest, error: CellTooLarge) -> HttpResponse:
    return answer(422, "invalid", error.message, {f"cells.{error.column}"[:100]: error.message})


def _unfinished(request: HttpRequest, error: Unfinished) -> HttpResponse:
    return answer(409, "sends_unfinished", str(error))


def _no_row(request: HttpRequest, error: Exception) -> HttpResponse:
    return answer(404, "not_found", "The file has no such line.")


def _bad_cursor(request: HttpRequest, error: BadCursor) -> HttpResponse:
    return answer(400, "bad_cursor", str(error), {"cursor": str(error)})


def _busy(request: HttpRequest, error: Exception) -> HttpResponse:
    log.warning("The database or the disk is away: %s", first_line(error))
    why = "There is no room left on the disk" if disk_is_full(error) else "The database does not answer at the moment"
    response = answer(503, "unavailable", f"{why}. Nothing was done; try again later.")
    response["Retry-After"] = "5"
    return response


def _from_the_system(request: HttpRequest, error: OSError) -> HttpResponse:
    return _busy(request, error) if disk_is_full(error) else unforeseen(request, error)


def unforeseen(request: HttpRequest, error: Exception) -> HttpResponse:
    """500 with an id to quote; what happened stands in our log under that id, and nowhere else."""
    number = secrets.token_hex(6)
    log.error("API call %s %s failed, id %s", request.method, request.path, number, exc_info=error)
    return answer(500, "internal", f"Something went wrong on our side. Quote the id {number} when you ask us about it.")


Answered = Callable[[HttpRequest, Any], HttpResponse]
_ANSWERS: tuple[tuple[tuple[type[Exception], ...], Answered], ...] = (
    ((ApiError,), _own),
    ((AuthenticationError,), _stranger),
    ((Throttled,), _throttled),
    ((HttpError,), _http),
    ((Http404,), _not_found),
    ((ValidationError,), _not_valid),
    ((RequestDataTooBig,), _too_big),
    ((SuspiciousOperation, BadRequest, MultiPartParserError), _unreadable),
    ((Refused,), _refused_file),
    ((Invalid,), _invalid),
    ((MappingIncomplete, MappingInvalid, FormatNeeded), _mapping),
    ((CellTooLarge,), _large_cell),
    ((CannotCheck, NotEditable, Conflict), _state),
    ((Unfinished,), _unfinished),
    ((Row.DoesNotExist,), _no_row),
    ((BadCursor,), _bad_cursor),
    (DATABASE_TROUBLE, _busy),
    ((OSError,), _from_the_system),
    ((Exception,), unforeseen),
)
