"""Opens a file: what kind, whether it is safe, how it is laid out. The cheap part of intake."""

import dataclasses
import os
from pathlib import Path
from typing import BinaryIO

from . import dialect, encoding, layout
from .kind import kind_of
from .oddities import too_many_columns
from .reading import Limits, Options, Problem, Reading, Refused, no_rows, safe_name
from .text import TextSource

SAMPLE = 256 * 1024


def open_file(
    path: str | Path,
    filename: str,
    options: Options = Options(),  # noqa: B008
    limits: Limits = Limits(),  # noqa: B008
) -> Reading:
    """Recognise the file at `path`, which a person called `filename`; its rows are not read yet.

    Raises Refused with a stable code and a message for the person.
    """
    size = os.path.getsize(path)
    if size > limits.max_bytes:
        most = limits.max_bytes // 1024**2
        raise Refused(
            "too_large",
            f"The file has {size / 1024**2:,.1f} MB; at most {most:,} MB are taken. Split it into several files.",
        )
    with open(path, "rb") as stream:
        kind = kind_of(stream)
    name = safe_name(filename)
    if kind == "zip":
        from .package import open_package

        return open_package(Path(path), name, options, limits)
    return open_text(Path(path), name, options, limits)


def open_text(path: Path, filename: str, options: Options, limits: Limits) -> Reading:
    """Recognise encoding, dialect and header of a text file. Raises Refused."""
    with path.open("rb") as stream:
        found = encoding.recognise(stream, options.encoding)
        sample, whole = _sample(stream, found)
    if "\0" in sample:
        raise encoding.nul_inside()
    spoken, first_line, lines = dialect.recognise(sample, whole, options)
    shape = layout.find(lines, options)
    width = len(shape.header)
    if width > limits.max_columns:
        raise too_many_columns(width, limits, shape.header_line or 1)
    columns, problems = layout.columns_of(_readable(shape), width)
    if found.first_bad is not None:
        problems.insert(0, _guess(found, spoken, columns, path))
    if whole and not shape.below:
        problems.append(no_rows())
    source = TextSource(path, found, spoken, shape.header_line, shape.header_line or first_line, columns, limits)
    shown = "tab" if spoken.delimiter == "\t" else spoken.delimiter
    return Reading(
        filename, "csv", found.name, shown, spoken.quote, "", [], shape.header_line, columns, problems, source.blocks
    )


def _readable(shape: layout.Layout) -> layout.Layout:
    header = [encoding.UNDECODABLE.sub("\ufffd", cell) for cell in shape.header]
    return dataclasses.replace(shape, header=header)


def _sample(stream: BinaryIO, found: encoding.Encoding) -> tuple[str, bool]:
    text = ""
    for block in encoding.text_blocks(stream, found):
        text += block
        if len(text) >= SAMPLE:
            return text[:SAMPLE], False
    return text, True


def _guess(found: encoding.Encoding, spoken: dialect.Dialect, columns: list[str], path: Path) -> Problem:
    """Where the file shows that it is not UTF-8, and what it was taken for."""
    with path.open("rb") as stream:
        line, begun = encoding.line_of(stream, found.first_bad or 0)
    before = dialect.parse(begun.decode(found.codec, "replace"), spoken)
    place = len(before[0][1]) - 1 if before and before[0][1] else 0
    column = columns[place] if place < len(columns) else None
    message = (
        f"Line {line}, column “{column}”: not UTF-8. The file was read as {found.name}, which is a guess: "
        "look at letters with accents, and choose another encoding if they are wrong."
    )
    return Problem(line, column, "encoding_guessed", message)
