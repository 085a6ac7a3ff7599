"""Making a Batch; where the vendor takes files, its file gets its name here, once and for all."""

from __future__ import annotations

from django.utils import timezone

import connectors
from connectors.by_file import FileConnector
from offline_portal.models import Batch, Send


def make(send: Send, number: int, rows: int = 0) -> Batch:
    """A new Batch of the Send, due at once. `number` counts the Batches of a Send from 1."""
    now = timezone.now()
    connector, name = connectors.get(send.destination.connector), ""  # type: ignore[union-attr]
    if isinstance(connector, FileConnector):
        settings = send.settings_version.values if send.settings_version else {}
        name = connector.file_name(settings, send.destination.name, now, f"{send.pk}-{number}")  # type: ignore[union-attr]
    return Batch.objects.create(
        send=send, destination=send.destination, number=number, rows=rows, name=name, due_at=now
    )
