"""The portal under measurement: its stages called as its workers call them, in a database of their own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import django


def start() -> None:
    """Django ready, tables made. The environment says which database and folder."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "offline_portal.settings"
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from offline_portal import wake

    wake.load()  # as a worker begins


class Portal:
    """The road from a file to the vendor, stage by stage."""

    def __init__(self, base_urls: dict[str, str]) -> None:
        from django.contrib.auth.models import User

        self.olivia, _made = User.objects.get_or_create(username="olivia")
        self.base_urls = base_urls

    def destination(self, connector: str, **values: Any) -> Any:
        """A destination at the emulator."""
        from offline_portal import secrets
        from offline_portal.models import Destination, DestinationSecret, DestinationSettings

        own = {"qubit": {"vertical": "ecommerce", "source": "bench@1.0"}}.get(connector, {})
        base = {"base_url": self.base_urls.get(connector, "http://127.0.0.1:9"), "rate": 5000}
        made = Destination.objects.create(name=f"{connector} {Destination.objects.count()}", connector=connector)
        made.current = DestinationSettings.objects.create(destination=made, version=1, values=base | own | values)
        made.save()
        for key in {"qubit": ["tracking_id"], "kissmetrics": ["api_key"]}[connector]:
            DestinationSecret.objects.create(
                destination=made, key=key, ciphertext=secrets.seal(made.pk, key, "bench"), hint="b"
            )
        return made

    def read(self, path: Path) -> Any:
        """The file taken in and read into Rows."""
        from offline_portal.intake import store

        upload = store.accept(path, path.name, self.olivia)
        store.read(upload.pk)
        upload.refresh_from_db()
        assert upload.status == "ready", upload.reason
        return upload

    def check(self, upload: Any, destination: Any) -> Any:
        """The rows checked, duplicates found."""
        from offline_portal import checks

        send = checks.create(upload, destination, "auto", "skip", self.olivia)
        checks.run(send.pk)
        send.refresh_from_db()
        assert send.status == "checked", send.reason
        return send

    def queue(self, send: Any) -> Any:
        """Wire keys and Batches made."""
        from offline_portal.delivery import queue, release

        release.queue(send, self.olivia)
        queue.run(send.pk)
        send.refresh_from_db()
        assert send.status == "queued", send.reason
        return send

    def shift(self, send: Any, seconds: float) -> Any:
        """One shift, as long as it takes."""
        from offline_portal.delivery import shift

        shift.run(seconds)
        send.refresh_from_db()
        return send
