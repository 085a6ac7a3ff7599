"""Reading the environment: every variable of the README, with its default, and the keys that are made once."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

REQUIRED_IN_PRODUCTION = ("SECRET_KEY", "PORTAL_ENCRYPTION_KEYS", "PORTAL_INDEX_KEY")


def flag(name: str, default: bool = False) -> bool:
    """A variable that is on with `1`, `true`, `yes` or `on`."""
    return os.environ.get(name, "1" if default else "0").strip().lower() in ("1", "true", "yes", "on")


def number(name: str, default: float) -> float:
    """A variable that is a number above 0. Raises ImproperlyConfigured."""
    text = os.environ.get(name, "").strip() or str(default)
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < float("inf"):
        raise ImproperlyConfigured(f"{name}={text!r} is not a number above 0.")
    return value


def whole(name: str, default: int) -> int:
    """A variable that is a whole number above 0. Raises ImproperlyConfigured."""
    value = number(name, default)
    if value != int(value):
        raise ImproperlyConfigured(f"{name}={value!r} is not a whole number.")
    return int(value)


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated variable."""
    return [word.strip() for word in os.environ.get(name, default).split(",") if word.strip()]


def key(name: str, folder: Path, debug: bool) -> str:
    """A secret key: from the environment; in development else from `folder`, where it is made once.

    Raises ImproperlyConfigured when DEBUG=0 and the variable is missing.
    """
    value = os.environ.get(name, "").strip()
    if value:
        return value
    if not debug:
        raise ImproperlyConfigured(
            f"{name} is not set. With DEBUG=0 the portal needs {', '.join(REQUIRED_IN_PRODUCTION)} in its environment."
        )
    path = folder / "keys" / name.lower()
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_once(path, _new_key(name))
    return path.read_text().strip()


def redis_url(folder: Path) -> str:
    """REDIS_URL, else the address that the embedded Redis left in `folder`; empty when there is none."""
    value = os.environ.get("REDIS_URL", "").strip()
    note = folder / "redis.url"
    return value or (note.read_text().strip() if note.exists() else "")


def _new_key(name: str) -> str:
    if name == "PORTAL_ENCRYPTION_KEYS":
        from cryptography.fernet import Fernet

        return Fernet.generate_key().decode()
    return secrets.token_urlsafe(48)


def _write_once(path: Path, text: str) -> None:
    """Several programs start at once: the first to create the file wins, nobody reads half a key."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
