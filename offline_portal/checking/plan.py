"""A mapping compiled into steps, so that a row is judged in one pass."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, NamedTuple, Protocol

from connectors.base import Connector, Field, Issue

from .dates import zone_named
from .unfit import Doubtful, Unfit
from .values import Reader, reader

Note = dict[str, Any]
Step = Callable[[Sequence[str], dict[str, Any], list[Note], list[Note]], None]

# What intake tells about a row whose cells are certain all the same.
HARMLESS = frozenset({"quote_inside", "number_at_limit", "merged_cells", "trailing_delimiter", "duplicate_row"})
# Defects of one cell: they stop a row only where that cell would be sent.
OF_ONE_CELL = frozenset({"cell_error", "digits_lost", "undecodable"})

_SURROGATE = re.compile("[\ud800-\udfff]")
_NOT_TEXT = "This holds characters that are no text. Type it again."


class IntakeProblem(Protocol):
    """What intake found in a row (`offline_portal.intake.Problem`)."""

    column: str | None
    code: str
    message: str


class Checked(NamedTuple):
    """The judgement of one row: `values` by field key where it can be sent, else None and its problems.

    Problems and warnings are dicts of `field`, `column` (None where there is none), `code` and `message`.
    """

    values: dict[str, Any] | None
    problems: list[Note]
    warnings: list[Note]


@dataclass(frozen=True)
class Plan:
    """A compiled mapping; made by `compile_plan`."""

    connector: Connector
    settings: Mapping[str, Any]
    width: int
    steps: tuple[Step, ...]
    columns: Mapping[str, str | None]
    """The column of each mapped field key; None for a fixed value."""

    def check(self, cells: Sequence[str], intake_problems: Iterable[IntakeProblem] | None = None) -> Checked:
        """Judge one row: `cells` in the order of the file's columns. Never raises, whatever the cells hold."""
        values: dict[str, Any] = {}
        problems: list[Note] = []
        warnings: list[Note] = []
        if len(cells) < self.width:
            cells = [*cells, *[""] * (self.width - len(cells))]
        for step in self.steps:
            step(cells, values, problems, warnings)
        issues = self.connector.check(values, self.settings)
        if issues:
            self._take(issues, problems, warnings)
        if intake_problems:
            self._take_intake(intake_problems, problems, warnings)
        return Checked(None if problems else values, problems, warnings)

    def _take(self, issues: list[Issue], problems: list[Note], warnings: list[Note]) -> None:
        already = {problem["field"] for problem in problems}
        for issue in issues:
            # The rule speaks of a value that is missing only because its cell is already named.
            if issue.field in already or issue.instead in already:
                continue
            column = self.columns.get(issue.field) or self.columns.get(issue.instead)
            note = _note(issue.field, column, issue.code, issue.message)
            (warnings if issue.warning else problems).append(note)

    def _take_intake(self, found: Iterable[IntakeProblem], problems: list[Note], warnings: list[Note]) -> None:
        fields = {column: key for key, column in self.columns.items() if column is not None}
        for problem in found:
            unsent = problem.code in OF_ONE_CELL and problem.column is not None and problem.column not in fields
            note = _note(fields.get(problem.column or "", ""), problem.column, problem.code, problem.message)
            (warnings if unsent or problem.code in HARMLESS else problems).append(note)


def compile_plan(
    connector: Connector,
    mapping: Mapping[str, Mapping[str, Any]],
    columns: Sequence[str],
    settings: Mapping[str, Any],
    default_timezone: str,
    now: datetime | None = None,
) -> Plan:
    """Compile a valid mapping (see `offline_portal.mapping.validate`) for rows with these columns.

    A date's zone is the source's, else the destination's setting `timezone`, else `default_timezone`.
    `now` (aware; default: the clock) tells which moments lie ahead or long ago.
    Raises ValueError for a mapping that is not valid: an unknown field, column, zone or format.
    """
    places = {name: index for index, name in reversed(list(enumerate(columns)))}
    steps: list[Step] = []
    width = 0
    moment = now or datetime.now(UTC)
    for key in in_order(connector, mapping):
        field, source = connector.field(key), mapping[key]
        if field is None:
            raise ValueError(f"{connector.name} has no field {key}.")
        zone = zone_named(source.get("timezone") or settings.get("timezone") or default_timezone)
        column = source.get("column")
        if column is not None and column not in places:
            raise ValueError(f"The file has no column {column}.")
        place = places[column] if column is not None else None
        width = max(width, 0 if place is None else place + 1)
        steps.append(_step(key, field, source, place, zone, moment))
    mapped = {key: source.get("column") for key, source in mapping.items()}
    return Plan(connector, settings, width, tuple(steps), mapped)


def in_order(connector: Connector, keys: Iterable[str]) -> list[str]:
    """The field keys of a mapping in the order in which the connector declares them."""
    place = {field.key: index for index, field in enumerate(connector.fields)}
    declared = {key: connector.field(key) for key in keys}
    return sorted(declared, key=lambda key: place.get(field.key, 0) if (field := declared[key]) else -1)


def _note(field: str, column: str | None, code: str, message: str) -> Note:
    return {"field": field, "column": column, "code": code, "message": message}


def _step(key: str, field: Field, source: Mapping[str, Any], place: int | None, zone: tzinfo, now: datetime) -> Step:
    """The step that reads one field of a row; a fixed value is read like a cell that is always the same."""
    column = source.get("column")
    read = reader(field, source, zone)
    if field.type == "timestamp" and read is not None:
        read = _within(read, field, now)
    lookup = {text.strip(): meaning.strip() for text, meaning in (source.get("values") or {}).items()}
    default = str(source.get("default") or "").strip()
    fixed = str(source.get("value") or "").strip()
    required = field.required is True
    missing = _note(key, column, "missing", f"{field.label} is empty. Fill it in, or leave the row out.")

    def step(cells: Sequence[str], values: dict[str, Any], problems: list[Note], warnings: list[Note]) -> None:
        text = fixed if place is None else cells[place].strip()
        if lookup:
            text = lookup.get(text, text)
        if not text:
            text = default
            if not text:
                if required:
                    problems.append(missing.copy())
                return
        if not text.isascii() and _SURROGATE.search(text):
            problems.append(_note(key, column, "not_text", _NOT_TEXT))
            return
        if read is None:
            values[key] = text
            return
        try:
            values[key] = read(text)
        except Unfit as unfit:
            problems.append(_note(key, column, unfit.code, unfit.message))
        except Doubtful as doubt:
            values[key] = doubt.value
            warnings.append(_note(key, column, doubt.code, doubt.message))

    return step


def _within(read: Reader, field: Field, now: datetime) -> Reader:
    """The reader of a moment, which also warns of one ahead of `now` or longer ago than the field's window."""
    ahead = (now + timedelta(days=1)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    days = field.window_days
    oldest = (now - timedelta(days=days)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if days else ""

    def check(text: str) -> Any:
        value = read(text)
        if value > ahead:
            message = "This lies in the future. Day and month may have changed places: look at the date format."
            raise Doubtful(value, "in_the_future", message)
        if value < oldest:
            message = f"This is more than {days} days ago; the vendor may leave it out of its reports."
            raise Doubtful(value, "long_ago", message)
        return value

    return check
