"""Bytes to a header and numbered rows, without storing anything."""

from .opening import open_file
from .reading import HARMLESS, Limits, Options, Problem, Reading, Refused, SourceRow, safe_name

__all__ = ["HARMLESS", "Limits", "Options", "Problem", "Reading", "Refused", "SourceRow", "open_file", "safe_name"]
