"""Step 2 of a new send: what was recognised in the file, and changing it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from offline_portal import checks
from offline_portal.access.roles import OPS, role
from offline_portal.delivery import control
from offline_portal.intake import Options, Refused
from offline_portal.intake.store import accept, reopen
from offline_portal.models import Send, Upload
from offline_portal.screens.steps import frame_of, is_open, the_send

_ENCODINGS = (
    "utf-8", "utf-16", "windows-1252", "windows-1250", "windows-1251", "windows-1254", "iso-8859-1", "iso-8859-2",
    "iso-8859-9", "iso-8859-15", "shift_jis", "gb18030",
)  # fmt: skip
_DELIMITERS = ((",", "Comma  ,"), (";", "Semicolon  ;"), ("tab", "Tab"), ("|", "Bar  |"))


class Guesses(forms.Form):
    """What the portal recognised, open to change."""

    sheet = forms.ChoiceField(label="Sheet")
    encoding = forms.ChoiceField(label="Encoding", help_text="Change it if letters look wrong.")
    delimiter = forms.ChoiceField(label="Columns are separated by")
    header_line = forms.IntegerField(
        label="Line of the header",
        min_value=0,
        max_value=1_048_576,
        help_text="As counted in the file; 0 when it has none.",
    )

    def __init__(self, upload: Upload, data: Any = None) -> None:
        delimiter = "tab" if upload.delimiter == "\t" else upload.delimiter
        guessed = {
            "sheet": upload.sheet,
            "encoding": upload.encoding,
            "delimiter": delimiter,
            "header_line": upload.header_line,
        }
        super().__init__(data, initial=guessed)
        if len(upload.sheets) > 1:
            self.fields["sheet"].choices = [(name, name) for name in upload.sheets]
        else:
            del self.fields["sheet"]
        if upload.format == "xlsx":
            del self.fields["encoding"], self.fields["delimiter"]
            return
        self.fields["encoding"].choices = _with(upload.encoding, [(name, name) for name in _ENCODINGS])
        self.fields["delimiter"].choices = _with(delimiter, list(_DELIMITERS))

    def options(self) -> Options:
        """What the person says; nothing where nothing is said."""
        given = {key: value for key, value in self.cleaned_data.items() if value not in (None, "")}
        return Options(**given)


@role(OPS)
@require_http_methods(["GET", "POST"])
def recognised(request: HttpRequest, pk: int) -> HttpResponse:
    """Show how the file was read; a change reads it again at once."""
    send = the_send(pk)
    if not is_open(send):
        return redirect("send", pk)
    form = Guesses(send.upload, request.POST or None)
    problem = ""
    if request.method == "POST" and form.is_valid():
        try:
            send = _read_again(send, form.options(), request)
        except Refused as refusal:
            problem = refusal.message
        else:
            if not request.htmx or send.pk != pk:
                return _go(request, send)
            form = Guesses(send.upload)
    context = frame_of(send, 2) | {
        "form": form,
        "problem": problem,
        "seen": _seen_before(send),
        "columns": send.upload.columns,
        "rows": send.upload.sample,
        "by_line": _by_line(send.upload),
    }
    template = "sends/recognised_part.html" if request.htmx else "sends/recognised.html"
    return render(request, template, context)


@role(OPS)
def reading(request: HttpRequest, pk: int) -> HttpResponse:
    """How far a worker has read the file; asked again and again until it is done."""
    return render(request, "sends/reading.html", {"send": the_send(pk), "upload": the_send(pk).upload})


def _read_again(send: Send, options: Options, request: HttpRequest) -> Send:
    """In place while it is a draft; a send that was checked gives way to a new one with the same file."""
    upload = send.upload
    if send.status == Send.Status.DRAFT and not upload.sends.exclude(pk=send.pk).exists():
        send.upload = reopen(upload, options, request.user)
        return send
    fresh = checks.draft(accept(Path(upload.file.path), upload.filename, request.user, options), request.user)
    control.cancel(send, request.user)
    messages.info(request, "The file was read anew, so choose the columns again. Nothing of it had been sent.")
    return the_send(fresh.pk)


def _go(request: HttpRequest, send: Send) -> HttpResponse:
    answer = redirect("send-recognised", send.pk)
    if request.htmx:
        answer = HttpResponse(status=204, headers={"HX-Redirect": answer.url})
    return answer


def _seen_before(send: Send) -> list[Send]:
    """Earlier sends of the very same bytes."""
    same = Send.objects.filter(upload__sha256=send.upload.sha256).exclude(pk=send.pk).exclude(status="draft")
    return list(same.select_related("destination", "created_by", "upload").order_by("-pk")[:3])


def _by_line(upload: Upload) -> list[dict[str, Any]]:
    """The file's own problems, those of the whole file first."""
    return sorted(upload.problems, key=lambda problem: (problem["line"] is not None, problem["line"] or 0))


def _with(value: str, choices: list[tuple[str, str]]) -> list[tuple[str, str]]:
    known = value in (key for key, _word in choices)
    return choices if known or not value else [(value, value), *choices]
