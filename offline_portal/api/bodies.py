"""Reading the body of a call: strict JSON, no text that a database cannot keep, and a digest to know it again."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.utils.crypto import salted_hmac
from ninja.parser import Parser

from offline_portal.api.errors import TOO_LARGE, ApiError
from offline_portal.audit import chain

_MEGABYTE = 1024 * 1024
_ROOM_FOR_FORM = _MEGABYTE
_DRAIN_AT_ONCE = _MEGABYTE
_MOST_DRAINED = 1024**3


class StrictParser(Parser):
    """Gives ninja the body as `take_in` read it."""

    def parse_body(self, request: HttpRequest) -> Any:
        """The parsed JSON body."""
        return request.json_body  # type: ignore[attr-defined]


def take_in(request: HttpRequest) -> None:
    """Read the whole body now. Raises ApiError 400 where it cannot be understood, 413 where it is too long."""
    for name, value in request.GET.items():
        _storable([name, value])
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    if (request.content_type or "").startswith("multipart/"):
        _refuse_large_file(request)
        _storable(list(request.POST.items()))
    else:
        _refuse_large_body(request)
        request.json_body = _parse(request.body) if request.body else None  # type: ignore[attr-defined]


def digest(request: HttpRequest) -> str:
    """A keyed digest of the body that `take_in` read: of its values, not of its spelling."""
    if (request.content_type or "").startswith("multipart/"):
        files = [(name, file.name, _sha256(file)) for name, file in sorted(request.FILES.items())]
        text = json.dumps([sorted(request.POST.items()), files])
    else:
        text = json.dumps(request.json_body, sort_keys=True)  # type: ignore[attr-defined]
    return salted_hmac("portal.idempotency", text, algorithm="sha256").hexdigest()


def _refuse_large_body(request: HttpRequest) -> None:
    length, most = _length(request), settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if length > most:
        _drain(request, length)
        raise ApiError(413, TOO_LARGE, f"The body has {length:,} bytes; at most {most:,} are taken here.")


def _refuse_large_file(request: HttpRequest) -> None:
    """What is surely over the limit never reaches intake, so its refusal is logged here."""
    length, most = _length(request), settings.PORTAL_MAX_UPLOAD_MB
    if length <= most * _MEGABYTE + _ROOM_FOR_FORM:
        return
    _drain(request, length)
    with transaction.atomic():
        detail = {"code": TOO_LARGE, "bytes": length}
        chain.add(request.user.get_username(), "upload.refused", f"user:{request.user.pk}", detail)
    message = f"The file has {length / _MEGABYTE:,.1f} MB; at most {most:,} MB are taken. Split it into several files."
    raise ApiError(413, TOO_LARGE, message, {"code": TOO_LARGE, "message": message})


def _length(request: HttpRequest) -> int:
    text = request.META.get("CONTENT_LENGTH") or "0"
    return int(text) if text.isdigit() else 0


def _drain(request: HttpRequest, length: int) -> None:
    """Read and forget, or a client that is still sending would see a cut line and not our answer."""
    left = min(length, _MOST_DRAINED)
    while left > 0 and (part := request.read(min(left, _DRAIN_AT_ONCE))):
        left -= len(part)


def _parse(body: bytes) -> Any:
    try:
        parsed = json.loads(body.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ApiError(400, "bad_json", f"The body is not valid JSON in UTF-8: {why}"[:300]) from None
    _storable(parsed)
    return parsed


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON.")


def _storable(value: Any) -> None:
    """Raises ApiError 400 for text with NUL or half a character: no database keeps it."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, list | tuple):
            waiting += part
        elif isinstance(part, str) and ("\0" in part or not _is_whole(part)):
            raise ApiError(400, "bad_text", "A text holds a NUL or half a character. Leave it out.")


def _is_whole(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _sha256(file: Any) -> str:
    found = hashlib.sha256()
    for part in file.chunks():
        found.update(part)
    file.seek(0)
    return found.hexdigest()
