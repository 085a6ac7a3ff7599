"""Streams the rows of one sheet from its XML, with everything a workbook may do to its cells."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.parsers import expat

from .columns import column_index, letter
from .numbers import digits_lost, elapsed_text, iso_text, number_text, serial_text
from .oddities import cell_too_large, too_many_columns
from .package import corrupt, xml_entities
from .reading import Limits, Refused

_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_REFERENCE = re.compile(rb"&(?:(amp|lt|gt|quot|apos);|#(x?)([0-9A-Fa-f]{1,8});)?")
_CONTROL = bytes(sorted(set(range(32)) - {9, 10, 13}))

_LONGEST_TAG = 4 * 1024**2

Defect = tuple[str, int]


class Rows(NamedTuple):
    """Some rows that hold anything: the sheet's row numbers, their cells, and the defects by row number."""

    lines: list[int]
    cells: list[list[str]]
    defects: dict[int, list[Defect]]


@dataclass
class Sheet:
    """What the cells of a sheet refer to."""

    strings: "SharedStrings"
    kinds: list[str | int]
    from_1904: bool
    limits: Limits
    merged: list[str] = field(default_factory=list)


def feed(parser: "expat.XMLParserType", blocks: Iterable[bytes], part: str) -> Iterator[None]:
    """Parse block by block, pausing after each. Raises Refused for entities and broken XML."""
    fed = 0
    parser.buffer_text = True
    parser.buffer_size = 64 * 1024
    parser.StartDoctypeDeclHandler = _refuse_doctype(part)
    try:
        for block in mended(blocks):
            parser.Parse(block, False)
            fed += len(block)
            if fed - parser.CurrentByteIndex > _LONGEST_TAG:
                raise corrupt(part)
            yield
        parser.Parse(b"", True)
        yield
    except expat.ExpatError as error:
        raise corrupt(part) from error


def _refuse_doctype(part: str) -> Callable[..., None]:
    def refuse(*_: object) -> None:
        raise xml_entities(part)

    return refuse


def mended(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """XML without the control characters and lone ampersands that some exporters leave in UTF-8 text."""
    held = b""
    wide: bool | None = None
    for block in blocks:
        if wide is None:
            wide = b"\0" in block[:64]
        if wide:
            yield block
            continue
        block = held + block
        held = b""
        cut = block.rfind(b"&", max(0, len(block) - 12))
        if cut >= 0 and b";" not in block[cut:]:
            block, held = block[:cut], block[cut:]
        if len(clean := block.translate(None, _CONTROL)) != len(block):
            block = clean
        if b"&" in block:
            block = _REFERENCE.sub(_sound_reference, block)
        yield block
    if held:
        yield _REFERENCE.sub(_sound_reference, held)


def _sound_reference(found: re.Match[bytes]) -> bytes:
    if found[1]:
        return found[0]
    if found[3] is None:
        return b"&amp;"
    try:
        code = int(found[3], 16 if found[2] else 10)
    except ValueError:
        return b"&amp;" + found[0][1:]
    return found[0] if _is_text(code) else b""


def unescaped(text: str) -> str:
    """Text with the `_x000D_` escapes of ECMA-376 (ST_Xstring) taken back."""
    if "_x" not in text:
        return text
    return _ESCAPED.sub(lambda found: chr(code) if _is_text(code := int(found[1], 16)) else found[0], text)


def _is_text(code: int) -> bool:
    """Whether XML, and so every store and every answer of ours, can hold the character."""
    return code in (9, 10, 13) or 32 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0x10000 <= code < 0x110000


def read_rows(blocks: Iterable[bytes], part: str, sheet: Sheet) -> Iterator[Rows]:
    """The rows of the sheet as the XML comes in, cells up to the last filled one. Raises Refused."""
    reader = _Reader(sheet)
    for _ in feed(reader.parser, blocks, part):
        reader.check_open_cell()
        if reader.rows.lines:
            rows, reader.rows = reader.rows, Rows([], [], {})
            yield rows


class SharedStrings:
    """The shared strings of a workbook, read only as far as asked for; phonetic hints are left out."""

    def __init__(self, blocks: Iterable[bytes], part: str, limits: Limits) -> None:
        self.strings: list[str] = []
        self._limits = limits
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self._texts: list[str] = []
        self._phonetic = 0
        self._rest = feed(self.parser, blocks, part)

    def __getitem__(self, place: int) -> str:
        """The string at `place`; empty where there is none. Raises Refused where the part is broken."""
        while place >= len(self.strings):
            if next(self._rest, self) is self:
                return ""
            if sum(map(len, self._texts)) > self._limits.max_cell_bytes:
                raise Refused("cell_too_large", "A text of the workbook is larger than a cell may be. Shorten it.")
        return self.strings[place]

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        if name == "si":
            self._texts.clear()
        elif name == "rPh":
            self._phonetic += 1
        elif name == "t" and not self._phonetic:
            self.parser.CharacterDataHandler = self._texts.append

    def _end(self, name: str) -> None:
        name = name.rpartition(":")[2]
        if name == "t":
            self.parser.CharacterDataHandler = None
        elif name == "rPh":
            self._phonetic -= 1
        elif name == "si":
            self.strings.append(unescaped("".join(self._texts)))


class _Reader:
    """Handlers for the XML of a sheet; whole rows gather in `rows`."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self.rows = Rows([], [], {})
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self._line = 0
        self._cells: list[str] = []
        self._defects: list[Defect] = []
        self._column = -1
        self._type = ""
        self._style = 0
        self._texts: list[str] = []
        self._inline: list[str] = []
        self._phonetic = 0
        self._indexes: dict[str, int] = {}

    def check_open_cell(self) -> None:
        """Refuse a cell that grows beyond the limit, before it is whole."""
        size = sum(map(len, self._texts)) + sum(map(len, self._inline))
        if size > self.sheet.limits.max_cell_bytes:
            raise cell_too_large(self._line, f"Column {letter(self._column)}", self.sheet.limits)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if ":" in name:
            name = name.rpartition(":")[2]
        if name == "c":
            self._start_cell(attributes)
        elif name == "v":
            self.parser.CharacterDataHandler = self._texts.append
        elif name == "t":
            if not self._phonetic:
                self.parser.CharacterDataHandler = self._inline.append
        elif name == "row":
            told = attributes.get("r", "")
            self._line = max(int(told), self._line + 1) if told.isdecimal() and len(told) < 9 else self._line + 1
            self._column = -1
        elif name == "rPh":
            self._phonetic += 1
        elif name == "mergeCell" and len(self.sheet.merged) < 1000:
            self.sheet.merged.append(attributes.get("ref", ""))

    def _end(self, name: str) -> None:
        if ":" in name:
            name = name.rpartition(":")[2]
        if name == "c":
            if self._texts or self._inline:
                self._end_cell()
        elif name in ("v", "t"):
            self.parser.CharacterDataHandler = None
        elif name == "row":
            if self._cells:
                self.rows.lines.append(self._line)
                self.rows.cells.append(self._cells)
                if self._defects or not any(map(str.strip, self._cells)):
                    self.rows.defects[self._line] = self._defects or [("blank_line", 0)]
                self._cells, self._defects = [], []
        elif name == "rPh":
            self._phonetic -= 1

    def _start_cell(self, attributes: dict[str, str]) -> None:
        self._texts.clear()
        self._inline.clear()
        index = column_index(attributes.get("r", ""))
        self._column = index if index > self._column else self._column + 1
        self._type = attributes.get("t", "n")
        style = attributes.get("s", "")
        self._style = int(style) if style.isdecimal() else 0

    def _end_cell(self) -> None:
        text = self._value()
        if text:
            missing = self._column - len(self._cells)
            if missing > 0:
                if self._column >= self.sheet.limits.max_columns:
                    raise too_many_columns(self._column + 1, self.sheet.limits, self._line)
                self._cells.extend([""] * missing)
            self._cells.append(text)

    def _value(self) -> str:
        raw = "".join(self._texts)
        kind = self._type
        if kind == "n":
            return self._number(raw.strip())
        if kind == "s":
            place = raw.strip()
            return self.sheet.strings[int(place)] if place.isdecimal() else ""
        if kind == "inlineStr":
            return unescaped("".join(self._inline)) if self._inline else unescaped(raw)
        if kind == "b":
            return "TRUE" if raw.strip() in ("1", "true") else "FALSE"
        if kind == "e":
            self._defects.append(("cell_error", self._column))
            return raw.strip() or "#ERROR!"
        if kind == "d":
            return iso_text(raw.strip()) or raw
        return unescaped(raw)

    def _number(self, raw: str) -> str:
        kinds = self.sheet.kinds
        kind = kinds[self._style] if self._style < len(kinds) else "number"
        if kind == "number" and raw.isdecimal() and len(raw) < 16:
            return str(int(raw))
        try:
            number = float(raw)
        except ValueError:
            return raw
        if kind == "date":
            return serial_text(number, self.sheet.from_1904)
        if kind == "elapsed":
            return elapsed_text(number)
        if digits_lost(number):
            self._defects.append(("digits_lost", self._column))
        text = number_text(number)
        return text.zfill(kind) if isinstance(kind, int) and text.isdecimal() else text
