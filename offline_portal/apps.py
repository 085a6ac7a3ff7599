"""The portal as a Django application."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class PortalConfig(AppConfig):
    """Registers system checks and, after each migration, the triggers and the roles."""

    name = "offline_portal"
    label = "portal"
    verbose_name = "Offline Portal"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Only now may these be imported: they need the models.
        from offline_portal import checks_system, secrets  # noqa: F401 (importing registers the checks)
        from offline_portal.access import signals
        from offline_portal.audit import triggers  # noqa: F401

        signals.connect()
        post_migrate.connect(_after_migrating, sender=self)


def _after_migrating(using: str, **_: Any) -> None:
    from offline_portal.access import roles
    from offline_portal.audit import triggers

    triggers.install(using)
    roles.ensure_groups()
