"""Zip packages: whether they are safe to unpack, and what is in them."""

import posixpath
import re
import struct
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from .kind import kind_of, not_a_spreadsheet
from .reading import Limits, Options, Reading, Refused

MOST_ENTRIES = 10_000
MOST_UNPACKED = 2 * 1024**3
MOST_RATIO = 250
RATIO_FREE = 20 * 1024**2  # a small file may be packed as tightly as it likes
CHECKED_AT_ONCE = 64 * 1024**2
_DIRECTORY = 8 * 1024**2
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, struct.error, NotImplementedError, ValueError)
_DECLARATION = re.compile(r"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)


class Package:
    """A zip archive that was found safe; parts are found whatever the case or slashes of their names."""

    def __init__(self, path: Path, keep: object = None) -> None:
        """The archive at `path`; `keep` lives as long.

        Raises Refused: `corrupt`, `empty`, `password_protected`, `unsafe_archive`, `zip_bomb`.
        """
        try:
            _look_at_directory(path)
            self._zip = zipfile.ZipFile(path)
        except _BROKEN as error:
            raise corrupt() from error
        self.path = str(path)
        self._keep = keep
        self.entries = [entry for entry in self._zip.infolist() if not entry.is_dir()]
        self._by_name: dict[str, zipfile.ZipInfo] = {}
        self._check_names()
        _check_sizes(self.entries)

    def find(self, name: str) -> str | None:
        """The part's name as lower case with forward slashes, if the package has it."""
        wanted = _plain(name)
        return wanted if wanted in self._by_name else None

    def names(self) -> list[str]:
        return list(self._by_name)

    def size(self, name: str) -> int:
        """Unpacked bytes of the part, as the package declares them."""
        return self._by_name[name].file_size

    def blocks(self, name: str, size: int = 256 * 1024) -> Iterator[bytes]:
        """The unpacked bytes of a part. Raises Refused where they are damaged or not as many as declared."""
        try:
            with self._zip.open(self._by_name[name]) as part:
                while block := part.read(size):
                    yield block
        except _BROKEN as error:
            raise corrupt(name) from error

    def head(self, name: str, size: int = 4096) -> bytes:
        return next(self.blocks(name, size), b"")

    def close(self) -> None:
        self._zip.close()

    def check_contents(self) -> None:
        """Unpack all of a package that is not too large for it, so that lies and damage show at once."""
        for name in self.names():
            if name.endswith((".xml", ".rels", ".vml")):
                _refuse_declarations(name, self.head(name))
        if sum(entry.file_size for entry in self.entries) <= CHECKED_AT_ONCE:
            for name in self.names():
                for _ in self.blocks(name, 1024 * 1024):
                    pass

    def _check_names(self) -> None:
        for entry in self.entries:
            name = _plain(entry.filename)
            if entry.flag_bits & 1:
                raise Refused(
                    "password_protected", "The archive is protected by a password. Pack it again without one."
                )
            if ".." in name.split("/") or (name.startswith("/") and entry.filename.startswith("//")) or ":" in name[:3]:
                raise Refused(
                    "unsafe_archive", "The archive holds a file whose name leads outside (“..”). Pack it again."
                )
            if name in self._by_name:
                raise Refused("unsafe_archive", "The archive holds two files of the same name. Pack it again.")
            self._by_name[name] = entry


def corrupt(part: str = "") -> Refused:
    where = f" (in its part {part[:80]})" if part else ""
    return Refused(
        "corrupt",
        f"The file is damaged: it cannot be unpacked{where}. Download or save it again, then upload the new copy.",
    )


def _bomb(why: str) -> Refused:
    return Refused("zip_bomb", f"The file is not unpacked, because {why}. Save the workbook again or upload it as CSV.")


def _plain(name: str) -> str:
    return (
        posixpath.normpath(name.replace("\\", "/")).lstrip("/").lower() if ".." not in name else name.replace("\\", "/")
    )


def _look_at_directory(path: Path) -> None:
    """Refuse a table of contents that is itself too large to read; its last record (22 bytes) tells."""
    with open(path, "rb") as stream:
        stream.seek(max(0, path.stat().st_size - 65_557))
        tail = stream.read()
    place = tail.rfind(b"PK\5\6")
    if place >= 0 and len(tail) >= place + 22:
        entries, size = struct.unpack_from("<HL", tail, place + 10)
        if entries > MOST_ENTRIES or size > _DIRECTORY:
            raise _bomb(f"it holds more than {MOST_ENTRIES:,} files")


def _check_sizes(entries: list[zipfile.ZipInfo]) -> None:
    if not entries:
        raise Refused("empty", "The archive is empty: there is no file in it.")
    if len(entries) > MOST_ENTRIES:
        raise _bomb(f"it holds more than {MOST_ENTRIES:,} files")
    total = sum(entry.file_size for entry in entries)
    if total > MOST_UNPACKED:
        raise _bomb(f"it would unpack to {total / 1024**3:,.1f} GB")
    end = 0
    for entry in sorted(entries, key=lambda one: one.header_offset):
        if entry.header_offset < end:
            raise _bomb("its files overlap")
        end = entry.header_offset + entry.compress_size
        if entry.file_size > RATIO_FREE and entry.file_size > MOST_RATIO * max(entry.compress_size, 1):
            raise _bomb(f"a file in it would grow more than {MOST_RATIO} times")
        if entry.file_size + 1024 < entry.compress_size * 0.9:
            raise _bomb("a file in it is larger than it says")


def _refuse_declarations(name: str, head: bytes) -> None:
    wide = head[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in head[:8]
    text = head.replace(b"\0", b"").decode("latin-1") if wide else head.decode("latin-1")
    if _DECLARATION.search(text):
        raise xml_entities(name)


def xml_entities(part: str) -> Refused:
    return Refused(
        "xml_entities",
        f"The workbook's part {part[:80]} declares XML entities, which no spreadsheet program writes "
        "and which can do harm. Open it in your spreadsheet program and save it again.",
    )


def open_package(path: Path, filename: str, options: Options, limits: Limits) -> Reading:
    """Recognise a workbook, or the one file within an archive. Raises Refused."""
    from .workbook import open_workbook

    package = Package(path)
    _refuse_kin(package)
    if _workbook_part(package):
        package.check_contents()
        return open_workbook(package, filename, options, limits)
    return _open_inner(package, filename, options, limits)


def _workbook_part(package: Package) -> bool:
    names = package.names()
    return "[content_types].xml" in names and any(name.endswith("workbook.xml") for name in names)


def _refuse_kin(package: Package) -> None:
    """Files that are zip archives too, but neither workbooks nor archives of one."""
    names = package.names()
    mimetype = package.head("mimetype", 100) if package.find("mimetype") else b""
    if mimetype.startswith(b"application/vnd.oasis.opendocument.spreadsheet"):
        raise Refused("open_document", "This is an OpenDocument spreadsheet (.ods). Save it as .xlsx or CSV.")
    if mimetype.startswith(b"application/"):
        raise not_a_spreadsheet("another kind of document")
    if any(name.endswith("workbook.bin") for name in names):
        raise Refused("binary_workbook", "This is a binary workbook (.xlsb). Save it as .xlsx or CSV.")
    for part, what in (("word/document.xml", "a Word document"), ("ppt/presentation.xml", "a presentation")):
        if part in names:
            raise not_a_spreadsheet(what)
    if "index/document.iwa" in names or any(name.endswith(".iwa") for name in names):
        raise not_a_spreadsheet("an Apple Numbers or Pages document")
    if "encryptedpackage" in names:
        raise Refused("password_protected", "The workbook is protected by a password. Take it off and upload again.")


def _open_inner(package: Package, filename: str, options: Options, limits: Limits) -> Reading:
    """The single data file of an archive, unpacked next to nothing: into a file that goes with the Reading."""
    from .opening import open_text
    from .workbook import open_workbook

    held = [name for name in package.names() if not _is_clutter(name)]
    if not held:
        raise Refused("empty", "The archive holds no data file.")
    if len(held) > 1:
        shown = ", ".join(posixpath.basename(name)[:40] for name in held[:3])
        raise Refused("several_files", f"The archive holds {len(held)} files ({shown}…). Upload one file at a time.")
    inner = _unpacked(package, held[0], limits)
    if _kind(inner.name) == "zip":
        inside = Package(Path(inner.name), inner)
        _refuse_kin(inside)
        if not _workbook_part(inside):
            raise Refused(
                "nested_zip", "The archive holds another archive. Pack the data file itself, or upload it as it is."
            )
        inside.check_contents()
        return open_workbook(inside, filename, options, limits)
    name = inner.name
    reading = open_text(Path(name), filename, options, limits)
    weakref.finalize(reading, inner.close)
    return reading


def _kind(path: str) -> str:
    with open(path, "rb") as stream:
        return kind_of(stream)


def _is_clutter(name: str) -> bool:
    return name.startswith("__macosx/") or posixpath.basename(name).startswith(".")


def _unpacked(package: Package, name: str, limits: Limits) -> "tempfile._TemporaryFileWrapper[bytes]":
    inner = tempfile.NamedTemporaryFile(prefix="intake-")  # noqa: SIM115 (it goes with the Reading)
    for block in package.blocks(name, 1024 * 1024):
        inner.write(block)
        if inner.tell() > limits.max_bytes:
            most = limits.max_bytes // 1024**2
            raise Refused(
                "too_large", f"The file in the archive is larger than {most:,} MB. Split it into several files."
            )
    inner.flush()
    return inner
