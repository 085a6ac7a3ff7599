"""Related Digital: files of purchases, read line by line; whoever delivered them hears nothing of it.

Facts: relateddigital.atlassian.net, "Offline Data" (pageId 428966184). Quoting, line ends and the decimal mark are
not documented; they are judged here as RFC 4180 and both marks would have it.
"""

import io
import re
import zipfile
from datetime import datetime

from connectors.emulator.switches import Switch
from connectors.emulator.vendor import BadFile, Conversion, FileVendor

COLUMNS = (
    "Time Stamp", "Customer ID", "Event Type", "Category", "Event Name", "Num1", "Num2",
    *(f"Var {n}" for n in range(1, 6)), *(f"EventName Attr{n}" for n in range(1, 11)),
)  # fmt: skip
FEWEST = len(COLUMNS) + 1
MANDATORY = (0, 1, 2, 4, 5, 6)
LARGEST = 512 * 1024 * 1024
NUMBER = re.compile(r"-?[0-9]+(?:[.,][0-9]+)?")
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
FIELD = re.compile(r'(?:"((?:[^"]|"")*)"|([^";]*))(;|$)')
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class BadLine(ValueError):
    """A line that the platform does not take; the message says why."""


class RelatedDigital(FileVendor):
    """The platform's reader; the account is the user name at the doors."""

    slug = "related_digital"
    title = "Related Digital"
    account_label = "user name"
    routes = ("files by FTP (TLS offered) and SFTP",)
    switches = (
        Switch("bad_login", "boolean", "Refuses the login: 530."),
        Switch("no_space", "boolean", "Refuses the file: 552; by SFTP a failure, as its version 3 knows no better."),
        Switch("reply", "integer", "Refuses the file with this reply code; by SFTP a failure.", least=400, most=599),
        Switch("cut_transfer", "boolean", "Hangs up at the end of the transfer; half of the file stays."),
        Switch("slow_transfer", "integer", "Milliseconds until it says that the transfer is complete."),
        Switch("lost_rename", "choice", "Hangs up instead of answering the rename, after or before doing it.",
               choices=("after", "before")),
        Switch("pick_up", "boolean", "Finished files vanish as soon as they are read.", rule=True),
    )  # fmt: skip

    def read_file(self, name: str, content: bytes) -> list[Conversion]:
        """Every line of a finished file, accepted or rejected with the reason. Raises BadFile."""
        lines = text_of(name, content).split("\n")
        ended = not lines[-1]
        lines = [line.removesuffix("\r") for line in (lines[:-1] if ended else lines)]
        first = 1 if lines and lines[0].split(";")[0].strip('"') == COLUMNS[0] else 0
        width = len(lines[0].split(";")) if first else 0
        found = []
        for number, line in enumerate(lines[first:], first + 1):
            conversion, width = judge_line(name, number, line, width)
            found.append(conversion)
        if found and not ended:
            found[-1].notes.append("the last line has no end")
        return found


def text_of(name: str, content: bytes) -> str:
    """The text in a file, unzipped where the name says so. Raises BadFile."""
    if name.lower().endswith(".zip"):
        content = unzipped(content)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadFile(f"the file is not UTF-8: {error.reason} at byte {error.start}") from error
    if not text:
        raise BadFile("the file is empty")
    return text


def unzipped(content: bytes) -> bytes:
    """The one member of a zip. Raises BadFile."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as package:
            members = package.infolist()
            if len(members) != 1 or members[0].is_dir() or members[0].file_size > LARGEST:
                raise BadFile("a zip holds exactly one file")
            return package.read(members[0])
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, ValueError) as error:
        raise error if isinstance(error, BadFile) else BadFile(f"the zip cannot be read: {error}") from error


def judge_line(name: str, number: int, line: str, width: int) -> tuple[Conversion, int]:
    """What becomes of one line, and how many fields every line of the file has; `width` 0: not known yet."""
    key = {"file": name, "line": number}
    try:
        fields = split(line)
        expected = width or max(len(fields), FEWEST)
        validate(fields, expected)
    except BadLine as bad:
        return Conversion(key, {"line": line[:2000]}, "rejected", str(bad)), width
    return Conversion(key, {"fields": named(fields)}, identity=(line,)), expected


def split(line: str) -> list[str]:
    """The fields of a line. Raises BadLine where the quotes are wrong."""
    fields, place = [], 0
    while True:
        found = FIELD.match(line, place)
        if found is None:
            raise BadLine(f"a quote in the wrong place in field {len(fields) + 1}")
        fields.append(found[1].replace('""', '"') if found[1] is not None else found[2])
        place = found.end()
        if found[3] != ";":
            return fields


def validate(fields: list[str], width: int) -> None:
    """Raise BadLine for the first fault."""
    if len(fields) != width or width < FEWEST:
        raise BadLine(f"{len(fields)} fields instead of {width}")
    for place in MANDATORY:
        if not fields[place]:
            raise BadLine(f"missing {COLUMNS[place]}")
    try:
        if not TIME.fullmatch(fields[0]):
            raise ValueError
        datetime.fromisoformat(fields[0])
    except ValueError:
        raise BadLine("Time Stamp is not YYYY-MM-DD HH:MM:SS") from None
    if fields[2] != "7":
        raise BadLine("Event Type is not 7")
    for place in (5, 6):
        if not NUMBER.fullmatch(fields[place]):
            raise BadLine(f"{COLUMNS[place]} is no number")
    if any(CONTROL.search(field) for field in fields):
        raise BadLine("a control character")


def named(fields: list[str]) -> dict[str, str]:
    """The fields that hold something, by the names of their columns."""
    more = (f"EventTransaction Attr{n}" for n in range(1, len(fields) - len(COLUMNS) + 1))
    return {title: field for title, field in zip((*COLUMNS, *more), fields, strict=True) if field}
