"""People, for admins: who may sign in, and as what. And the page on which a person chooses their password."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.models import User
from django.contrib.auth.views import PasswordResetConfirmView
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from offline_portal import people as persons
from offline_portal.access import tokens
from offline_portal.access.roles import ADMIN, AUDITOR, OPS, role
from offline_portal.models import Token

ROLES = (
    (OPS, "Marketing ops", "Uploads spreadsheets, mends rows and sends them. Sees the cells plainly."),
    (ADMIN, "Admin", "Keeps destinations, their keys, and people. Cannot send."),
    (AUDITOR, "Auditor", "Looks everything up, reads and checks the audit log. Changes nothing."),
)


class PersonForm(forms.Form):
    """A new person."""

    username = forms.CharField(
        label="Username", max_length=150, required=False,
        help_text="They sign in with it, and it stands in the audit log. It cannot be changed later.",
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false"}),
    )  # fmt: skip
    full_name = forms.CharField(label="Full name", max_length=150, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].widget.is_required = True
        for field in self.fields.values():
            field.widget.attrs["autocomplete"] = "off"


class PasswordForm(SetPasswordForm):
    """A first password, or a new one after the old was lost."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["new_password1"].label = "Your new password"
        self.fields["new_password1"].help_text = "At least 15 characters. Four or five words in a row are easy to keep."
        self.fields["new_password2"].label = "The same again"
        self.fields["new_password2"].help_text = ""


@method_decorator(never_cache, name="dispatch")
class FirstPassword(PasswordResetConfirmView):
    """Where a one-time link leads: choose a password, then sign in with it."""

    form_class = PasswordForm
    template_name = "people/first_password.html"
    token_generator = persons.link_keys
    success_url = reverse_lazy("account_login")

    def get_user(self, uidb64: str) -> User | None:
        """The person of the link, unless they were disabled since it was made."""
        person = super().get_user(uidb64)
        return person if person and person.is_active else None

    def form_valid(self, form: PasswordForm) -> HttpResponse:
        """Keep the password, and lead to the sign-in page."""
        with transaction.atomic():
            answer = super().form_valid(form)
            persons.note_password(form.user)
        messages.success(self.request, "Your password is set. Sign in with it now.")
        return answer


@role(ADMIN)
def people(request: HttpRequest) -> HttpResponse:
    """Everybody: roles, state, second factor, last sign-in."""
    rows = [(one, _words(persons.roles_of(one))) for one in persons.everybody()]
    return render(request, "people/list.html", {"rows": rows})


@role(ADMIN)
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Add a person; the answer shows their one-time link, this once."""
    form = PersonForm(request.POST if request.method == "POST" else None)
    chosen = request.POST.getlist("roles")
    wrong_roles = ""
    if request.method == "POST" and form.is_valid():
        try:
            made = persons.create(form.cleaned_data["username"], chosen, _me(request), form.cleaned_data["full_name"])
        except persons.Invalid as invalid:
            wrong_roles = invalid.fields.pop("roles", "")
            for key, message in invalid.fields.items():
                form.add_error(key, message)
        else:
            return _show_link(request, made, is_new=True)
    failed = bool(form.errors or wrong_roles)
    context = {"form": form, "roles": _ticks(chosen), "wrong_roles": wrong_roles, "failed": failed}
    return render(request, "people/new.html", context, status=422 if failed else 200)


@role(ADMIN)
@require_http_methods(["GET", "POST"])
def person(request: HttpRequest, pk: int) -> HttpResponse:
    """One person; a POST gives them the ticked roles."""
    one = get_object_or_404(User, pk=pk)
    wrong_roles = ""
    chosen = persons.roles_of(one)
    if request.method == "POST":
        chosen = request.POST.getlist("roles")
        try:
            persons.set_roles(one, chosen, _me(request))
        except persons.Invalid as invalid:
            wrong_roles = invalid.fields["roles"]
        except persons.NotAllowed as why:
            messages.warning(request, str(why))
            return redirect("person", pk)
        else:
            messages.success(request, f"{one.username}’s roles are: {_words(chosen) or 'none'}. They hold from now on.")
            return redirect("person", pk)
    return render(request, "people/person.html", {
        "person": one, "roles": _ticks(chosen), "role_names": _words(persons.roles_of(one)),
        "wrong_roles": wrong_roles, "own": one == request.user,
        "tokens": Token.objects.filter(user=one, revoked_at=None).order_by("-pk"),
        "factors": one.authenticator_set.count(),
    }, status=422 if wrong_roles else 200)  # fmt: skip


@role(ADMIN)
@require_POST
def act(request: HttpRequest, pk: int, what: str) -> HttpResponse:
    """Disable or enable a person, make them a new link, or take away second factors that they lost."""
    one = get_object_or_404(User, pk=pk)
    try:
        if what == "link":
            return _show_link(request, one)
        if what == "disable":
            persons.disable(one, _me(request))
            messages.success(request, f"{one.username} is out: password, sessions and tokens have ended.")
        elif what == "enable":
            persons.enable(one, _me(request))
            return _show_link(request, one)
        elif what == "factors":
            persons.drop_factors(one, _me(request))
            messages.success(request, f"{one.username} signs in with the password alone until they add a new one.")
        else:
            raise Http404
    except persons.NotAllowed as why:
        messages.warning(request, str(why))
    return redirect("person", pk)


@role(ADMIN)
@require_POST
def revoke(request: HttpRequest, pk: int, token: int) -> HttpResponse:
    """End a token of a person."""
    found = get_object_or_404(Token.objects.select_related("user"), pk=token, user_id=pk)
    tokens.revoke(found, _me(request))
    messages.success(request, f"The token {found.hint} has ended.")
    return redirect("person", pk)


def _show_link(request: HttpRequest, one: User, is_new: bool = False) -> HttpResponse:
    """The one page that shows the link; nothing keeps a copy of it, neither browser nor portal."""
    address = request.build_absolute_uri(persons.link(one, _me(request)))
    answer = render(request, "people/link.html", {"person": one, "address": address, "is_new": is_new})
    answer["Cache-Control"] = "no-store"
    return answer


def _ticks(chosen: list[str]) -> list[tuple[str, str, str, bool]]:
    return [(name, word, told, name in chosen) for name, word, told in ROLES]


def _words(roles: list[str]) -> str:
    return ", ".join(word for name, word, _ in ROLES if name in roles)


def _me(request: HttpRequest) -> str:
    return request.user.get_username()
