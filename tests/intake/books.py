"""Workbooks and archives for tests, part by part, sound and hostile."""

import io
import zipfile
from pathlib import Path

from offline_portal.intake import Limits, Options, Problem, Reading, SourceRow, open_file

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
STRICT_MAIN = "http://purl.oclc.org/ooxml/spreadsheetml/main"
STRICT_RELATIONS = "http://purl.oclc.org/ooxml/officeDocument/relationships"


def cell(reference: str, value: object, style: int = 0) -> str:
    """One cell as XML: a number for numbers, an inline string for text."""
    if isinstance(value, int | float):
        return f'<c r="{reference}" s="{style}"><v>{value}</v></c>'
    return f'<c r="{reference}" t="inlineStr" s="{style}"><is><t xml:space="preserve">{value}</t></is></c>'


def sheet(*rows: str, after: str = "", main: str = MAIN) -> str:
    """A sheet of rows given as the XML of their cells, numbered from 1."""
    held = "".join(f'<row r="{number}">{cells}</row>' for number, cells in enumerate(rows, 1) if cells)
    return f'<?xml version="1.0"?><worksheet xmlns="{main}"><sheetData>{held}</sheetData>{after}</worksheet>'


def parts(
    *sheets: str,
    names: tuple[str, ...] = (),
    states: tuple[str, ...] = (),
    formats: tuple[str, ...] = (),
    strings: str = "",
    from_1904: bool = False,
    main: str = MAIN,
    relations: str = RELATIONS,
) -> dict[str, str]:
    """All parts of a workbook; `formats` are number formats, style 1 being the first."""
    listed, related = "", ""
    for number, _ in enumerate(sheets, 1):
        name = names[number - 1] if names else f"Sheet{number}"
        state = f' state="{states[number - 1]}"' if states and states[number - 1] else ""
        listed += f'<sheet name="{name}" sheetId="{number}"{state} r:id="rId{number}"/>'
        related += (
            f'<Relationship Id="rId{number}" Type="{relations}/worksheet" Target="worksheets/sheet{number}.xml"/>'
        )
    related += f'<Relationship Id="rIdA" Type="{relations}/styles" Target="styles.xml"/>'
    related += (
        f'<Relationship Id="rIdB" Type="{relations}/sharedStrings" Target="sharedStrings.xml"/>' if strings else ""
    )
    codes = "".join(f'<numFmt numFmtId="{164 + place}" formatCode="{code}"/>' for place, code in enumerate(formats))
    styles = '<xf numFmtId="0"/>' + "".join(f'<xf numFmtId="{164 + place}"/>' for place, _ in enumerate(formats))
    workbook = f'<workbookPr date1904="{int(from_1904)}"/><sheets>{listed}</sheets>'
    held = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"/>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r" '
        f'Type="{relations}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{relations}">{workbook}</workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">{related}</Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{main}"><numFmts>{codes}</numFmts>'
        f"<cellXfs>{styles}</cellXfs></styleSheet>",
    }
    if strings:
        held["xl/sharedStrings.xml"] = f'<sst xmlns="{main}">{strings}</sst>'
    for number, xml in enumerate(sheets, 1):
        held[f"xl/worksheets/sheet{number}.xml"] = xml
    return held


def packed(held: dict[str, str | bytes]) -> bytes:
    """An archive of these parts."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in held.items():
            archive.writestr(name, content)
    return target.getvalue()


def book(*sheets: str, **more: object) -> bytes:
    """A workbook of these sheets."""
    return packed(parts(*sheets, **more))  # type: ignore[arg-type]


def opened(
    folder: Path, content: bytes | str, name: str = "file.csv", options: Options | None = None, **limits: int
) -> Reading:
    """The file opened, as a person would have uploaded it under `name`."""
    path = folder / "upload"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return open_file(path, name, options or Options(), Limits(**limits))


def rows_of(folder: Path, content: bytes | str, name: str = "file.csv", **more: object) -> list[SourceRow]:
    """All rows of the file."""
    return list(opened(folder, content, name, **more).rows())  # type: ignore[arg-type]


def told(reading: Reading) -> list[tuple[int | None, str | None, str]]:
    """Line, column and code of every problem, those of the whole file first."""
    rows = list(reading.rows())
    found: list[Problem] = [*reading.problems, *(problem for row in rows for problem in row.problems or ())]
    return [(problem.line, problem.column, problem.code) for problem in found]
