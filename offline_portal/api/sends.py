"""`/sends`: uploads on their way to destinations, their rows, and what a person may do with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from django.http import HttpRequest
from ninja import Body, Query, Router, Status

import connectors
from offline_portal import checks, listing
from offline_portal.access.roles import ADMIN, EVERYONE, OPS, has_role
from offline_portal.api import paging
from offline_portal.api.calls import Bearer
from offline_portal.api.errors import ApiError, missing
from offline_portal.api.paging import PageQuery
from offline_portal.api.schemas import ERRORS, Decision, Error, Page, Retry, RowChange, RowOut, SendIn, SendOut
from offline_portal.api.shapes import row_shape, send_shape
from offline_portal.delivery import control, release
from offline_portal.listing import SendRow
from offline_portal.models import Destination, Send, Upload
from offline_portal.redaction import plain_columns

router = Router(tags=["Sends"])


class SendQuery(PageQuery):
    """Only sends in a status, to a destination, or of an upload."""

    status: Literal[tuple(Send.Status.values)] | None = None  # type: ignore[valid-type]
    destination: str | None = None
    upload: str | None = None


class RowQuery(PageQuery):
    """Only rows with a verdict."""

    verdict: Literal[listing.VERDICTS] | None = None  # type: ignore[valid-type]


@router.post("", response={201: SendOut, ERRORS: Error}, auth=Bearer(OPS), summary="Make a send and check it")
def make_send(request: HttpRequest, body: SendIn) -> Status:
    """`mapping`: `auto`, the name of a saved one, or a mapping. Checking begins at once; nothing is sent yet."""
    upload = _named(Upload.objects.all(), "upload", body.upload)
    destination = _named(Destination.objects.select_related("current"), "destination", body.destination)
    made = checks.create(upload, destination, body.mapping, body.duplicates, request.user, body.scheduled_at)
    return Status(201, send_shape(made))


@router.get("", response={200: Page[SendOut], ERRORS: Error}, auth=Bearer(*EVERYONE), summary="All sends, newest first")
def list_sends(request: HttpRequest, asked: Query[SendQuery]) -> dict[str, Any]:
    """With their counts, which add up at every moment."""
    numbers = {
        name: paging.number(text, name)
        for name, text in (("destination", asked.destination), ("upload", asked.upload))
        if text is not None
    }
    found = listing.sends(asked.status, **numbers)
    return paging.shown(listing.page(found, asked.after, asked.limit, down=True), send_shape)


@router.get("/{id}", response={200: SendOut, ERRORS: Error}, auth=Bearer(*EVERYONE), summary="One send")
def show_send(request: HttpRequest, id: str) -> dict[str, Any]:
    """Ask again to follow it: `counts` change while it is checked and sent."""
    return send_shape(find(id))


@router.put("/{id}/mapping", response={200: SendOut, ERRORS: Error}, auth=Bearer(OPS), summary="Map anew")
def change_mapping(request: HttpRequest, id: str, body: Body[dict[str, Any]]) -> dict[str, Any]:
    """The body is a mapping; all rows are checked again."""
    return send_shape(checks.set_mapping(find(id), body, request.user))


@router.get("/{id}/rows", response={200: Page[RowOut], ERRORS: Error}, auth=Bearer(*EVERYONE), summary="Its rows")
def list_rows(request: HttpRequest, id: str, asked: Query[RowQuery]) -> dict[str, Any]:
    """Every line with its verdict, cells as edited. Personal cells are masked for auditors and admins."""
    send = find(id)
    return paging.shown(listing.send_rows(send, asked.verdict, asked.after, asked.limit), _row_shape(request, send))


@router.patch("/{id}/rows/{line}", response={200: RowOut, ERRORS: Error}, auth=Bearer(OPS), summary="Mend a row")
def change_row(request: HttpRequest, id: str, line: str, body: RowChange) -> dict[str, Any]:
    """Either `cells` or `excluded`; the row is checked again at once. 409 while the send is being checked."""
    send, number = find(id), paging.number(line, "line")
    if (body.cells is None) == (body.excluded is None):
        raise ApiError(422, "invalid", "Give either “cells” or “excluded”.", {"cells": "Give one of the two."})
    if send.status != Send.Status.CHECKING and listing.send_row(send, number) is None:
        raise missing("line in this file")
    if body.cells is not None:
        _must_be_columns(send, body.cells)
        checks.edit_cells(send, number, body.cells, request.user)
    else:
        checks.exclude(send, number, bool(body.excluded), request.user)
    row: SendRow = listing.send_row(send, number)  # type: ignore[assignment]
    return _row_shape(request, send)(row)


@router.post("/{id}/queue", response={202: SendOut, ERRORS: Error}, auth=Bearer(OPS), summary="Send the ready rows")
def queue_send(request: HttpRequest, id: str) -> Status:
    """Twice is as good as once."""
    return Status(202, send_shape(release.queue(find(id), request.user)))


@router.post("/{id}/approve", response={202: SendOut, ERRORS: Error}, auth=Bearer(OPS, ADMIN), summary="Approve")
def approve_send(request: HttpRequest, id: str, body: Decision | None = None) -> Status:
    """For a person other than the one who queued it. 409 `approval_void` when anything has changed since."""
    return Status(202, send_shape(release.approve(find(id), request.user, body.reason if body else "")))


@router.post("/{id}/reject", response={202: SendOut, ERRORS: Error}, auth=Bearer(OPS, ADMIN), summary="Reject")
def reject_send(request: HttpRequest, id: str, body: Decision | None = None) -> Status:
    """The send is `checked` again, with the reason."""
    return Status(202, send_shape(release.reject(find(id), request.user, body.reason if body else "")))


@router.post("/{id}/pause", response={202: SendOut, ERRORS: Error}, auth=Bearer(OPS), summary="Pause")
def pause_send(request: HttpRequest, id: str) -> Status:
    """Requests already on the wire are awaited."""
    return Status(202, send_shape(control.pause(find(id), request.user)))


@router.post("/{id}/resume", response={202: SendOut, ERRORS: Error}, auth=Bearer(OPS), summary="Go on")
def resume_send(request: HttpRequest, id: str) -> Status:
    """409 `destination_paused` until an admin has opened the destination."""
    return Status(202, send_shape(control.resume(find(id), request.user)))


@router.post("/{id}/cancel", response={202: SendOut, ERRORS: Error}, auth=Bearer(OPS), summary="Cancel")
def cancel_send(request: HttpRequest, id: str) -> Status:
    """What was sent stays sent; waiting rows become `cancelled`."""
    return Status(202, send_shape(control.cancel(find(id), request.user)))


@router.post("/{id}/retry", response={202: SendOut, ERRORS: Error}, auth=Bearer(OPS), summary="Send rows again")
def retry_send(request: HttpRequest, id: str, body: Retry) -> Status:
    """Rejected or failed rows, with the same wire keys."""
    return Status(202, send_shape(control.retry(find(id), body.statuses, body.reason, request.user)))


def find(id: str) -> Send:
    """The send with this id. Raises ApiError 404."""
    found = listing.sends().filter(pk=paging.number(id, "send")).first()
    if found is None:
        raise missing("send")
    return found


def _named(found: Any, what: str, id: str) -> Any:
    """Something that a body names by its id. Raises ApiError 422."""
    try:
        thing = found.filter(pk=paging.number(id, what)).first()
    except ApiError:
        thing = None
    if thing is None:
        raise ApiError(422, "invalid", f"There is no such {what}.", {what: f"There is no {what} with this id."})
    return thing


def _row_shape(request: HttpRequest, send: Send) -> Callable[[SendRow], dict[str, Any]]:
    connector = connectors.get(send.destination.connector) if send.destination else None
    shown: set[str] | None = None
    if not has_role(request.user, OPS):
        shown = plain_columns(send.upload.columns, send.mapping, connector) if connector else set()
    return lambda row: row_shape(row, connector, shown)


def _must_be_columns(send: Send, cells: dict[str, str]) -> None:
    unknown = [column for column in cells if column not in send.upload.columns]
    if unknown or not cells:
        wrong = {f"cells.{column}"[:100]: "The file has no such column." for column in unknown}
        raise ApiError(422, "invalid", "Name columns of the file.", wrong or {"cells": "Name at least one column."})
