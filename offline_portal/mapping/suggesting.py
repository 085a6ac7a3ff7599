"""Which column may be which field, how sure that is, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from connectors.base import Connector, Field, FieldType

from . import names, samples

Source = dict[str, Any]
_BY_ITSELF = frozenset({"name", "alias", "remembered"})
_SAMPLES_LOOKED_AT = 200
_ENOUGH_FOR_A_KIND = 20


class FormatNeeded(Exception):
    """The samples can be read in two ways; a person has to say which. `fields`: what to decide, by field key."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(" ".join(fields.values()))
        self.fields = fields


class Suggestion(NamedTuple):
    """A source for a field: `column` None where nothing was found or the source is a fixed value.

    `confidence` is 0 to 1; `reason` is a sentence for a person; `how` is name, alias, remembered, similar or
    samples, empty where nothing was found; `both` names two formats or decimal marks that fit alike, where a
    person must choose one.
    """

    field: str
    column: str | None
    source: Source
    confidence: float
    reason: str
    how: str = ""
    both: tuple[str, str] | None = None


def suggest(
    connector: Connector,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    remembered: Mapping[str, Source] | None = None,
) -> list[Suggestion]:
    """One Suggestion a field, in the order declared, and one for each member of a family that a column names.

    `rows` are sample rows, their cells in the order of `columns`; `remembered` is the last mapping that was used
    for the same destination. A column is suggested once at most, unless it was mapped twice before.
    """
    return _Matching(connector, columns, rows, remembered or {}).suggestions()


def auto(
    connector: Connector,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    remembered: Mapping[str, Source] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Source]:
    """The mapping that needs nobody: matches by name, by alias and from memory, with the formats they need.

    Fields without such a match are left out; `validate` tells whether that will do.
    Raises FormatNeeded where the samples of a matched column can be read in two ways.
    """
    chosen = [found for found in suggest(connector, columns, rows, remembered) if found.how in _BY_ITSELF]
    undecided = {found.field: found.reason for found in chosen if found.both}
    if undecided:
        raise FormatNeeded(undecided)
    return {found.field: found.source for found in chosen}


class _Matching:
    """One round of matching columns to fields, the surest matches first."""

    def __init__(
        self,
        connector: Connector,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        remembered: Mapping[str, Source],
    ) -> None:
        self.connector = connector
        self.columns = list(columns)
        self.remembered = {key: source for key, source in remembered.items() if connector.field(key)}
        self.values = {column: _filled(index, rows) for index, column in reversed(list(enumerate(self.columns)))}
        self.found: dict[str, Suggestion] = {}
        self.taken: set[str] = set()
        self._looks: dict[tuple[str, str], bool] = {}

    def suggestions(self) -> list[Suggestion]:
        self._remembered_columns()
        self._by_name()
        self._family_members()
        self._remembered_values()
        self._by_likeness()
        self._by_samples()
        plain_fields = [field.key for field in self.connector.fields if not field.is_family]
        nothing = [
            Suggestion(key, None, {}, 0.0, "No column looks like it.") for key in plain_fields if key not in self.found
        ]
        place = {key: index for index, key in enumerate(plain_fields)}
        return sorted([*self.found.values(), *nothing], key=lambda one: place.get(one.field, len(place)))

    def _open(self) -> list[Field]:
        return [field for field in self.connector.fields if not field.is_family and field.key not in self.found]

    def _free(self) -> list[str]:
        return [column for column in self.columns if column not in self.taken]

    def _take(self, key: str, column: str, confidence: float, reason: str, how: str) -> None:
        field = self.connector.field(key)
        assert field is not None
        base = self.remembered[key] if how == "remembered" else {"column": column}
        source, both = _with_format(field, base, self.values[column])
        if both:
            reason, confidence = _undecided(column, both), min(confidence, 0.5)
        self.found[key] = Suggestion(key, column, source, round(confidence, 2), reason, how, both)
        self.taken.add(column)

    def _remembered_columns(self) -> None:
        for key, source in self.remembered.items():
            if (column := source.get("column")) in self.values:
                self._take(key, str(column), 0.98, "Used last time for this destination.", "remembered")

    def _by_name(self) -> None:
        for field in self._open():
            matches = [(names.match(field, column), column) for column in self._free()]
            best = min(
                ((match, column) for match, column in matches if match),
                # `Date` with times in it gives way to `Sold on` with dates.
                key=lambda one: (not self._fits(field, one[1]), one[0].rank),
                default=None,
            )
            if best:
                match, column = best
                same = match.how == "name"
                reason = "Same name." if same else f"“{match.name}” is another name for {field.label}."
                self._take(field.key, column, 1.0 if same else 0.95, reason, match.how)

    def _family_members(self) -> None:
        for family in self.connector.fields:
            if not family.is_family:
                continue
            for column in self._free():
                key = names.member(family, column)
                if key is None or key in self.found or self.connector.check_keys([*self.found, key]):
                    continue
                self._take(key, column, 1.0, f"Its name says that it is a {family.label.lower()}.", "name")

    def _remembered_values(self) -> None:
        for key, source in self.remembered.items():
            if key not in self.found and source.get("value"):
                reason = "The fixed value of last time for this destination."
                self.found[key] = Suggestion(key, None, dict(source), 0.9, reason, "remembered")

    def _by_likeness(self) -> None:
        scores = [
            (names.likeness(field, column), field, column)
            for field in self._open()
            for column in self._free()
            if self._fits(field, column)
        ]
        for score, field, column in sorted(scores, key=lambda one: -one[0]):
            if score >= names.ALIKE and field.key not in self.found and column not in self.taken:
                self._take(field.key, column, score / 125, f"The name is much like {field.label}.", "similar")

    def _by_samples(self) -> None:
        for field in self._open():
            kind = field.type if field.type != "text" else samples.kind_of(field.example)
            alike = [column for column in self._free() if kind and self._looks_like(kind, column)]
            if len(alike) == 1:
                self._take(field.key, alike[0], 0.5, f"Its cells look like {_PLURALS[kind]}.", "samples")

    def _fits(self, field: Field, column: str) -> bool:
        """Whether the samples speak for the column, or at least not against it."""
        values = self.values[column]
        return not values or field.type not in _PLURALS or self._looks_like(field.type, column)

    def _looks_like(self, kind: FieldType, column: str) -> bool:
        if (kind, column) not in self._looks:
            self._looks[kind, column] = samples.looks_like(kind, self.values[column][:_ENOUGH_FOR_A_KIND])
        return self._looks[kind, column]


_PLURALS: dict[str | None, str] = {
    "timestamp": "dates", "money": "amounts", "number": "numbers", "integer": "numbers", "currency": "currencies",
    "email": "e-mail addresses", "url": "web addresses",
}  # fmt: skip


def _filled(index: int, rows: Sequence[Sequence[str]]) -> list[str]:
    cells = (row[index].strip() for row in rows[:_SAMPLES_LOOKED_AT] if index < len(row))
    return [cell for cell in cells if cell]


def _with_format(field: Field, source: Source, values: list[str]) -> tuple[Source, tuple[str, str] | None]:
    """The source with the date format or decimal mark that the samples ask for, or the two that fit alike."""
    source = dict(source)
    if field.type == "timestamp":
        if source.get("format") and values and not samples.fits_format(source["format"], values):
            del source["format"]
        option, guess = "format", samples.date_format
    elif field.type in ("money", "number", "integer"):
        option, guess = "decimal", samples.decimal_mark
    else:
        return source, None
    if source.get(option):
        return source, None
    found = guess(values)
    if found.choice:
        source[option] = found.choice
    return source, found.both


def _undecided(column: str, both: tuple[str, str]) -> str:
    if "." in both:
        return f"The numbers in “{column}” can be read with “.” or “,” as their decimal mark. Choose one."
    return f"The dates in “{column}” can be read as {both[0]} and as {both[1]}. Choose one."
