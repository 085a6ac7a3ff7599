"""Edits, laid over the cells of a Row; the Row itself is never changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from offline_portal.models import Edit, Send


@dataclass
class LineEdits:
    """The last edits of one line: texts by column index, and whether the row is left out."""

    texts: dict[int, str] = field(default_factory=dict)
    columns: set[str] = field(default_factory=set)
    excluded: bool = False

    def still_wrong(self, wrong: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
        """What intake found in the line, but for the cells that a person has typed anew."""
        return [one for one in wrong if one["column"] not in self.columns] if wrong else None

    def lay_over(self, cells: list[str]) -> tuple[list[str], bool]:
        """The cells as edited, and whether the row is left out."""
        if self.texts:
            cells = list(cells)
            for index, text in self.texts.items():
                cells[index] = text
        return cells, self.excluded


class Overlay:
    """All edits of a Send, read line by line."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._index = {name: position for position, name in enumerate(send.upload.columns)}

    def of_lines(self, first: int, last: int) -> dict[int, LineEdits]:
        """The edits of the lines from `first` to `last`, by line."""
        found: dict[int, LineEdits] = {}
        edits = Edit.objects.filter(send=self._send.pk, line__gte=first, line__lte=last).order_by("line", "id")
        for line, column, text, excluded in edits.values_list("line", "column", "text", "excluded"):
            line_edits = found.setdefault(line, LineEdits())
            if column is None:
                line_edits.excluded = excluded
            elif column in self._index:
                line_edits.texts[self._index[column]] = text
                line_edits.columns.add(column)
        return found
