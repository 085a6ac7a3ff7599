"""The fields of a destination matched with the columns of a file: from a form to a mapping, and back to lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import QueryDict

from connectors.base import Connector, Field
from offline_portal import mapping as mappings
from offline_portal.checking import compile_plan
from offline_portal.models import Upload

Source = dict[str, Any]
FIXED = "="
SURE_ENOUGH = 0.5
_OPTIONS = ("format", "timezone", "decimal", "default")
_SAMPLES = 3
FORMATS = (
    "YYYY-MM-DD",
    "YYYY-MM-DD HH:mm:ss",
    "DD.MM.YYYY",
    "DD.MM.YYYY HH:mm",
    "DD/MM/YYYY",
    "DD/MM/YYYY HH:mm",
    "MM/DD/YYYY",
    "MM/DD/YYYY HH:mm",
    "D MMM YYYY",
    "YYYYMMDD",
    "X",
    "x",
)


@dataclass
class Reading:
    """One cell, and what the vendor gets of it: a value, or why not."""

    cell: str
    value: str = ""
    problem: str = ""


@dataclass
class Line:
    """One field of the vendor as the page shows it."""

    number: int
    key: str
    field: Field
    source: Source
    choice: str
    """What the column's menu stands on: a column's index, FIXED, or empty."""
    lookup: str = ""
    reason: str = ""
    sure: float = 0.0
    problem: str = ""
    readings: list[Reading] = field(default_factory=list)

    @property
    def sure_width(self) -> int:
        """The certainty as the width of a mark of 24."""
        return round(24 * self.sure)

    @property
    def has_options(self) -> bool:
        """Whether some option is set, so that the options stand open."""
        told = any(self.source.get(name) for name in ("format", "timezone", "default", "values"))
        return told or self.source.get("decimal") == ","


@dataclass
class Member:
    """One column that may go into an open-ended family of fields."""

    index: int
    column: str
    name: str
    ticked: bool
    samples: list[str]
    decimal: str = ""
    problem: str = ""


@dataclass
class Family:
    """An open-ended family of fields: any column under any name."""

    field: Field
    members: list[Member]
    fixed: list[tuple[str, str]]
    problems: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many columns and fixed values go into it."""
        return sum(member.ticked for member in self.members) + sum(bool(name) for name, _value in self.fixed)


def from_form(
    post: QueryDict, connector: Connector, columns: Sequence[str], kept: Mapping[str, Source]
) -> dict[str, Source]:
    """The mapping that the form says. `kept`: the one shown before, whose unseen options of family members stay."""
    mapping: dict[str, Source] = {}
    for declared in connector.fields:
        if declared.is_family:
            mapping |= _family_from_form(post, declared, columns, kept)
        elif source := _source(post, declared.key, columns):
            mapping[declared.key] = source
    return mapping


def suggested(
    connector: Connector, upload: Upload, remembered: Mapping[str, Source] | None
) -> dict[str, mappings.Suggestion]:
    """What the portal proposes, by field key."""
    rows = [cells for _line, cells in upload.sample]
    return {found.field: found for found in mappings.suggest(connector, upload.columns, rows, remembered)}


def proposal(suggestions: Mapping[str, mappings.Suggestion]) -> dict[str, Source]:
    """The mapping to start from: every suggestion that is sure enough."""
    return {
        key: dict(found.source)
        for key, found in suggestions.items()
        if found.source and found.confidence >= SURE_ENOUGH
    }


def lines(
    connector: Connector,
    upload: Upload,
    mapping: Mapping[str, Source],
    suggestions: Mapping[str, mappings.Suggestion],
    wrong: Mapping[str, str],
    values: Mapping[str, Any],
) -> list[Line]:
    """One line a field that is no family; `values` are the destination's settings."""
    shown = []
    for number, declared in enumerate(one for one in connector.fields if not one.is_family):
        source, found = dict(mapping.get(declared.key, {})), suggestions.get(declared.key)
        line = Line(
            number,
            declared.key,
            declared,
            source,
            _choice(source, upload.columns),
            problem=wrong.get(declared.key, ""),
        )
        line.lookup = "\n".join(f"{before} = {after}" for before, after in source.get("values", {}).items())
        if found and found.source and found.column == source.get("column"):
            line.reason, line.sure = found.reason, found.confidence
        elif found and not source:
            line.reason = found.reason
        if source:
            line.readings = readings(connector, declared.key, source, upload, values)
        shown.append(line)
    return shown


def families(
    connector: Connector, upload: Upload, mapping: Mapping[str, Source], wrong: Mapping[str, str]
) -> list[Family]:
    """One block a family, with every column of the file."""
    used = {source.get("column") for key, source in mapping.items() if not _family_of(connector, key)}
    return [_family(declared, upload, mapping, wrong, used) for declared in connector.fields if declared.is_family]


def unused(upload: Upload, mapping: Mapping[str, Source]) -> list[str]:
    """The columns that go nowhere."""
    used = {source.get("column") for source in mapping.values()}
    return [column for column in upload.columns if column not in used]


def readings(
    connector: Connector, key: str, source: Source, upload: Upload, values: Mapping[str, Any]
) -> list[Reading]:
    """The first different cells of the source, and what the vendor would get of them."""
    try:
        plan = compile_plan(connector, {key: source}, upload.columns, values, settings.PORTAL_TIMEZONE)
    except ValueError as error:
        return [Reading("", problem=str(error))]
    zone = source.get("timezone") or values.get("timezone") or settings.PORTAL_TIMEZONE
    place = upload.columns.index(source["column"]) if source.get("column") in upload.columns else None
    found: dict[str, Reading] = {}
    for _line, cells in upload.sample:
        cell = cells[place] if place is not None and place < len(cells) else source.get("value", "")
        if cell in found or (place is not None and not cell.strip() and not source.get("default")):
            continue
        got: dict[str, Any] = {}
        problems: list[dict[str, Any]] = []
        for step in plan.steps:
            step([*cells, *[""] * (plan.width - len(cells))], got, problems, [])
        is_time = (declared := connector.field(key)) is not None and declared.type == "timestamp"
        value = _spoken(got[key], zone) if is_time and key in got else str(got.get(key, ""))
        found[cell] = Reading(cell, value, problems[0]["message"] if problems else "")
        if len(found) == _SAMPLES or place is None:
            break
    return list(found.values())


def _spoken(moment: str, zone: str) -> str:
    """A moment in words, in the zone in which it was read: 3 April 2026, 00:00 Europe/Berlin."""
    try:
        local = datetime.fromisoformat(moment).astimezone(ZoneInfo(zone))
    except (ValueError, KeyError):
        return moment
    return f"{local.day} {local:%B %Y, %H:%M} {zone}"


def _source(post: QueryDict, key: str, columns: Sequence[str]) -> Source:
    choice = post.get(f"column:{key}", "")
    if choice == FIXED:
        source: Source = {"value": post.get(f"value:{key}", "").strip()}
    elif choice.isascii() and choice.isdigit() and int(choice) < len(columns):
        source = {"column": columns[int(choice)]}
    else:
        return {}
    for name in _OPTIONS:
        if text := post.get(f"{name}:{key}", "").strip():
            source[name] = text
    if lookup := dict(_pairs(post.get(f"values:{key}", ""))):
        source["values"] = lookup
    return source


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        before, mark, after = line.partition("=")
        if mark:
            yield before.strip(), after.strip()


def _family_from_form(
    post: QueryDict, declared: Field, columns: Sequence[str], kept: Mapping[str, Source]
) -> dict[str, Source]:
    head, mapping = declared.key[:-1], {}
    for index, column in enumerate(columns):
        if post.get(f"tick:{declared.key}:{index}"):
            key = head + (post.get(f"name:{declared.key}:{index}", "").strip() or column)
            before = kept.get(key, {})
            mapping[key] = dict(before) if before.get("column") == column else {"column": column}
            mapping[key].pop("decimal", None)
            if decimal := post.get(f"decimal:{declared.key}:{index}"):
                mapping[key]["decimal"] = decimal
    names, texts = post.getlist(f"fixname:{declared.key}"), post.getlist(f"fixvalue:{declared.key}")
    for name, text in zip(names, texts, strict=False):
        if name.strip() and text.strip():
            mapping[head + name.strip()] = {"value": text.strip()}
    return mapping


def _family(
    declared: Field, upload: Upload, mapping: Mapping[str, Source], wrong: Mapping[str, str], used: set[Any]
) -> Family:
    head = declared.key[:-1]
    mine = {key: source for key, source in mapping.items() if key.startswith(head)}
    named = {source["column"]: key.removeprefix(head) for key, source in mine.items() if "column" in source}
    members = []
    for index, column in enumerate(upload.columns):
        if column in used and column not in named:
            continue
        samples = list(
            dict.fromkeys(cells[index] for _line, cells in upload.sample if index < len(cells) and cells[index])
        )
        name = named.get(column, column)
        decimal = mine.get(head + name, {}).get("decimal", "")
        problem = wrong.get(head + name, "")
        members.append(Member(index, column, name, column in named, samples[:_SAMPLES], decimal, problem))
    fixed = [(key.removeprefix(head), source["value"]) for key, source in mine.items() if "value" in source]
    seen = {head + member.name for member in members}
    problems = [text for key, text in wrong.items() if key.startswith(head) and key not in seen]
    return Family(declared, members, [*fixed, ("", "")], problems)


def _choice(source: Source, columns: Sequence[str]) -> str:
    if "value" in source:
        return FIXED
    column = source.get("column")
    return str(list(columns).index(column)) if column in columns else ""


def _family_of(connector: Connector, key: str) -> bool:
    declared = connector.field(key)
    return declared is not None and declared.is_family
