"""How a text file is laid out: delimiter, quote, escape, header line."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .layout import LOOKED_AT, Line
from .reading import Options, Refused

if TYPE_CHECKING:
    import _csv

DELIMITERS = (",", ";", "\t", "|")
_SEP = re.compile(r'"?sep=(.)"?(?:\r\n|\r|\n|\Z)', re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """`quote` is '' where quotes are plain text; `backslash`: a quote inside quotes is written \\";
    `spaced`: a quote opens a cell after spaces too, and spaces before a cell do not count."""

    delimiter: str
    quote: str = '"'
    backslash: bool = False
    spaced: bool = False


def recognise(sample: str, whole: bool, options: Options) -> tuple[Dialect, int, list[Line]]:
    """The dialect, the physical line at which rows may begin, and the first lines that hold anything.

    `sample` is the beginning of the text, or all of it where `whole`. Raises Refused.
    """
    text = sample if whole else sample[: max(sample.rfind("\n"), sample.rfind("\r")) + 1] or sample
    named = _named_delimiter(options.delimiter)
    hint = _SEP.match(text)
    start = 0
    if hint and (named is None or hint[1] == named) and hint[1] not in "\"'":
        named, start = hint[1], 1
        text = text[hint.end() :]
    dialect = _dialect(text, named)
    lines = parse(text, dialect)
    if not whole and len(lines) > 1 and len(lines) < LOOKED_AT:
        del lines[-1]  # it may be cut off
    filled = [(line + start, cells) for line, cells in lines if any(map(str.strip, cells))]
    if not filled:
        raise Refused(
            "no_data", "The file holds no rows: only blank lines. Export it again and look that it holds rows."
        )
    return dialect, start + 1, filled


def parse(text: str, dialect: Dialect) -> list[Line]:
    """The first rows of `text` with their physical lines, leniently; blank lines have no cells."""
    source = reader(io.StringIO(unescape(text, dialect), newline=""), dialect)
    rows: list[Line] = []
    line = 1
    for cells in source:
        rows.append((line, cells))
        line = source.line_num + 1
        if len(rows) == LOOKED_AT:
            break
    return rows


def unescape(text: str, dialect: Dialect) -> str:
    """Text whose quotes are escaped by a backslash, with quotes doubled instead."""
    if not dialect.backslash or "\\" not in text:
        return text
    quote, stop = dialect.quote, re.escape(dialect.delimiter)
    field = re.compile(
        rf"(?<![^{stop}\r\n]){quote}((?:[^{quote}\\]|\\.|{quote}{quote})*){quote}(?=[{stop}\r\n]|\Z)", re.S
    )
    return field.sub(lambda found: quote + _inner(found[1], quote) + quote, text)


def _inner(text: str, quote: str) -> str:
    return re.sub(rf"\\([{quote}\\])", lambda found: quote * 2 if found[1] == quote else "\\", text)


def reader(lines: Iterable[str], dialect: Dialect, strict: bool = False) -> "_csv.Reader":
    """Python's own reader for physical `lines` in this dialect."""
    if not dialect.quote:
        return csv.reader(lines, delimiter=dialect.delimiter, quotechar=None, quoting=csv.QUOTE_NONE, strict=strict)
    return csv.reader(
        lines,
        delimiter=dialect.delimiter,
        quotechar=dialect.quote,
        skipinitialspace=dialect.spaced,
        strict=strict,
    )


def physical_lines(text: str) -> list[str]:
    """The lines of `text`, ends kept; only CR, LF and CRLF end a line."""
    return list(io.StringIO(text, newline=""))


def _named_delimiter(named: str | None) -> str | None:
    if not named:
        return None
    delimiter = "\t" if named.lower() in ("tab", "\\t") else named
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise Refused("bad_delimiter", "A delimiter is one character, such as ; or the word tab.")
    return delimiter


def _dialect(text: str, named: str | None) -> Dialect:
    delimiter = named or max(DELIMITERS, key=lambda one: _fit(text, Dialect(one)))
    single = _quoted_by(text, "'", delimiter)
    if single > 1 and not _quoted_by(text, '"', delimiter):
        return Dialect(delimiter, "'")
    if delimiter == "\t" and re.search(r"(?:^|\t)\\N(?:\t|\r|\n|\Z)", text, re.M):
        return Dialect(delimiter, "")  # the text format of PostgreSQL's COPY and MySQL, where quotes are plain
    plain, escaped = Dialect(delimiter), Dialect(delimiter, backslash=True)
    if '\\"' in text and not _strictly(text, plain) and _strictly(text, escaped):
        return escaped
    stop = re.escape(delimiter)
    cut = re.search(rf'{stop} +"[^"\r\n]*{stop}[^"\r\n]*" *(?:{stop}|[\r\n]|\Z)', text)
    if cut and _strictly(text, spaced := Dialect(delimiter, spaced=True)):
        return spaced
    return plain


def _fit(text: str, dialect: Dialect) -> tuple[float, float, int]:
    """How well the delimiter explains the text: rows of one width, as wide as possible."""
    widths = [len(cells) for _, cells in parse(text, dialect) if cells]
    if not widths:
        return 0.0, 0.0, 0
    wide = Counter(width for width in widths if width > 1)
    if not wide:
        return 0.0, 0.0, 0
    width, times = max(wide.items(), key=lambda item: (item[1], item[0]))
    share = times / len(widths)
    return share * (1 - 0.5 / width) if share > 0.3 else 0.0, share, width


def _quoted_by(text: str, quote: str, delimiter: str) -> int:
    """How many cells are wholly within `quote`; 0 where one begins with it and does not end so."""
    stop = re.escape(delimiter)
    begun = len(re.findall(rf"(?<![^{stop}\r\n]){quote}", text))
    closed = len(re.findall(rf"(?<![^{stop}\r\n]){quote}[^{quote}\r\n]*{quote}(?=[{stop}\r\n]|\Z)", text))
    return closed if closed == begun else 0 if quote == "'" else begun


def _strictly(text: str, dialect: Dialect) -> bool:
    lines = physical_lines(unescape(text, dialect))
    source = reader(lines, dialect, strict=True)
    try:
        for _ in source:
            pass
    except csv.Error:
        return len(lines) > 20 and source.line_num == len(lines)  # a sample may end within a quoted cell
    return True
