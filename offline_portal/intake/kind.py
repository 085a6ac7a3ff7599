"""What kind of file it really is, whatever its name says."""

import re
from typing import BinaryIO

from .reading import Refused

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_SAVE_AS = "Open it in your spreadsheet program and save it as .xlsx or CSV."

_KNOWN = (
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "an image (PNG)"),
    (b"\xff\xd8\xff", "an image (JPEG)"),
    (b"GIF8", "an image (GIF)"),
    (b"BM", "an image (BMP)"),
    (b"II*\0", "an image (TIFF)"),
    (b"MM\0*", "an image (TIFF)"),
    (b"RIFF", "an image or sound (RIFF)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"PAR1", "a Parquet file"),
    (b"{\\rtf", "a rich text document"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"\x09\x08\x10\0", "an old Excel file (before 1997)"),
)
_HTML = re.compile(rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|table|script|meta)\b", re.I | re.S)
_XML = re.compile(rb"\s*<(?:\?xml|!DOCTYPE|!ENTITY)\b", re.I)
_SHORT = {b"BM": re.compile(rb"BM.{4}\0\0\0\0", re.S), b"RIFF": re.compile(rb"RIFF.{4}(?:WEBP|WAVE|AVI )", re.S)}


def kind_of(stream: BinaryIO) -> str:
    """`zip` (workbooks too) or `text`, from the bytes alone.

    Raises Refused: `empty`, `old_excel`, `password_protected`, `not_a_spreadsheet`.
    """
    stream.seek(0)
    head = stream.read(4096)
    if not head:
        raise Refused("empty", "The file is empty: it has 0 bytes. Export it again and look that it holds rows.")
    if head.startswith(_OLE):
        raise _ole(stream)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return "zip"
    for magic, what in _KNOWN:
        if head.startswith(magic) and (magic not in _SHORT or _SHORT[magic].match(head)):
            raise not_a_spreadsheet(what)
    plain = head.lstrip(b"\xef\xbb\xbf\xff\xfe").replace(b"\0", b"")
    if _HTML.match(plain):
        raise not_a_spreadsheet("a web page (HTML)")
    if _XML.match(plain):
        raise not_a_spreadsheet("an XML file")
    return "text"


def not_a_spreadsheet(what: str) -> Refused:
    return Refused("not_a_spreadsheet", f"This is {what}, not a spreadsheet or CSV, whatever its name says. {_SAVE_AS}")


def _ole(stream: BinaryIO) -> Refused:
    stream.seek(0)
    tail = b""
    while block := stream.read(1024 * 1024):
        if _ENCRYPTED in tail + block:
            return Refused(
                "password_protected",
                "The workbook is protected by a password. Open it, take the password off (File, Info, Protect), "
                "save and upload again.",
            )
        tail = block[-len(_ENCRYPTED) :]
    return Refused("old_excel", f"This is an old Excel or Office file (.xls, .doc), whatever its name says. {_SAVE_AS}")
