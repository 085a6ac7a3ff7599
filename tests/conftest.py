"""Fixtures that every area uses: the people, a real Redis, a real emulator, and the road from file to vendor."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings, settings
from django.contrib.auth.models import Group, User
from redis import Redis

from connectors.emulator.testing import Emulator, running
from offline_portal import checks, secrets
from offline_portal.delivery import queue, release, shift
from offline_portal.embedded import redis_server
from offline_portal.intake import Options, store
from offline_portal.models import Destination, DestinationSecret, DestinationSettings, Send, Upload

PASSWORD = "a-long-test-password"
PEOPLE = {"olivia": "ops", "oscar": "ops", "adam": "admin", "audrey": "auditor", "outsider": None}


def pytest_configure() -> None:
    """Passwords of tests need no slow digest."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session")
def redis_server_url() -> Iterator[str]:
    """The Redis of the environment, else one of our own."""
    if settings.REDIS_URL:
        yield settings.REDIS_URL
        return
    with tempfile.TemporaryDirectory(prefix="portal-redis-") as folder, redis_server.running(Path(folder)) as url:
        yield url


@pytest.fixture
def redis_url(redis_server_url: str, settings: LazySettings) -> Iterator[str]:
    """An empty Redis that the portal uses."""
    with Redis.from_url(redis_server_url) as client:
        client.flushdb()
    settings.REDIS_URL = redis_server_url
    for queue_settings in settings.RQ_QUEUES.values():
        queue_settings["URL"] = redis_server_url
    yield redis_server_url


@pytest.fixture(scope="session")
def emulator_process() -> Iterator[Emulator]:
    with running() as emulator:
        yield emulator


@pytest.fixture
def emulator(emulator_process: Emulator) -> Emulator:
    """The vendors' stand-in, with an empty ledger and all switches off."""
    emulator_process.clear()
    return emulator_process


@pytest.fixture
def people(db: None) -> dict[str, User]:
    """olivia and oscar (marketing ops), adam (admin), audrey (auditor), and an outsider without a role."""
    return make_people()


def make_people() -> dict[str, User]:
    """The same five in whatever database is used."""
    found = {}
    for name, group in PEOPLE.items():
        found[name] = User.objects.create_user(name, password=PASSWORD)
        if group:
            found[name].groups.add(Group.objects.get_or_create(name=group)[0])
    return found


class Road:
    """The way of a row, on real parts, without a worker process: each stage is run where it is called."""

    def __init__(self, people: dict[str, User], emulator: Emulator, folder: Path) -> None:
        self.olivia, self.emulator, self.folder = people["olivia"], emulator, folder
        self.people = people

    def destination(
        self, connector: str, name: str = "", values: dict[str, Any] | None = None, **secret_texts: str
    ) -> Destination:
        """A destination at the emulator."""
        defaults = {"kissmetrics": {"api_key": "key-0001"}, "qubit": {"tracking_id": "acme"}}
        base: dict[str, Any] = {"base_url": self.emulator.base_url(connector), "rate": 2000}
        if connector == "qubit":
            base |= {"vertical": "ecommerce", "source": "portal@1.0"}
        destination = Destination.objects.create(name=name or f"{connector} test", connector=connector)
        destination.current = DestinationSettings.objects.create(
            destination=destination, version=1, values=base | (values or {})
        )
        destination.save()
        for key, text in (secret_texts or defaults.get(connector, {})).items():
            DestinationSecret.objects.create(
                destination=destination, key=key, ciphertext=secrets.seal(destination.pk, key, text),
                hint=secrets.hint(text),
            )
        return destination

    def upload(self, text: str | bytes, name: str = "sales.csv", options: Options | None = None) -> Upload:
        """A file, taken in and read."""
        path = self.folder / "upload"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        upload = store.accept(path, name, self.olivia, options)
        store.read(upload.pk)
        upload.refresh_from_db()
        return upload

    def check(self, upload: Upload, destination: Destination, mapping: Any = "auto", duplicates: str = "skip") -> Send:
        """A Send, checked."""
        send = checks.create(upload, destination, mapping, duplicates, self.olivia)
        checks.run(send.pk)
        send.refresh_from_db()
        return send

    def queue(self, send: Send) -> Send:
        """The Send with its Batches made."""
        release.queue(send, self.olivia)
        queue.run(send.pk)
        send.refresh_from_db()
        return send

    def shift(self, send: Send, seconds: float = 10) -> Send:
        """One shift."""
        shift.run(seconds)
        send.refresh_from_db()
        return send

    def deliver(self, send: Send, seconds: float = 10) -> Send:
        """Queued, and one shift."""
        return self.shift(self.queue(send), seconds)


@pytest.fixture
def road(
    transactional_db: None, redis_url: str, emulator: Emulator, people: dict[str, User], tmp_path: Path
) -> Road:
    """Everything from the file to the vendor's ledger."""
    return Road(people, emulator, tmp_path)
