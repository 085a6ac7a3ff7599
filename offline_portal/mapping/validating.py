"""Whether a mapping is whole and can be used with a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from rapidfuzz import process

from connectors.base import Connector, Field
from offline_portal.checking import BadFormat, Doubtful, Unfit, compile_format, reader
from offline_portal.checking.dates import zone_named

_TEXTS = ("column", "value", "format", "timezone", "decimal", "default")
_WITH_DECIMAL = ("number", "money", "integer", "text")


class MappingIncomplete(Exception):
    """Required fields have no source. `fields`: what is missing, by field key."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(" ".join(fields.values()))
        self.fields = fields


class MappingInvalid(Exception):
    """Some sources cannot be used. `fields`: what is wrong and what to do, by field key."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(" ".join(fields.values()))
        self.fields = fields


def validate(mapping: Any, connector: Connector, columns: Sequence[str] | None = None) -> None:
    """Whether `{field key: Source}` can be used; `columns` None leaves out the question of a particular file.

    Raises MappingInvalid for what cannot be used, else MappingIncomplete for required fields without a source.
    """
    if not isinstance(mapping, Mapping):
        raise MappingInvalid({"": "A mapping is an object with a source for each field."})
    wrong = {str(key): text for key, source in mapping.items() if (text := _wrong(key, source, connector, columns))}
    for issue in connector.check_keys([key for key in mapping if str(key) not in wrong]):
        wrong.setdefault(issue.field, issue.message)
    if wrong:
        raise MappingInvalid(wrong)
    missing = {
        field.key: f"{field.label} is required: choose a column or a fixed value."
        for field in connector.fields
        if field.required is True and not field.is_family and not _has_source(mapping.get(field.key))
    }
    if missing:
        raise MappingIncomplete(missing)


def notes(mapping: Mapping[str, Mapping[str, Any]], connector: Connector) -> dict[str, str]:
    """What is allowed but worth a look, by field key: a column that feeds several fields."""
    used = Counter(source["column"] for source in mapping.values() if source.get("column"))
    return {
        key: f"The column “{source['column']}” is used for {used[source['column']]} fields."
        for key, source in mapping.items()
        if source.get("column") and used[source["column"]] > 1
    }


def _has_source(source: Any) -> bool:
    return bool(source) and (source.get("column") is not None or bool(str(source.get("value") or "").strip()))


def _wrong(key: Any, source: Any, connector: Connector, columns: Sequence[str] | None) -> str:
    """What is wrong with one source; empty when nothing is."""
    field = connector.field(key) if isinstance(key, str) else None
    if field is None or (field.is_family and not key[len(field.key) - 1 :].strip("* ")):
        known = ", ".join(field.key for field in connector.fields)
        return f"{connector.name} has no such field. Its fields are: {known}."
    shape = _wrong_shape(source)
    if shape:
        return shape
    if columns is not None and "column" in source and source["column"] not in columns:
        near = process.extractOne(source["column"], columns, score_cutoff=70)
        hint = f" Did you mean “{near[0]}”?" if near else " Choose another one."
        return f"The file has no column “{source['column']}”.{hint}"
    return _wrong_option(field, source) or _wrong_value(field, source)


def _wrong_shape(source: Any) -> str:
    if not isinstance(source, Mapping) or ("column" in source) == ("value" in source):
        return "A source is either a column or a fixed value."
    unknown = [str(option) for option in source if option not in (*_TEXTS, "values")]
    if unknown:
        return f"A source has no option “{unknown[0]}”; there are {', '.join((*_TEXTS, 'values'))}."
    wrong = next((option for option in _TEXTS if option in source and not isinstance(source[option], str)), None)
    if wrong:
        return f"“{wrong}” must be a text."
    lookup = source.get("values", {})
    if not isinstance(lookup, Mapping) or not all(isinstance(text, str) for pair in lookup.items() for text in pair):
        return "“values” must be pairs of texts: what stands in the cell, and what it means."
    return ""


def _wrong_option(field: Field, source: Mapping[str, Any]) -> str:
    if source.get("decimal") and source["decimal"] not in (".", ","):
        return "The decimal mark is “.” or “,”."
    if source.get("decimal") and field.type not in _WITH_DECIMAL:
        return f"{field.label} is no number, so it has no decimal mark."
    if (source.get("format") or source.get("timezone")) and field.type != "timestamp":
        return f"{field.label} is no date, so it has neither format nor time zone."
    try:
        if source.get("format"):
            compile_format(source["format"])
        if source.get("timezone"):
            zone_named(source["timezone"])
    except (BadFormat, ValueError) as problem:
        return str(problem)
    return ""


def _wrong_value(field: Field, source: Mapping[str, Any]) -> str:
    """Whether the fixed value and the default can be read as the field's type."""
    read = reader(field, source, UTC)
    for option, words in (("value", "The fixed value"), ("default", "The default for empty cells")):
        text = source.get(option, "").strip()
        text = source.get("values", {}).get(text, text) if option == "value" else text
        try:
            if text and read:
                read(text)
        except Unfit as unfit:
            return f"{words} cannot be used. {unfit.message}"
        except Doubtful:
            pass
    return ""
