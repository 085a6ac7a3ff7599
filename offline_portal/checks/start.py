"""From an Upload to a Send that is being checked."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

import connectors
from offline_portal import mapping as mappings
from offline_portal.audit import chain
from offline_portal.checks.withdrawal import WAITING, withdraw
from offline_portal.models import Destination, Mapping, Send, Upload
from offline_portal.wake import wake

_REMAPPABLE = (Send.Status.DRAFT, Send.Status.CHECKING, Send.Status.CHECKED, Send.Status.FAILED, *WAITING)


class CannotCheck(Exception):
    """The Send cannot be made or checked in this state. `code` is stable; the message is for a person."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def draft(upload: Upload, actor: User) -> Send:
    """A Send that has a file but neither destination nor mapping yet."""
    with transaction.atomic():
        send = Send.objects.create(upload=upload, created_by=actor)
        chain.add(actor.get_username(), "send.drafted", f"send:{send.pk}", {"upload": upload.pk})
    return send


def create(
    upload: Upload, destination: Destination, mapping: str | dict[str, Any], duplicates: str, actor: User,
    scheduled_at: datetime | None = None,
) -> Send:
    """A new Send, its check begun. `mapping` is "auto", the name of a saved mapping, or a mapping itself.

    Once queued it waits for `scheduled_at` (aware; None: no wait). Raises CannotCheck, and
    mapping.MappingIncomplete, MappingInvalid or FormatNeeded; then nothing is kept.
    """
    with transaction.atomic():
        send = Send(upload=upload, created_by=actor, scheduled_at=scheduled_at)
        return choose(send, destination, mapping, duplicates, actor)


def choose(
    send: Send, destination: Destination, mapping: str | dict[str, Any], duplicates: str, actor: User
) -> Send:
    """Give a draft (or a Send that is not queued yet) its destination and mapping, and check it.

    Raises as `create`.
    """
    _must_be_usable(send.upload, destination)
    fields, saved = resolve_mapping(mapping, send.upload, destination)
    with transaction.atomic():
        if send.pk:
            send = _locked(send)
            withdraw(send, actor.get_username(), "It was mapped anew after it was queued. Queue it again.")
        send.destination, send.settings_version, send.saved_mapping = destination, destination.current, saved
        send.mapping, send.duplicates = fields, duplicates
        send.save()
        _begin(send)
        chain.add(
            actor.get_username(), "send.mapped", f"send:{send.pk}",
            {"upload": send.upload_id, "destination": destination.pk, "mapping": _public(fields),
             "duplicates": duplicates},
        )
    send.refresh_from_db()
    return send


def set_mapping(send: Send, mapping: str | dict[str, Any], actor: User) -> Send:
    """Check again with another mapping. Raises as `create`."""
    if send.destination is None:
        raise CannotCheck("no_destination", "Choose a destination first.")
    return choose(send, send.destination, mapping, send.duplicates, actor)


def resolve_mapping(
    mapping: str | dict[str, Any], upload: Upload, destination: Destination
) -> tuple[dict[str, Any], Mapping | None]:
    """The fields of "auto", of the newest version of a saved mapping, or of a mapping as given; validated."""
    connector = connectors.get(destination.connector)
    saved = None
    if mapping == "auto":
        samples = [cells for _line, cells in upload.sample]
        fields = mappings.auto(connector, upload.columns, samples, remembered(destination), destination.settings)
    elif isinstance(mapping, str):
        saved = Mapping.objects.filter(connector=connector.slug, name=mapping).order_by("-version").first()
        if saved is None:
            raise CannotCheck("mapping_unknown", f"There is no saved mapping “{mapping}” for {connector.name}.")
        fields = saved.fields
    else:
        fields = mapping
    mappings.validate(fields, connector, upload.columns)
    return fields, saved


def remembered(destination: Destination) -> dict[str, Any] | None:
    """The mapping that this destination was last sent with."""
    last = Send.objects.filter(destination=destination, queued_at__isnull=False).order_by("-queued_at").first()
    return last.mapping if last else None


def _must_be_usable(upload: Upload, destination: Destination) -> None:
    if destination.archived_at:
        raise CannotCheck("destination_archived", f"“{destination.name}” has been archived. Choose another one.")
    if upload.status == Upload.Status.REFUSED:
        raise CannotCheck("upload_refused", upload.reason)
    if not upload.sample:
        raise CannotCheck("no_rows", "The file has a header but no rows below it. Nothing could be sent.")


def _locked(send: Send) -> Send:
    send = Send.objects.select_for_update().get(pk=send.pk)
    if send.status not in _REMAPPABLE or send.queued_at:
        raise CannotCheck("already_queued", "This send is already on its way; its mapping cannot be changed any more.")
    return send


def _begin(send: Send) -> None:
    """A new generation: all rows unchecked, and a worker woken. A pass that still runs loses its claim."""
    rows = send.upload.rows if send.upload.status == Upload.Status.READY else 0
    Send.objects.filter(pk=send.pk).update(
        status=Send.Status.CHECKING, reason="", generation=send.generation + 1, reached_line=0,
        fence=send.fence + 1, lease_until=None, total=rows, unchecked=rows,
        ready=0, problem=0, duplicate=0, excluded=0, finished_at=None,
    )
    if send.upload.status == Upload.Status.READY:
        wake("intake", f"check:{send.pk}")


def check_again(send: Send) -> None:
    """Begin a new check with the mapping as it is; inside a transaction."""
    _begin(send)


def _public(fields: dict[str, Any]) -> dict[str, Any]:
    """A mapping for the audit log: which column goes where, without fixed values (they may be personal)."""
    return {key: source.get("column", "(fixed value)") for key, source in fields.items()}

