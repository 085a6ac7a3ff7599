"""Checking a Send: every Row judged, every duplicate found, every edit laid over."""

from offline_portal.checks.edits import CellTooLarge, NotEditable, cells_of, edit_cells, exclude
from offline_portal.checks.judging import run
from offline_portal.checks.start import CannotCheck, choose, create, draft, remembered, resolve_mapping, set_mapping

__all__ = [
    "CannotCheck", "CellTooLarge", "NotEditable", "cells_of", "choose", "create", "draft", "edit_cells", "exclude",
    "remembered", "resolve_mapping", "run", "set_mapping",
]
