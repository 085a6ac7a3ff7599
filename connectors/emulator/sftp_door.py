"""The emulator's SFTP door: asyncssh."""

import asyncio
from pathlib import Path
from typing import Any

import asyncssh

from connectors.emulator.depot import AT_LOGIN, AT_RENAME, AT_STORE, Depot, words
from connectors.emulator.keys import Keys


async def listen(depot: Depot, keys: Keys, host: str, port: int) -> asyncssh.SSHAcceptor:
    """Listen on a port (0 picks one). Raises OSError where it is taken."""
    return await asyncssh.create_server(
        lambda: _Guard(depot), host, port, server_host_keys=[str(keys.host)],
        sftp_factory=lambda channel: _Files(channel, depot), allow_scp=False, agent_forwarding=False,
        reuse_address=True,
    )  # fmt: skip


class _Guard(asyncssh.SSHServer):
    """Takes any password and any key, unless a switch says otherwise; an account is a user name."""

    def __init__(self, depot: Depot) -> None:
        self._depot = depot

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return not self._depot.meets(username, AT_LOGIN)

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return not self._depot.meets(username, AT_LOGIN)


class _Files(asyncssh.SFTPServer):
    """One session; the switches that meet it decide how its transfers and renames end."""

    def __init__(self, channel: asyncssh.SSHServerChannel, depot: Depot) -> None:
        self._depot = depot
        self._account = channel.get_extra_info("username")
        self._connection = channel.get_connection()
        self._home = depot.home(self._account)
        self._met: dict[str, Any] = {}
        super().__init__(channel, chroot=str(self._home).encode())

    def _place(self, path: bytes) -> Path:
        return Path(self.map_path(path).decode())

    def stat(self, path: bytes) -> Any:
        """Any folder that is asked for is there: what has no ending in its name is a folder."""
        place = self._place(path)
        if "." not in place.name:
            place.mkdir(parents=True, exist_ok=True)
        return super().stat(path)

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> Any:
        if pflags & asyncssh.FXF_WRITE:
            self._met = self._depot.meets(self._account, AT_STORE)
            if "no_space" in self._met or "reply" in self._met:
                raise asyncssh.SFTPFailure(words(self._met))
        return super().open(path, pflags, attrs)

    async def close(self, file_obj: Any) -> None:
        path, writes = Path(file_obj.name.decode()), file_obj.writable()
        super().close(file_obj)
        if not writes:
            return
        if "cut_transfer" in self._met:
            content = path.read_bytes()
            path.write_bytes(content[: len(content) // 2])
            self._connection.abort()
            return
        await asyncio.sleep(self._met.get("slow_transfer", 0) / 1000)
        self._depot.finished(self._account, path)

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        lost = self._depot.meets(self._account, AT_RENAME).get("lost_rename")
        if lost == "before":
            self._connection.abort()
            return
        super().rename(oldpath, newpath)
        self._depot.finished(self._account, self._place(newpath))
        if lost == "after":
            self._connection.abort()
