"""For tests: an emulator in a child process on a free loopback port."""

import json
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE
from tempfile import TemporaryFile
from typing import IO, Any
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

ROOT = Path(__file__).parents[2]
OPENER = build_opener(ProxyHandler({}))


class Emulator:
    """A running emulator, spoken to over its own HTTP interface."""

    def __init__(self, url: str) -> None:
        self.url = url

    def base_url(self, vendor: str) -> str:
        """What a destination of this vendor takes as `base_url`."""
        return f"{self.url}/{vendor}"

    def doors(self) -> dict[str, Any]:
        """The doors for files: `ftp` (port, certificate) and `sftp` (port, host_key)."""
        found: dict[str, Any] = self._call("GET", "/doors.json")
        return found

    def set(self, vendor: str, account: str | None = None, **switches: Any) -> None:
        """Make these the only switches of the vendor, or of one account.

        Names and limits are those of docs/emulator.md: `set("qubit", status=503, times=2)`, or with a limit
        of its own `set("qubit", cut={"value": "in_answer", "every": 3})`.
        """
        self._call("PUT", f"/switches/{vendor}", {"account": account, **switches})

    def change(self, vendor: str, account: str | None = None, **switches: Any) -> None:
        """Like `set`, but the other switches stay; None turns one off."""
        self._call("PATCH", f"/switches/{vendor}", {"account": account, **switches})

    def clear(self, switches: bool = True) -> None:
        """Empty the ledger and, unless told otherwise, turn all switches off."""
        self._call("DELETE", "/ledger")
        if switches:
            self._call("DELETE", "/switches")

    def counts(self, vendor: str | None = None, account: str | None = None) -> dict[str, int]:
        """Counts over all accounts, a vendor's, or one account's; see docs/emulator.md for their names."""
        total: dict[str, int] = self._call("GET", f"/ledger/counts.json?{chosen(vendor, account)}")["total"]
        return total

    def ledger(self, vendor: str | None = None, account: str | None = None) -> list[dict[str, Any]]:
        """All entries kept, oldest first."""
        items: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            page = self._call("GET", f"/ledger.json?after={after}&limit=10000&{chosen(vendor, account)}")
            items += page["items"]
            after = page["next"]
        return items

    def effective(self, vendor: str, account: str | None = None) -> list[dict[str, Any]]:
        """The entries that count at the vendor, oldest first."""
        return [item for item in self.ledger(vendor, account) if item["verdict"] == "effective"]

    def _call(self, method: str, path: str, content: Any = None) -> Any:
        body = None if content is None else json.dumps(content).encode()
        request = Request(self.url + path, body, {"Content-Type": "application/json"}, method=method)  # noqa: S310
        with OPENER.open(request, timeout=10) as answer:
            return json.load(answer)


def chosen(vendor: str | None, account: str | None) -> str:
    """A query string for a vendor and an account, as far as they are given."""
    return urlencode({k: v for k, v in (("vendor", vendor), ("account", account)) if v is not None})


@contextmanager
def running(port: int = 0, keep: int = 2_000_000) -> Iterator[Emulator]:
    """Start an emulator in a child process, give it, end it. The child also ends if this process dies.

    Raises RuntimeError if it does not answer within 20 seconds.
    """
    command = [sys.executable, "-m", "connectors.emulator", "--until-eof"]
    command += ["--port", str(port), "--keep", str(keep), "--ftp-port", "0", "--sftp-port", "0"]
    with TemporaryFile() as complaints:
        child = subprocess.Popen(command, cwd=ROOT, stdin=PIPE, stdout=PIPE, stderr=complaints)  # noqa: S603
        with child:
            try:
                yield Emulator(announced(child, complaints))
            finally:
                child.terminate()
                try:
                    child.wait(5)
                except subprocess.TimeoutExpired:
                    child.kill()


def announced(child: subprocess.Popen[bytes], complaints: IO[bytes]) -> str:
    """The address that the child prints once it listens. Raises RuntimeError with its complaints."""
    assert child.stdout is not None
    ready, _, _ = select.select([child.stdout], [], [], 20)
    url = child.stdout.readline().decode().strip() if ready else ""
    if not url:
        child.kill()
        child.wait()
        complaints.seek(0)
        raise RuntimeError(f"the emulator did not start: {complaints.read().decode(errors='replace')}")
    return url
