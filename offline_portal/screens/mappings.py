"""Saved mappings, in their newest versions."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

import connectors
from offline_portal import saved_mappings
from offline_portal.access.roles import EVERYONE, role
from offline_portal.models import Mapping


@role(*EVERYONE)
def mappings(request: HttpRequest) -> HttpResponse:
    """All of them, by vendor and name."""
    vendors = connectors.all_connectors()
    found = saved_mappings.newest().order_by("connector", "name")
    return render(request, "mappings/list.html", {"rows": [(one, vendors.get(one.connector)) for one in found]})


@role(*EVERYONE)
def mapping(request: HttpRequest, pk: int) -> HttpResponse:
    """One mapping: which field comes from where. Fixed values may be personal and are told by name only."""
    one = get_object_or_404(Mapping.objects.select_related("created_by"), pk=pk)
    connector = connectors.all_connectors().get(one.connector)
    rows = []
    for key, source in one.fields.items():
        declared = connector.field(key) if connector else None
        label = key.partition(":")[2] if declared and declared.is_family else declared.label if declared else key
        options = [
            (name, source[name]) for name in ("format", "timezone", "decimal", "default") if source.get(name)
        ]
        rows.append((key, label, source, options, len(source.get("values", {}))))
    versions = Mapping.objects.filter(connector=one.connector, name=one.name).order_by("-version")
    context = {
        "mapping": one,
        "connector": connector,
        "rows": rows,
        "versions": versions.select_related("created_by"),
    }
    return render(request, "mappings/mapping.html", context)
