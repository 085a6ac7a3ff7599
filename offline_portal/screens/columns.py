"""Step 3 of a new send: where it goes, and which column is which field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

import connectors
from offline_portal import checks, saved_mappings
from offline_portal import mapping as mappings
from offline_portal.access.roles import OPS, role
from offline_portal.models import Destination, Send
from offline_portal.models import Mapping as SavedMapping
from offline_portal.screens import columns_form
from offline_portal.screens.columns_form import Source
from offline_portal.screens.steps import frame_of, is_open, the_send


@role(OPS)
@require_http_methods(["GET", "POST"])
def columns(request: HttpRequest, pk: int) -> HttpResponse:
    """Choose a destination and match columns; `go` begins the check, everything else only shows what would be."""
    send = the_send(pk)
    if not is_open(send):
        return redirect("send", pk)
    places = list(Destination.objects.filter(archived_at=None).select_related("current").order_by("name"))
    target = _target(request, send, places)
    if request.htmx and target and request.POST.get("shown_for") != str(target.pk):
        # Band, title and button change with the destination: the whole page, under its own address.
        return HttpResponse(status=204, headers={"HX-Redirect": f"{request.path}?to={target.pk}"})
    if target is None:
        return _page(request, send, places, None, {})
    mapping = _mapping(request, send, target)
    wrong: dict[str, str] = {}
    problem = ""
    if request.method == "POST" and "go" in request.POST:
        try:
            _keep(request, target, mapping)
            checks.choose(send, target, mapping, request.POST.get("duplicates", "skip"), request.user)
            return redirect("send-check", pk)
        except (mappings.MappingIncomplete, mappings.MappingInvalid, mappings.FormatNeeded) as needed:
            wrong = dict(needed.fields)
        except checks.CannotCheck as cannot:
            problem = cannot.message
    return _page(request, send, places, target, mapping, wrong, problem)


def _keep(request: HttpRequest, target: Destination, mapping: Mapping[str, Source]) -> None:
    """Save the mapping where it was given a name. Raises MappingIncomplete and MappingInvalid."""
    if name := request.POST.get("save_as", "").strip():
        saved_mappings.save(name, target.connector, mapping, request.user)


def _target(request: HttpRequest, send: Send, places: list[Destination]) -> Destination | None:
    """The destination asked for, else the one chosen before, else the only one there is."""
    wanted = request.POST.get("to") or request.GET.get("to") or str(send.destination_id or "")
    chosen = next((place for place in places if str(place.pk) == wanted), None)
    return chosen or (places[0] if len(places) == 1 else None)


def _mapping(request: HttpRequest, send: Send, target: Destination) -> dict[str, Source]:
    """What the form says, unless another destination or saved mapping was just chosen in it."""
    connector = connectors.get(target.connector)
    chosen_now = request.POST.get("shown_for") != str(target.pk)
    name = request.POST.get("saved", request.GET.get("mapping", ""))
    if name and (chosen_now or name != request.POST.get("shown_saved", "")):
        saved = SavedMapping.objects.filter(connector=target.connector, name=name).order_by("-version").first()
        if saved:
            return dict(saved.fields)
    before = dict(send.mapping) if send.destination_id == target.pk else {}
    if request.method == "POST" and not chosen_now:
        start = before or columns_form.proposal(_suggestions(send, target))
        return columns_form.from_form(request.POST, connector, send.upload.columns, start)
    return before or columns_form.proposal(_suggestions(send, target))


def _suggestions(send: Send, target: Destination) -> dict[str, mappings.Suggestion]:
    connector = connectors.get(target.connector)
    return columns_form.suggested(connector, send.upload, checks.remembered(target))


def _page(
    request: HttpRequest, send: Send, places: list[Destination], target: Destination | None,
    mapping: Mapping[str, Source], wrong: Mapping[str, str] | None = None, problem: str = "",
) -> HttpResponse:  # fmt: skip
    vendors = connectors.all_connectors()
    context: dict[str, Any] = frame_of(send, 3) | {
        "destination": target,
        "places": [(place, vendors[place.connector]) for place in places if place.connector in vendors],
        "problem": problem,
        "wrong_count": len(wrong or {}),
        "save_as": request.POST.get("save_as", ""),
        "save_problem": [wrong["name"]] if wrong and "name" in wrong else [],
        "duplicates": request.POST.get("duplicates", send.duplicates),
    }
    if target is not None:
        context |= _matched(send, target, mapping, wrong or {}) | {"shown_saved": request.POST.get("saved", "")}
    template = "sends/columns_part.html" if request.htmx else "sends/columns.html"
    return render(request, template, context, status=422 if (wrong or problem) and not request.htmx else 200)


def _matched(
    send: Send, target: Destination, mapping: Mapping[str, Source], wrong: Mapping[str, str]
) -> dict[str, Any]:
    connector, upload = connectors.get(target.connector), send.upload
    names = SavedMapping.objects.filter(connector=target.connector).order_by("name").values_list("name", flat=True)
    return {
        "connector": connector,
        "lines": columns_form.lines(connector, upload, mapping, _suggestions(send, target), wrong, target.settings),
        "families": columns_form.families(connector, upload, mapping, wrong),
        "unused": columns_form.unused(upload, mapping),
        "columns": list(enumerate(upload.columns)),
        "saved_names": list(names.distinct()),
        "formats": columns_form.FORMATS,
        "notes": mappings.notes(mapping, connector),
        "zone": target.settings.get("timezone"),
    }
