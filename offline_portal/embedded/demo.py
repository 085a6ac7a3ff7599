"""The demonstration account: people, destinations at the vendor emulator, sample spreadsheets."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser, Group

from connectors import all_connectors
from connectors.base import Connector, Field
from offline_portal import destinations
from offline_portal.access import roles
from offline_portal.models import Destination
from offline_portal.sheets import write_samples

PASSWORD = "offline-portal-demo"  # noqa: S105
PEOPLE = {"olivia": roles.OPS, "oscar": roles.OPS, "adam": roles.ADMIN, "audrey": roles.AUDITOR}
RATE = 2000
LOOPBACK = "127.0.0.1"
_EMULATOR = re.compile(r"http://127\.0\.0\.1:\d+/\w+")


def load() -> None:
    """Add what is missing. What a person has changed or taken away stays so."""
    roles.ensure_groups()
    people = {name: _person(name, role) for name, role in PEOPLE.items()}
    for connector in all_connectors().values():
        _destination(connector, people["adam"])
    write_samples(settings.PORTAL_DATA / "samples")


def name_of(connector: Connector) -> str:
    """What the demonstration's destination at this vendor is called."""
    return f"{connector.name} (training)"


def _person(name: str, role: str) -> AbstractBaseUser:
    people = get_user_model().objects
    person = people.filter(username=name).first()
    if person is None:
        person = people.create_user(name, password=PASSWORD, first_name=name.capitalize())
        person.groups.add(Group.objects.get(name=role))
    return person


def _destination(connector: Connector, admin: AbstractBaseUser) -> None:
    """At every vendor that never had a destination; a training one follows the ports of the emulator."""
    known = list(Destination.objects.filter(connector=connector.slug))
    address = f"http://127.0.0.1:{settings.EMULATOR_PORT}/{connector.slug}"
    if not known:
        destinations.create(
            admin, name=name_of(connector), connector=connector.slug, settings=_settings(connector, address),
            secrets={field.key: _training_value(field) for field in connector.secrets if field.required},
        )  # fmt: skip
    for destination in known:
        ours = destination.name == name_of(connector) and not destination.archived_at
        if ours and (moved := _moved(destination.settings, address)):
            destinations.change(destination, admin, settings=moved)


def _moved(now: dict[str, Any], address: str) -> dict[str, Any]:
    """What of a training destination's settings must change, so that it points at the emulator as it is."""
    url = str(now.get("base_url", ""))
    if url != address and _EMULATOR.fullmatch(url):
        return {"base_url": address}
    at_ftp_door = now.get("host") == LOOPBACK and now.get("protocol") in ("ftp", "ftps")
    if at_ftp_door and now.get("port") != settings.EMULATOR_FTP_PORT:
        return {"port": settings.EMULATOR_FTP_PORT}
    return {}


def _settings(connector: Connector, address: str) -> dict[str, Any]:
    declared = {field.key: field for field in connector.settings}
    needed = {key: field for key, field in declared.items() if field.required is True and field.default in (None, "")}
    values = {key: _training_value(field) for key, field in needed.items()}
    values |= {"base_url": address, "rate": RATE, "host": LOOPBACK, "port": settings.EMULATOR_FTP_PORT}
    return {key: value for key, value in values.items() if key in declared}


def _training_value(field: Field) -> str:
    return field.example or (field.choices[0].value if field.choices else f"training-{field.key}")
