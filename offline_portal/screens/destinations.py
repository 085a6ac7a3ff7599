"""Destinations: the accounts at the vendors, their forms built from what the connectors declare."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

import connectors
from connectors.base import Connector, Field
from offline_portal import destinations as places
from offline_portal.access.roles import ADMIN, EVERYONE, role
from offline_portal.audit import chain
from offline_portal.delivery import probe
from offline_portal.models import Destination, Reader, Send

_PLAIN = ("name", "live", "require_approval")


class DestinationForm(forms.Form):
    """What an admin says about a destination; settings and secrets as the connector declares them."""

    name = forms.CharField(
        label="Name", max_length=120, required=False, help_text="As your team calls this account. Names are unique."
    )
    live = forms.BooleanField(
        label="Live account",
        required=False,
        help_text="Rows sent there count as real conversions. Leave it off for a test account.",
    )

    require_approval = forms.BooleanField(
        label="Needs approval",
        required=False,
        help_text="Nothing leaves before somebody else in marketing ops, or an admin, has approved exactly these rows.",
    )

    def __init__(self, connector: Connector, data: Any = None, known: Destination | None = None) -> None:
        plain = {name: getattr(known, name) for name in _PLAIN} if known else None
        super().__init__(data, initial=plain)
        self.connector, self.known = connector, known
        self.fields["name"].widget.is_required = True
        self.hints = {secret.key: secret.hint for secret in known.secret_set.all()} if known else {}
        for declared in connector.settings:
            stored = known.settings.get(declared.key) if known else None
            self.fields[f"settings.{declared.key}"] = _form_field(declared, stored)
        for declared in connector.secrets:
            self.fields[f"secrets.{declared.key}"] = self._secret(declared)
        for name in self.fields:
            self.fields[name].widget.attrs.setdefault("autocomplete", "off")

    def _secret(self, declared: Field) -> forms.Field:
        hint = self.hints.get(declared.key)
        help_text = f"Set ({hint}). Leave it empty to keep it. {declared.help}" if hint else declared.help
        attrs = {"autocomplete": "new-password", "placeholder": "•••• stays as it is" if hint else ""}
        widget = forms.Textarea(attrs | {"rows": 4}) if declared.multiline else forms.PasswordInput(attrs)
        return _marked(
            forms.CharField(label=declared.label, required=False, help_text=help_text, widget=widget), declared
        )

    def given(self) -> dict[str, Any]:
        """The arguments for `destinations.create` and `change`."""
        cleaned = self.cleaned_data
        part = {
            kind: {key.partition(".")[2]: value for key, value in cleaned.items() if key.startswith(f"{kind}.")}
            for kind in ("settings", "secrets")
        }
        settings = {key: value if value != "" else None for key, value in part["settings"].items()}
        secrets = {key: value for key, value in part["secrets"].items() if value or not self.known}
        return {name: cleaned[name] for name in _PLAIN} | {"settings": settings, "secrets": secrets}

    def take(self, wrong: dict[str, str]) -> None:
        """Show what `destinations` found wrong beside its field."""
        for key, message in wrong.items():
            self.add_error(key if key in self.fields else None, message)

    @property
    def general(self) -> list[forms.BoundField]:
        """Name and kind, and whether two people are needed."""
        return [self[name] for name in _PLAIN]

    @property
    def settings(self) -> list[forms.BoundField]:
        """The connector's settings."""
        return [self[name] for name in self.fields if name.startswith("settings.")]

    @property
    def secrets(self) -> list[forms.BoundField]:
        """The connector's secrets."""
        return [self[name] for name in self.fields if name.startswith("secrets.")]


def _form_field(declared: Field, stored: Any) -> forms.Field:
    value = stored if stored is not None else declared.default
    attrs = {"placeholder": declared.example} if declared.example else {}
    common: dict[str, Any] = {
        "label": declared.label,
        "help_text": declared.help,
        "required": False,
        "initial": value,
    }
    if declared.type == "boolean":
        return forms.BooleanField(**common)
    if declared.choices:
        options = [(choice.value, choice.label) for choice in declared.choices]
        offered = options if declared.required is True else [("", "—"), *options]
        return _marked(forms.ChoiceField(choices=offered, **common), declared)
    field = forms.CharField(widget=forms.TextInput(attrs=attrs), **common)
    return _marked(field, declared)


def _marked(field: forms.Field, declared: Field) -> forms.Field:
    """The label tells what is required; `offline_portal.destinations` itself says what is missing."""
    field.widget.is_required = declared.required is True
    return field


@role(*EVERYONE)
def destinations(request: HttpRequest) -> HttpResponse:
    """All destinations in use."""
    found = list(Destination.objects.filter(archived_at=None).order_by("name"))
    vendors = connectors.all_connectors()
    rows = [(one, vendors.get(one.connector), _last_send(one)) for one in found]
    return render(request, "destinations/list.html", {"rows": rows})


@role(*EVERYONE)
def destination(request: HttpRequest, pk: int) -> HttpResponse:
    """One destination: state, settings, hints of its secrets, what was sent there."""
    one = _find(pk)
    connector = connectors.get(one.connector)
    hints = {secret.key: secret for secret in one.secret_set.all()}
    return render(
        request,
        "destinations/destination.html",
        {
            "destination": one,
            "connector": connector,
            "settings": [(declared, one.settings.get(declared.key)) for declared in connector.settings],
            "secrets": [(declared, hints.get(declared.key)) for declared in connector.secrets],
            "reader": Reader.objects.filter(destination=one).exclude(refused="").first(),
            "sends": Send.objects.filter(destination=one)
            .select_related("upload", "destination", "created_by")
            .order_by("-pk")[:8],
        },
    )


@role(ADMIN)
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Choose the vendor, then fill in its form."""
    slug = request.POST.get("connector") or request.GET.get("connector", "")
    connector = connectors.all_connectors().get(slug)
    if connector is None:
        return render(request, "destinations/choose.html", {"connectors": connectors.all_connectors().values()})
    form = DestinationForm(connector, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            made = places.create(request.user, connector=slug, **form.given())
        except places.Invalid as invalid:
            form.take(invalid.fields)
        else:
            messages.success(request, "The destination is set up. Test the connection before the first send.")
            return redirect("destination", made.pk)
    return _form_page(request, connector, form, None)


@role(ADMIN)
@require_http_methods(["GET", "POST"])
def change(request: HttpRequest, pk: int) -> HttpResponse:
    """Change name, settings or secrets."""
    one = _find(pk)
    connector = connectors.get(one.connector)
    form = DestinationForm(connector, request.POST if request.method == "POST" else None, one)
    if request.method == "POST" and form.is_valid():
        try:
            places.change(one, request.user, **form.given())
        except places.Invalid as invalid:
            form.take(invalid.fields)
        else:
            return redirect("destination", pk)
    return _form_page(request, connector, form, one)


@role(ADMIN)
@require_POST
def act(request: HttpRequest, pk: int, what: str) -> HttpResponse:
    """Pause, open, archive, or test the connection."""
    one = _find(pk)
    if what == "test":
        return _test(request, one)
    try:
        if what == "archive":
            places.archive(one, request.user)
            messages.success(request, f"“{one.name}” is archived. What was sent there stays on record.")
            return redirect("destinations")
        if what not in ("pause", "open"):
            raise Http404
        places.change(one, request.user, paused=what == "pause", reason=request.POST.get("reason") or None)
    except places.Unfinished as unfinished:
        messages.warning(request, str(unfinished))
    return redirect("destination", pk)


def _test(request: HttpRequest, one: Destination) -> HttpResponse:
    works, words = probe.test_connection(one)
    with transaction.atomic():
        chain.add(request.user.get_username(), "destination.tested", f"destination:{one.pk}", {"ok": works})
    if request.htmx:
        return render(request, "destinations/tested.html", {"works": works, "words": words})
    (messages.success if works else messages.error)(request, words)
    return redirect("destination", one.pk)


def _form_page(
    request: HttpRequest, connector: Connector, form: DestinationForm, one: Destination | None
) -> HttpResponse:
    context = {"connector": connector, "form": form, "destination": one}
    return render(request, "destinations/form.html", context, status=422 if form.errors else 200)


def _find(pk: int) -> Destination:
    return get_object_or_404(Destination.objects.select_related("current"), pk=pk)


def _last_send(one: Destination) -> Send | None:
    return Send.objects.filter(destination=one, queued_at__isnull=False).order_by("-queued_at").first()
