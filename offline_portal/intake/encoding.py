"""Which encoding a text file is in, and its text, with every undecodable byte still to be found."""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from .legacy import EVIDENCE, likeliest
from .reading import Refused

BLOCK = 512 * 1024

# A byte that could not be decoded stands in the text as one of these until its row names it.
# U+FFFE and U+FFFF are no characters: files that hold them were broken by a wrong byte order.
UNDECODABLE = re.compile("[\ud800-\udfff\ufffe\uffff]")

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SHOWN = {
    "utf_8": "utf-8", "utf_8_sig": "utf-8", "utf-8-sig": "utf-8", "ascii": "utf-8", 
    "latin_1": "iso-8859-1", "gb2312": "gb18030", "gbk": "gb18030",
}  # fmt: skip


@dataclass(frozen=True)
class Encoding:
    """`name` as shown, bytes of the byte order mark to skip, and why it is a guess ('' where it is none)."""

    name: str
    mark: int = 0
    first_bad: int | None = None  # offset of the first byte that is not UTF-8, where another was chosen

    @property
    def codec(self) -> str:
        """Python's name: what calls itself Shift-JIS is nearly always its Windows form."""
        return "cp932" if self.name == "shift_jis" else self.name


def recognise(stream: BinaryIO, named: str | None = None) -> Encoding:
    """The encoding of the whole of `stream` (read once, in blocks), or the one a person named.

    Raises Refused where the bytes are no text (`not_text`) or the name is unknown (`unknown_encoding`).
    """
    head = stream.read(4096)
    mark = next(((len(mark), name) for mark, name in _MARKS if head.startswith(mark)), None)
    if named:
        name = _canonical(named)
        return Encoding(name, mark[0] if mark and _family(mark[1]) == _family(name) else 0)
    wide = None if mark else _wide_without_mark(head)
    if mark and mark[1] != "utf-8":
        return Encoding(mark[1], mark[0])
    if wide:
        return Encoding(wide)
    stream.seek(0)
    bad, good, first_bad, evidence = _survey(stream)
    if good >= bad:
        return Encoding("utf-8", mark[0] if mark else 0)
    return Encoding(likeliest(evidence), 0, first_bad)


def text_blocks(stream: BinaryIO, encoding: Encoding) -> Iterator[str]:
    """The text of `stream` in blocks of up to a million characters; undecodable bytes match UNDECODABLE."""
    stream.seek(encoding.mark)
    errors = "intake-wide" if encoding.name.startswith("utf-") and encoding.name != "utf-8" else "surrogateescape"
    decoder = codecs.getincrementaldecoder(encoding.codec)(errors)
    while block := stream.read(BLOCK):
        yield decoder.decode(block)
    if rest := decoder.decode(b"", final=True):
        yield rest


def spoiled_text(text: str) -> bool:
    """Whether anything in the text matches UNDECODABLE; much faster than searching for it."""
    return _escaped(text) > 0 or "\ufffe" in text or "\uffff" in text


def nul_inside(line: int | None = None) -> Refused:
    where = f"line {line}" if line else "it"
    message = f"The file is no text: {where} holds a NUL character. Save it again as CSV (UTF-8) or as .xlsx."
    return Refused("not_text", message)


def line_of(stream: BinaryIO, offset: int) -> tuple[int, bytes]:
    """The physical line in which the byte at `offset` stands, and the bytes of that line before it."""
    stream.seek(0)
    line, before = 1, b""
    while offset > 0 and (block := stream.read(min(BLOCK, offset))):
        offset -= len(block)
        block = before + block
        line += block.count(b"\n") or block.count(b"\r")
        before = block[max(block.rfind(b"\n"), block.rfind(b"\r")) + 1 :]
    return line, before + stream.read(1)


def _mark_wide(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "\udcff", error.end


codecs.register_error("intake-wide", _mark_wide)


def _canonical(named: str) -> str:
    try:
        name = codecs.lookup(named).name
        "".encode(name)
    except LookupError:
        raise Refused(
            "unknown_encoding", f"There is no encoding called “{named[:40]}”. Use utf-8, windows-1252 or the like."
        ) from None
    if name in ("utf-16", "utf-32"):
        return f"{name}-le"
    name = _SHOWN.get(name.replace("-", "_"), name)
    return name.replace("cp125", "windows-125") if name.startswith("cp125") else name.replace("iso8859", "iso-8859")


def _family(name: str) -> str:
    return name[:6]


def _wide_without_mark(head: bytes) -> str | None:
    """UTF-16 and UTF-32 give themselves away by where their NUL bytes stand."""
    whole = head[: len(head) // 4 * 4]
    if b"\0" not in whole:
        return None
    shares = [whole[place::4].count(0) * 4 / len(whole) for place in range(4)]
    if min(shares[1:]) > 0.9 and shares[0] < 0.1:
        return "utf-32-le"
    if min(shares[:3]) > 0.9 and shares[3] < 0.1:
        return "utf-32-be"
    even, odd = (shares[0] + shares[2]) / 2, (shares[1] + shares[3]) / 2
    if odd > 0.3 and odd > 4 * even:
        return "utf-16-le"
    if even > 0.3 and even > 4 * odd:
        return "utf-16-be"
    return None


def _survey(stream: BinaryIO) -> tuple[int, int, int | None, bytes]:
    """Over all bytes: not UTF-8, good beyond ASCII, where the first bad one is, and lines to judge by."""
    bad = good = offset = 0
    first_bad: int | None = None
    evidence = bytearray()
    rest = b""
    while block := stream.read(BLOCK):
        if b"\0" in block:
            line, _ = line_of(stream, offset + len(rest) + block.index(b"\0"))
            raise nul_inside(line)
        block = rest + block
        rest = b""
        if not block.isascii():
            text, used = codecs.utf_8_decode(block, "surrogateescape", False)
            rest, block = block[used:], block[:used]
            marks = 0 if block.isascii() else _escaped(text)
            good += len(text) - len(text.encode("ascii", "ignore")) - marks
            if marks:
                bad += marks
                if first_bad is None:
                    first_bad = offset + _first_bad(block)
            if len(evidence) < EVIDENCE:
                evidence += b"\n".join(line for line in block.splitlines() if not line.isascii())[:EVIDENCE]
        offset += len(block)
        if bad > 4 * EVIDENCE:
            break
    if rest:
        bad += 1
        evidence += rest
        first_bad = offset if first_bad is None else first_bad
    return bad, good, first_bad, bytes(evidence[:EVIDENCE])


def _escaped(text: str) -> int:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return len(UNDECODABLE.findall(text))
    return 0


def _first_bad(block: bytes) -> int:
    try:
        block.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return 0
