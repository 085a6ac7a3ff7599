"""Headers -> fields: suggest a mapping, choose one by itself, and say whether one is whole."""

from .suggesting import FormatNeeded, Suggestion, auto, suggest
from .validating import MappingIncomplete, MappingInvalid, notes, validate

__all__ = [
    "FormatNeeded", "MappingIncomplete", "MappingInvalid", "Suggestion", "auto", "notes", "suggest", "validate",
]  # fmt: skip
