"""Signing what leaves the portal as evidence: Ed25519, with a key that follows from PORTAL_INDEX_KEY.

So every machine of a portal signs alike, nothing more has to be kept or backed up, and the key stays as long as the
index key does, which never changes. docs/audit.md says what a signature proves.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from offline_portal.audit.canonical import canonical

_PURPOSE = b"offline-portal: signing of audit exports, 1"


def public_key() -> str:
    """The portal's public key: 64 hexadecimal digits."""
    return _key(settings.PORTAL_INDEX_KEY).public_key().public_bytes_raw().hex()


def signed(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with `public_key` and `signature`: over the canonical JSON of all members but the signature."""
    whole = {**document, "public_key": public_key()}
    return {**whole, "signature": _key(settings.PORTAL_INDEX_KEY).sign(canonical(whole).encode()).hex()}


def holds(document: Mapping[str, Any]) -> bool:
    """Whether a signed document is as it was when it was signed with the key that it names."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(document["public_key"]))
        said = canonical({name: value for name, value in document.items() if name != "signature"})
        key.verify(bytes.fromhex(document["signature"]), said.encode())
    except (InvalidSignature, KeyError, TypeError, ValueError):
        return False
    return True


@lru_cache(maxsize=8)
def _key(index_key: str) -> Ed25519PrivateKey:
    seed = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(index_key.encode())
    return Ed25519PrivateKey.from_private_bytes(seed)
