"""What lies behind the emulator's doors for files: a folder an account, and the platform that reads finished files."""

import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from connectors.emulator import faults
from connectors.emulator.ledger import Visit
from connectors.emulator.vendor import BadFile, Conversion, FileVendor

if TYPE_CHECKING:
    from connectors.emulator.server import Stand

UNFINISHED = ".part"
AT_LOGIN, AT_STORE, AT_RENAME = ("bad_login",), ("cut_transfer", "no_space", "reply", "slow_transfer"), ("lost_rename",)


class Depot:
    """Folders of the accounts of one vendor. Both doors tell it what happens; all calls come from one thread."""

    def __init__(self, stand: "Stand") -> None:
        assert isinstance(stand.vendor, FileVendor)
        self.stand = stand
        self.vendor: FileVendor = stand.vendor
        self.root = Path(tempfile.mkdtemp(prefix="emulator-files-"))
        self._files = 0

    def home(self, account: str) -> Path:
        """The folder of an account, made at the first login."""
        folder = self.root / ("u" + quote(account, safe=""))
        folder.mkdir(exist_ok=True)
        return folder

    def meets(self, account: str, moment: tuple[str, ...]) -> dict[str, Any]:
        """The switches that meet this moment of a session; at a login and at a file a request is counted."""
        book = self.stand.ledger.book(self.stand.vendor.slug, account)
        met = self.stand.board.meeting(account, moment)
        if moment == AT_STORE or "bad_login" in met:
            self._files = self.stand.ledger.arrived(book)
        book.counts["faulted"] += bool(met)
        book.counts["refused"] += bool({"bad_login", "no_space", "reply"} & set(met))
        return met

    def finished(self, account: str, path: Path) -> None:
        """A file has its final name: the platform reads it, unless the name says that it is unfinished."""
        if path.name.endswith(UNFINISHED):
            return
        stand = self.stand
        book = stand.ledger.book(stand.vendor.slug, account)
        content = path.read_bytes()
        try:
            conversions = self.vendor.read_file(path.name, content)
        except BadFile as bad:
            book.counts["refused"] += 1
            conversions = [Conversion({"file": path.name, "line": 0}, {}, "rejected", str(bad))]
        stand.ledger.store(book, conversions, Visit(self._files, time.time(), stand.vendor.ignores_repeats, "250"))
        rules = stand.board.meeting(account, ("pick_up",))
        if rules:
            path.unlink()

    def close(self) -> None:
        """Throw everything away."""
        shutil.rmtree(self.root, ignore_errors=True)


def words(met: dict[str, Any]) -> str:
    """Why the server refuses, for people."""
    return f"(switch {faults.described(met)})"
