"""Zips of evidence as a stranger gets them: unpacked in a folder, verified by the program that came with them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def unpacked(pieces: Iterable[bytes], folder: Path) -> Path:
    """The folder with the files of a zip."""
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as file:
        assert file.testzip() is None
        file.extractall(folder)
    return folder


def verify(folder: Path, *arguments: str) -> tuple[int, str]:
    """(exit code, what it said) of `verify.py`, with neither the portal nor any package within its reach."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "verify.py", *arguments], cwd=folder, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


def change(path: Path, how: Callable[[list[Any]], object]) -> None:
    """Change the lines of a file of JSON lines."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    how(lines)
    spelled = (json.dumps(line, ensure_ascii=False, sort_keys=True, separators=(",", ":")) for line in lines)
    path.write_text("".join(f"{line}\n" for line in spelled))
