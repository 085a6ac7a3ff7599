"""`python -m connectors.emulator --port 8900`"""

import argparse
import asyncio
import sys
from pathlib import Path

from connectors.emulator.doors import FilePorts
from connectors.emulator.server import run


def main() -> int:
    """Serve until interrupted; 2 where the address cannot be taken."""
    parser = argparse.ArgumentParser(prog="emulator", description="Stand-ins of the vendors, with a ledger.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8900, help="port, 0 for any free one (default 8900)")
    parser.add_argument("--ftp-port", type=int, help="0 for any free one (default 8921, or 0 with --port 0)")
    parser.add_argument("--sftp-port", type=int, help="0 for any free one (default 8922, or 0 with --port 0)")
    parser.add_argument("--keys", type=Path, help="folder where certificate and host key are made once and kept")
    parser.add_argument("--keep", type=int, default=2_000_000, help="how many ledger entries to keep")
    parser.add_argument("--until-eof", action="store_true", help="end when standard input ends")
    wanted = parser.parse_args()

    def announce(port: int) -> None:
        print(f"http://{wanted.host}:{port}", flush=True)

    ftp, sftp = (8921, 8922) if wanted.port else (0, 0)
    files = FilePorts(
        ftp if wanted.ftp_port is None else wanted.ftp_port, sftp if wanted.sftp_port is None else wanted.sftp_port,
        wanted.keys,
    )  # fmt: skip
    try:
        asyncio.run(run(wanted.host, wanted.port, wanted.keep, announce, wanted.until_eof, files))
    except OSError as error:
        print(f"emulator: cannot listen on {wanted.host}:{wanted.port}: {error.strerror}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
