"""The emulator's doors for files, opened beside its HTTP port."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from connectors.emulator.vendor import FileVendor

if TYPE_CHECKING:
    from connectors.emulator.server import Emulator


class FilePorts(NamedTuple):
    """Where the doors for files listen (0: any free port); `keys`: the folder of certificate and host key."""

    ftp: int = 0
    sftp: int = 0
    keys: Path | None = None


@asynccontextmanager
async def opened(emulator: "Emulator", host: str, ports: FilePorts) -> AsyncIterator[dict[str, Any]]:
    """Open them for the vendor that reads files; gives what `/doors.json` tells. Raises OSError, naming the port."""
    # Loading what speaks FTP and SSH takes a while, which only a running emulator needs.
    from connectors.emulator import sftp_door
    from connectors.emulator.depot import Depot
    from connectors.emulator.ftp_door import FtpDoor
    from connectors.emulator.keys import made_once

    async with AsyncExitStack() as stack:
        folder = ports.keys or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="emulator-keys-")))
        keys = made_once(folder)
        depot = Depot(next(stand for stand in emulator.stands.values() if isinstance(stand.vendor, FileVendor)))
        stack.callback(depot.close)
        try:
            ftp = FtpDoor(depot, keys, host, ports.ftp)
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror} (FTP port {ports.ftp})") from None
        ftp.start()
        stack.push_async_callback(ftp.stop)
        try:
            sftp = await sftp_door.listen(depot, keys, host, ports.sftp)
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror} (SFTP port {ports.sftp})") from None
        stack.callback(sftp.close)
        yield {
            "ftp": {"port": ftp.port, "certificate": keys.certificate.read_text(), "tls": "explicit"},
            "sftp": {"port": sftp.get_port(), "host_key": keys.host_key()},
            "account": "any user name, any password or key",
        }
