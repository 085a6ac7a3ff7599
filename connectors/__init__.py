"""One file a vendor. `all_connectors` finds them; nobody keeps a list."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from connectors.base import Connector

_NOT_VENDORS = {
    "addresses", "base", "by_file", "emulator", "file_settings", "files", "ftp", "http", "normalize", "sftp",
}  # fmt: skip


@cache
def all_connectors() -> dict[str, Connector]:
    """Every connector in this folder, by slug, in the order of their names."""
    found: dict[str, Connector] = {}
    for name in (f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)):
        if name.rpartition(".")[2] in _NOT_VENDORS:
            continue
        for thing in vars(importlib.import_module(name)).values():
            if isinstance(thing, type) and issubclass(thing, Connector) and thing.__module__ == name:
                found[thing.slug] = thing()
    return dict(sorted(found.items(), key=lambda item: item[1].name.lower()))


def get(slug: str) -> Connector:
    """The connector with this slug. Raises KeyError for an unknown one."""
    return all_connectors()[slug]
