"""The small parts of a workbook: its sheets, its formats, and which part is which."""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.parsers import expat

from .numbers import format_kind
from .package import Package, corrupt
from .sheet import feed

_SMALL_PART = 32 * 1024**2  # workbook, relations and styles are small parts


class SheetEntry(NamedTuple):
    name: str
    state: str
    part: str | None


@dataclass
class Workbook:
    """What the small parts of a workbook say."""

    sheets: list[SheetEntry] = field(default_factory=list)
    from_1904: bool = False
    kinds: list[str | int] = field(default_factory=list)
    strings_part: str | None = None
    external_links: bool = False

    @property
    def pads(self) -> bool:
        """Whether a format pads numbers with zeros."""
        return any(isinstance(kind, int) for kind in self.kinds)


def read_workbook(package: Package) -> Workbook:
    """What the small parts of the package say. Raises Refused."""
    main = _main_part(package)
    targets = _relations(package, main)
    workbook = Workbook()
    for name, attributes in _elements(package, main):
        if name == "workbookPr":
            workbook.from_1904 = attributes.get("date1904") in ("1", "true")
        elif name == "sheet":
            kind, part = targets.get(attributes.get("id", ""), ("worksheet", ""))
            if kind == "worksheet":
                state = attributes.get("state", "visible")
                workbook.sheets.append(SheetEntry(attributes.get("name", ""), state, package.find(part)))
    for kind, part in targets.values():
        if kind == "sharedStrings":
            workbook.strings_part = package.find(part)
        elif kind == "styles" and (found := package.find(part)):
            workbook.kinds = _format_kinds(package, found)
        elif kind == "externalLink":
            workbook.external_links = True
    return workbook


def _main_part(package: Package) -> str:
    for kind, part in _relations(package, "").values():
        if kind == "officeDocument" and (found := package.find(part)):
            return found
    return min((name for name in package.names() if name.endswith("workbook.xml")), key=len)


def _relations(package: Package, part: str) -> dict[str, tuple[str, str]]:
    """Of each relation its kind and the part it leads to, by id."""
    folder, name = posixpath.split(part)
    relations = package.find(posixpath.join(folder, "_rels", f"{name}.rels"))
    found: dict[str, tuple[str, str]] = {}
    if relations:
        for element, attributes in _elements(package, relations):
            if element == "Relationship":
                kind = attributes.get("Type", "").rpartition("/")[2]
                target = attributes.get("Target", "").replace("\\", "/")
                found[attributes.get("Id", "")] = (
                    kind,
                    target if target.startswith("/") else posixpath.join(folder, target),
                )
    return found


def _format_kinds(package: Package, part: str) -> list[str | int]:
    """What each cell style makes of a number."""
    codes: dict[int, str] = {}
    kinds: list[str | int] = []
    inside = False
    for name, attributes in _elements(package, part, ends=("cellXfs",)):
        if name == "numFmt" and attributes.get("numFmtId", "").isdecimal():
            codes[int(attributes["numFmtId"])] = attributes.get("formatCode", "")
        elif name in ("cellXfs", "/cellXfs"):
            inside = name == "cellXfs"
        elif name == "xf" and inside:
            told = attributes.get("numFmtId", "0")
            number = int(told) if told.isdecimal() else 0
            kinds.append(format_kind(number, codes.get(number)))
    return kinds


def _elements(package: Package, part: str, ends: tuple[str, ...] = ()) -> Iterator[tuple[str, dict[str, str]]]:
    """The elements of a part as local names with local attributes; those in `ends` also when they end."""
    if package.size(part) > _SMALL_PART:
        raise corrupt(part)
    seen: list[tuple[str, dict[str, str]]] = []
    parser = expat.ParserCreate()

    def start(name: str, attributes: dict[str, str]) -> None:
        seen.append((_local(name), {_local(key): value for key, value in attributes.items()}))

    def end(name: str) -> None:
        if _local(name) in ends:
            seen.append((f"/{_local(name)}", {}))

    parser.StartElementHandler, parser.EndElementHandler = start, end
    for _ in feed(parser, package.blocks(part), part):
        yield from seen
        seen.clear()


def _local(name: str) -> str:
    return name.rpartition(":")[2]
