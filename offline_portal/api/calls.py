"""What happens around every call: who calls, may they, did they call before; and JSON whatever comes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from ninja import NinjaAPI
from ninja.security.base import AuthBase

from offline_portal.access import idempotency, tokens
from offline_portal.access.roles import has_role, note_refused
from offline_portal.api import bodies, errors, lost_answers
from offline_portal.api.errors import ApiError
from offline_portal.audit import chain
from offline_portal.trouble import DATABASE_TROUBLE, first_line

log = logging.getLogger(__name__)

_SAFE = ("GET", "HEAD", "OPTIONS")
_LONGEST_KEY = 200
View = Callable[..., HttpResponseBase]


class Replay(Exception):
    """This call was made before; its first answer is to be given."""

    def __init__(self, stored: idempotency.Stored) -> None:
        super().__init__()
        self.stored = stored


class Bearer(AuthBase):
    """A call for people with one of these roles, by their token."""

    openapi_type = "http"
    openapi_scheme = "bearer"

    def __init__(self, *roles: str) -> None:
        super().__init__()
        self.roles = roles

    def __call__(self, request: HttpRequest) -> AbstractBaseUser | None:
        """The person who calls; None for a stranger. Raises ApiError for a wrong role or an unreadable body, Replay.

        A session does not count here, so that no other site can make a browser call us.
        """
        request.user = AnonymousUser()
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        user = tokens.user_of(token.strip()) if scheme.lower() == "bearer" else None
        if user is None:
            return None
        request.user = user  # type: ignore[assignment]
        if not has_role(user, *self.roles):
            note_refused(request, self.roles)
            raise ApiError(403, "forbidden", f"This call is for {' or '.join(self.roles)}. Ask an admin for the role.")
        bodies.take_in(request)
        _claim(request, user)
        return user


def door(api: NinjaAPI, view: View) -> View:
    """The view, answering in JSON whatever happens, and keeping its answer for a repeated call."""

    @wraps(view)
    def through(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        nobody = chain.witness.set(None)
        try:
            response = view(request, *args, **kwargs)
        except Exception as error:
            response = api.on_exception(request, error)
        finally:
            chain.witness.reset(nobody)
        if response.status_code == 405:
            response = _wrong_method(response)
        _settle(request, response)
        response["Cache-Control"] = "no-store"
        return response

    return through


def replayed(request: HttpRequest, replay: Replay) -> HttpResponse:
    """The first answer once more; marked, so that a caller can tell."""
    kept = replay.stored
    response = HttpResponse(kept.body, status=kept.status, content_type="application/json; charset=utf-8")
    response["Idempotency-Replayed"] = "true"
    return response


def _claim(request: HttpRequest, user: AbstractBaseUser) -> None:
    key = request.headers.get("Idempotency-Key")
    if key is None or request.method in _SAFE:
        return
    if not (0 < len(key) <= _LONGEST_KEY and key.isascii() and key.isprintable()):
        message = f"An Idempotency-Key has 1 to {_LONGEST_KEY} printable ASCII characters."
        raise ApiError(400, "bad_idempotency_key", message)
    call = f"{request.method} {request.get_full_path()}"[:300]
    claimed = _begin(user, key, call, bodies.digest(request))
    if isinstance(claimed, idempotency.Made):
        claimed = _answered(request, claimed) or _begin(user, key, call, bodies.digest(request))
    if isinstance(claimed, idempotency.Stored):
        raise Replay(claimed)
    if isinstance(claimed, idempotency.Made):
        raise _still_running()
    request.idempotency_claim = claim = claimed  # type: ignore[attr-defined]

    def note(object: str) -> None:
        if not idempotency.note_made(claim, object):
            raise _still_running()

    chain.witness.set(note)


def _begin(
    user: AbstractBaseUser, key: str, call: str, digest: str
) -> idempotency.Claim | idempotency.Stored | idempotency.Made:
    try:
        return idempotency.begin(user, key, call, digest)
    except idempotency.StillRunning:
        raise _still_running() from None
    except idempotency.OtherBody:
        message = "This Idempotency-Key was used for another call. Take a new key for a new call."
        raise ApiError(422, "idempotency_key_reused", message) from None


def _answered(request: HttpRequest, made: idempotency.Made) -> idempotency.Stored | None:
    """The answer to a call whose own one got lost, from now on for whoever asks; None when it is to be made anew."""
    stored = lost_answers.of(request, made.object)
    if stored is None:
        idempotency.forget(made)
    else:
        idempotency.settle(idempotency.Claim(made.id), stored.status, stored.body)
    return stored


def _still_running() -> ApiError:
    message = "The first call with this Idempotency-Key is still running. Ask again in a moment."
    return ApiError(409, "still_running", message)


def _settle(request: HttpRequest, response: HttpResponseBase) -> None:
    """After our own failure no answer is kept: the same call may be tried again."""
    claim = getattr(request, "idempotency_claim", None)
    if claim is None:
        return
    try:
        _keep(claim, response)
    except DATABASE_TROUBLE as error:
        log.warning("An answer could not be kept for a repeated call: %s", first_line(error))


def _keep(claim: idempotency.Claim, response: HttpResponseBase) -> None:
    if connection.errors_occurred and not connection.in_atomic_block and not connection.is_usable():
        # What failed was the connection, and another one may be had by now.
        connection.close()
    if response.status_code < 500 and isinstance(response, HttpResponse):
        idempotency.settle(claim, response.status_code, response.content.decode())
    else:
        idempotency.release(claim)


def _wrong_method(response: HttpResponseBase) -> HttpResponseBase:
    allowed = ", ".join(sorted(response.get("Allow", "").split(", ")))
    told = errors.answer(405, "method_not_allowed", f"This address takes: {allowed}.")
    told["Allow"] = allowed
    return told
