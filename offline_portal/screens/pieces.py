"""Template tags of the pieces, known in every template without loading."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.forms import BoundField, CheckboxInput, RadioSelect
from django.template import Library
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from offline_portal.models import Send
from offline_portal.screens import tones, viewer

register = Library()


@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    """One drawing of the sprite, hidden from screen readers: a word always stands beside it."""
    return format_html(
        '<svg class="icon{}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        f" {extra}" if extra else "",
        static("icons.svg"),
        name,
    )


@register.inclusion_tag("pieces/pill.html")
def pill(status: str, kind: str = "row", evidence: str = "") -> dict[str, Any]:
    """A status as tone, icon and word; `kind` is row, send or upload."""
    looks = {"row": tones.ROWS, "send": tones.SENDS, "upload": tones.UPLOADS}[kind]
    return {
        "look": looks.get(status) or tones.plain(status),
        "grade": tones.GRADES.get(evidence),
        "marks": [(1 + 5 * mark, mark < tones.GRADES[evidence].level) for mark in range(4)]
        if evidence in tones.GRADES
        else [],
    }


@register.inclusion_tag("pieces/bar.html")
def bar(send: Send, legend: bool = False) -> dict[str, Any]:
    """The rows of a send as one stacked bar: by verdict before it is queued, by status afterwards."""
    parts = tones.BAR if send.queued_at else tones.CHECK_BAR
    total = send.ready if send.queued_at else send.total
    sections, x = [], 0.0
    for name, fill in parts:
        count = getattr(send, name)
        if count and total:
            width = 1000 * count / total
            sections.append(
                {"x": f"{x:.2f}", "width": f"{width:.2f}", "fill": fill, "count": count, "look": tones.ROWS[name]}
            )
            x += width
    words = ", ".join(f"{viewer.grouped(part['count'])} {part['look'].word.lower()}" for part in sections)
    return {"sections": sections, "words": words or "no rows yet", "legend": legend}


@register.inclusion_tag("pieces/tile.html", takes_context=True)
def tile(
    context: Any, status: str, count: int, address: str = "", here: bool = False, word: str = ""
) -> dict[str, Any]:
    """A number that is also a filter."""
    look = tones.ROWS.get(status) or tones.plain(status)
    return {"look": look, "word": word or look.word, "count": count, "address": address, "here": here}


@register.inclusion_tag("pieces/field.html")
def field(bound: BoundField, extra: str = "", label: str = "", help: str = "") -> dict[str, Any]:
    """A form field with its label, help and problems; `label` and `help` instead of the words of the form."""
    widget = bound.field.widget
    if label:
        bound.label, bound.help_text = label, help
        widget.attrs.pop("placeholder", None)
    return {
        "field": bound,
        "extra": extra,
        "tick": isinstance(widget, CheckboxInput),
        "radio": isinstance(widget, RadioSelect),
    }


@register.inclusion_tag("pieces/stepper.html")
def stepper(steps: list[Any]) -> dict[str, Any]:
    """The five steps of a new send."""
    return {"steps": steps}


@register.filter
def count(number: int | str | None) -> str:
    """A number as the viewer writes it."""
    return "" if number is None else viewer.grouped(number)


@register.filter
def size(number: int) -> str:
    """Bytes in words: 1.4 MB."""
    amount = float(number)
    for unit in ("bytes", "kB", "MB"):
        if amount < 1000:
            return (
                f"{viewer.grouped(f'{amount:.0f}' if unit == 'bytes' or amount >= 100 else f'{amount:.1f}')} {unit}"
            )
        amount /= 1000
    return f"{viewer.grouped(f'{amount:.1f}')} GB"


@register.filter
def moment(at: datetime | None, seconds: str = "") -> SafeString | str:
    """A point in time in the viewer's zone; weekday, second and zone on hover."""
    if at is None:
        return "never"
    local = timezone.localtime(at)
    year = "" if local.year == timezone.localtime().year else f" {local.year}"
    return _time(at, f"{local.day} {local:%b}{year}, {local.strftime('%H:%M:%S' if seconds else '%H:%M')}")


@register.filter
def ago(at: datetime | None) -> SafeString | str:
    """How long ago, in the largest unit that fits; beyond a week the moment itself."""
    if at is None:
        return "never"
    passed = (timezone.now() - at).total_seconds()
    if passed >= 7 * 86400:
        return moment(at)
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if passed >= length:
            number = int(passed // length)
            return _time(at, f"{number} {unit}{'s' if number > 1 else ''} ago")
    return _time(at, "just now")


def _time(at: datetime, words: str) -> SafeString:
    local = timezone.localtime(at)
    full = f"{local:%A}, {local.day} {local:%B %Y, %H:%M:%S} {timezone.get_current_timezone_name()}"
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), full, words)


@register.filter
def plural(number: int, words: str = "row,rows") -> str:
    """`4,960 rows`: the number and the word that fits it."""
    one, _, many = words.partition(",")
    return f"{viewer.grouped(number)} {one if number == 1 else many}"


@register.simple_tag
def reasons(problems: list[dict[str, Any]], tone: str = "bad") -> SafeString:
    """Problems or warnings of a row: sentence first, the code small beside it."""
    mark = icon("problem" if tone == "bad" else "alert")
    return format_html_join(
        "",
        '<li data-tone="{}">{}<span>{} <span class="code">{}</span></span></li>',
        ((tone, mark, problem["message"], problem["code"]) for problem in problems),
    )
