"""Mappings kept under a name; saving one again makes a new version."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Max, QuerySet

import connectors
from offline_portal import mapping as mappings
from offline_portal.audit import chain
from offline_portal.models import AuditHead, Mapping

_RESERVED = ("auto",)


def save(name: str, connector: str, fields: Any, actor: AbstractBaseUser) -> Mapping:
    """Keep `fields` ({field key: Source}) under `name` for the connector with this slug, as its newest version.

    Raises MappingInvalid (with `name` or `connector` among its fields where those are wrong) and MappingIncomplete.
    """
    name = name.strip()
    if not 0 < len(name) <= 120 or not name.isprintable() or name.lower() in _RESERVED:
        raise mappings.MappingInvalid({"name": "Give the mapping a name of at most 120 characters, other than “auto”."})
    try:
        vendor = connectors.get(connector)
    except KeyError:
        known = ", ".join(connectors.all_connectors())
        raise mappings.MappingInvalid({"connector": f"There is no such connector. There are: {known}."}) from None
    mappings.validate(fields, vendor)
    with transaction.atomic():
        # Two people save under one name: the head of the log, which both need anyway, makes them wait in line.
        list(AuditHead.objects.select_for_update())
        versions = Mapping.objects.filter(connector=connector, name=name)
        last = versions.aggregate(last=Max("version"))["last"] or 0
        saved = Mapping.objects.create(
            name=name, connector=connector, version=last + 1, fields=fields, created_by=actor
        )
        detail = {"name": name, "connector": connector, "version": saved.version}
        chain.add(actor.get_username(), "mapping.saved", f"mapping:{saved.pk}", detail)
    return saved


def newest(connector: str | None = None) -> QuerySet[Mapping]:
    """Each saved mapping in its newest version."""
    wanted = {} if connector is None else {"connector": connector}
    latest = Mapping.objects.filter(**wanted).values("connector", "name").annotate(last=Max("pk")).values("last")
    return Mapping.objects.filter(pk__in=latest).select_related("created_by")
