"""The imitated vendors: every module in this folder that has a subclass of Vendor is found by itself."""

import importlib
import pkgutil

from connectors.emulator.vendor import Vendor


def discover() -> dict[str, Vendor]:
    """One new instance of every vendor in this folder, by slug, in alphabetical order."""
    found: dict[str, Vendor] = {}
    for module_info in sorted(pkgutil.iter_modules(__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{__name__}.{module_info.name}")
        own = [member for member in vars(module).values() if getattr(member, "__module__", "") == module.__name__]
        for member in own:
            if isinstance(member, type) and issubclass(member, Vendor):
                found[member.slug] = member()
    return found
