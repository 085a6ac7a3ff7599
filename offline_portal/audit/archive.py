"""A zip that is sent while it is made: memory does not grow with it. Its last member has the digests of all others."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from offline_portal.audit.signing import signed

MANIFEST = "manifest.json"
_PIECE = 64 * 1024
Lines = Iterable[str]


class Archive:
    """Members one after the other; what is ready to be sent comes out of each call."""

    def __init__(self, kind: str, huge: bool = False) -> None:
        """`kind`: what the manifest says that this is. `huge`: a member may have more than 2 GB."""
        self._kind, self._huge = kind, huge
        self._out = _Outlet()
        self._zip = zipfile.ZipFile(self._out, "w", zipfile.ZIP_DEFLATED)  # type: ignore[type-var]
        self._at = datetime.now(UTC)
        self._digests: dict[str, str] = {}

    def member(self, name: str, lines: Lines) -> Iterator[bytes]:
        """Write a text in UTF-8; `lines` come with their line ends."""
        digest = hashlib.sha256()
        info = zipfile.ZipInfo(name, self._at.timetuple()[:6])
        info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
        with self._zip.open(info, "w", force_zip64=self._huge) as file:
            for line in lines:
                raw = line.encode("utf-8", "backslashreplace")
                digest.update(raw)
                file.write(raw)
                if self._out.waiting >= _PIECE:
                    yield self._out.take()
        self._digests[name] = digest.hexdigest()
        yield self._out.take()

    def document(self, name: str, content: dict[str, Any]) -> Iterator[bytes]:
        """Write a small JSON document, for people to read. `verify.py` takes it in exactly this spelling."""
        return self.member(name, [json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True), "\n"])

    def close(self) -> Iterator[bytes]:
        """Write the signed manifest and the end."""
        yield from self.document(MANIFEST, signed({"format": f"offline-portal {self._kind} 1", "files": self._digests}))
        self._zip.close()
        yield self._out.take()


class _Outlet:
    """What a ZipFile writes to when it cannot go back; holds no more than what was not taken yet."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.waiting = 0

    def write(self, piece: bytes) -> int:
        """Called by ZipFile."""
        self._pieces.append(bytes(piece))
        self.waiting += len(piece)
        return len(piece)

    def flush(self) -> None:
        """Called by ZipFile."""

    def take(self) -> bytes:
        """What was written since the last time."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        self.waiting = 0
        return taken
