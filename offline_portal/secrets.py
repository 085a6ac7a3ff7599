"""Vendor secrets at rest: encrypted by PORTAL_ENCRYPTION_KEYS, and bound to the destination they were given for.

The first key of the list encrypts, all of them decrypt. Inside the ciphertext stands whose secret it is, so that one
pasted into another destination's row is refused.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, NamedTuple

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections, transaction

from offline_portal.audit import chain
from offline_portal.models import Destination, DestinationSecret

_SHORTEST_HINTED = 12
"""Of a secret shorter than this, four characters would tell too much."""
_ROTATED_AT_ONCE = 100


class Unreadable(Exception):
    """A stored secret cannot be used; the text says which, why, and what to do."""


class Rotation(NamedTuple):
    """How many secrets were encrypted anew, and how many were already under the first key."""

    rotated: int
    already: int


def seal(destination_id: int, key: str, text: str) -> str:
    """The ciphertext to store for the secret `key` of a destination."""
    whole = json.dumps({"destination": destination_id, "key": key, "secret": text})
    return _fernets()[0].encrypt(whole.encode()).decode()


def unseal(destination: Destination) -> dict[str, str]:
    """The secrets of a destination in clear, by key. Raises Unreadable."""
    return {secret.key: _opened(secret) for secret in destination.secret_set.all()}


def hint(text: str) -> str:
    """What may be shown of a secret: `…3f9a`; of a short one only that it is `set`."""
    return f"…{text[-4:]}" if len(text) >= _SHORTEST_HINTED else "set"


def rotate(actor: str = "portal") -> Rotation:
    """Encrypt every stored secret under the first key of PORTAL_ENCRYPTION_KEYS.

    Small transactions, so that it may run beside workers and be run again after it was broken off: what is under
    the first key already is left alone. Raises Unreadable when no key of the list opens a secret.
    """
    rotated = already = last = 0
    while True:
        ids = DestinationSecret.objects.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)
        if not (chunk := list(ids[:_ROTATED_AT_ONCE])):
            return Rotation(rotated, already)
        changed = _rotate(chunk, actor)
        rotated, already, last = rotated + changed, already + len(chunk) - changed, chunk[-1]


def _rotate(ids: list[int], actor: str) -> int:
    first, every = _fernets()
    with transaction.atomic():
        changed = 0
        for secret in DestinationSecret.objects.select_for_update().filter(pk__in=ids).order_by("pk"):
            token = secret.ciphertext.encode()
            if _opens(first, token) is None:
                _opened(secret)
                # `update` leaves the date of the person's last change as it is.
                DestinationSecret.objects.filter(pk=secret.pk).update(ciphertext=every.rotate(token).decode())
                changed += 1
        if changed:
            chain.add(actor, "secrets.rotated", "secrets:all", {"rotated": changed})
    return changed


def _opened(secret: DestinationSecret) -> str:
    plain = _opens(_fernets()[1], secret.ciphertext.encode())
    where = f"the secret {secret.key!r} of destination {secret.destination_id}"
    if plain is None:
        raise Unreadable(
            f"No key of PORTAL_ENCRYPTION_KEYS opens {where}. Give back the key that it was stored with,"
            " or enter the secret again."
        )
    whole = json.loads(plain)
    if (whole["destination"], whole["key"]) != (secret.destination_id, secret.key):
        raise Unreadable(
            f"What is stored as {where} was stored for {whole['key']!r} of destination {whole['destination']}:"
            " somebody moved it in the database. Enter the secret again."
        )
    return whole["secret"]


def _opens(fernet: Fernet | MultiFernet, token: bytes) -> bytes | None:
    try:
        return fernet.decrypt(token)
    except InvalidToken:
        return None


def _fernets() -> tuple[Fernet, MultiFernet]:
    return _made(tuple(settings.PORTAL_ENCRYPTION_KEYS))


@lru_cache(maxsize=4)
def _made(keys: tuple[str, ...]) -> tuple[Fernet, MultiFernet]:
    fernets = [Fernet(key) for key in keys]
    return fernets[0], MultiFernet(fernets)


@register(Tags.database)
def check_secrets(databases: list[str] | None = None, **_: Any) -> list[CheckMessage]:
    """portal.E006: every stored secret must open, or sends would stop one by one later."""
    table = DestinationSecret._meta.db_table
    if "default" not in (databases or []) or table not in connections["default"].introspection.table_names():
        return []
    closed: list[str] = []
    for secret in DestinationSecret.objects.order_by("pk"):
        try:
            _opened(secret)
        except (Unreadable, ValueError) as error:
            closed.append(str(error))
    more = f" (and {len(closed) - 1} more)" if len(closed) > 1 else ""
    return [Error(f"{closed[0]}{more}", id="portal.E006")] if closed else []
