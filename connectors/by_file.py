"""What a connector is whose vendor takes files: one Batch is one file, put at a server by FTP, FTPS or SFTP.

`connectors.files` carries what is built here. The name of a file is fixed when its Batch is made, so that every
retry writes the same one.
"""

from __future__ import annotations

import hashlib
import io
import re
import sys
import zipfile
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar, Literal, NamedTuple
from urllib.parse import quote
from zoneinfo import ZoneInfo

from connectors import file_settings
from connectors.base import (
    TIMEZONE,
    Answered,
    Connector,
    Field,
    Issue,
    NotUnderstood,
    Outcome,
    Payload,
    Request,
    Response,
)

Protocol = Literal["ftp", "ftps", "sftp"]

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9]+")
_PACKED_AT = (1980, 1, 1, 0, 0, 0)
"""The moment in every zip, so that the same rows make the same bytes."""


class Frame(NamedTuple):
    """What is fixed for a file before its rows are looked at."""

    name: str = ""
    keys: tuple[str, ...] = ()
    """The field keys that the mapping names, whether or not a row has a value there."""
    in_doubt: bool = False
    """An earlier try ended without telling whether the file has its final name already."""


@dataclass(frozen=True)
class Door:
    """A server that takes files, and the way in. `host_key`: as OpenSSH writes it, or its SHA-256 fingerprint."""

    protocol: Protocol
    host: str
    port: int
    path: str
    username: str = field(repr=False)
    password: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)
    host_key: str = ""
    implicit_tls: bool = False

    def url(self, name: str) -> str:
        """The address of a file at this door, without user name and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        folder = self.path.strip("/")
        return f"{self.protocol}://{host}:{self.port}/{quote(f'{folder}/{name}' if folder else name, safe='/{}')}"

    def hushed(self, words: str) -> str:
        """What the server said, without the user name and password that it may repeat."""
        for secret in (self.private_key, self.password, self.username):
            words = words.replace(secret, "••••••") if secret else words
        return words


@dataclass(frozen=True, kw_only=True)
class File(Request):
    """One file, whole. `body` is its text, `packed` what is written at the server where that differs (a zip).

    No secret stands in it but in `door`: what the server says is hushed where it is heard, so the text that is kept is
    the text that was sent, whatever it holds.
    """

    door: Door
    name: str
    packed: bytes | None = field(default=None, repr=False)
    in_doubt: bool = False

    @property
    def content(self) -> bytes:
        """The bytes that the server is to have in the end."""
        return self.body if self.packed is None else self.packed


class FileConnector(Connector):
    """Base of the vendors that take files. Subclasses declare fields and write `text`."""

    transport = "file"
    # A file of 10,000 rows has about 2 MB: well within the time of one transfer, also on slow lines.
    rows_a_request = 10_000
    rows_a_batch = 10_000
    bytes_a_request = sys.maxsize
    default_rate = 2.0
    in_flight = 1
    connection_settings = ("protocol", "host", "port", "path", "host_key", "implicit_tls")
    default_timezone: ClassVar[str] = "UTC"

    secrets = file_settings.SECRETS

    @property
    def settings(self) -> tuple[Field, ...]:
        """Where files are put, what they are called, and the vendor's own."""
        zone = replace(TIMEZONE, default=self.default_timezone, help=file_settings.ZONE_HELP)
        return (*file_settings.DOOR, file_settings.FILENAME, file_settings.ZIP, *self.own_settings, zone)

    def check_settings(self, settings: Mapping[str, Any]) -> list[Issue]:
        """Whether the server can be named so, and no two files can get the same name."""
        return file_settings.issues(settings)

    def file_name(self, settings: Mapping[str, Any], account: str, moment: datetime, batch: str) -> str:
        """The name of one file: `account` is the destination's name, `moment` is aware, `batch` unique."""
        zone = ZoneInfo(settings.get("timezone") or self.default_timezone)
        name = str(settings.get("filename") or file_settings.FILENAME.default)
        plain = _NOT_IN_A_NAME.sub("-", account.encode("ascii", "ignore").decode()).strip("-")[:40].lower()
        parts = {
            "{account}": plain or self.slug, "{YYYYMMDDHHMMSS}": f"{moment.astimezone(zone):%Y%m%d%H%M%S}",
            "{batch}": batch,
        }  # fmt: skip
        for part, text in parts.items():
            name = name.replace(part, text)
        return _packed_name(name) if settings.get("zip") is True else name

    def door(self, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Door:
        """Where the files of a destination go."""
        protocol = settings.get("protocol") or "ftp"
        implicit = protocol == "ftps" and settings.get("implicit_tls") is True
        usual = 22 if protocol == "sftp" else 990 if implicit else 21
        return Door(
            protocol, settings["host"], int(settings.get("port") or usual), settings.get("path") or "",
            secrets.get("username") or "", secrets.get("password") or "", secrets.get("private_key") or "",
            settings.get("host_key") or "", implicit,
        )  # fmt: skip

    def build(self, payloads: Sequence[Payload], settings: Mapping[str, Any], secrets: Mapping[str, str]) -> File:
        """The file, its name not made yet."""
        return self.build_file(payloads, settings, secrets, Frame())

    def preview(
        self, payload: Payload, settings: Mapping[str, Any], secrets: Mapping[str, str], keys: Sequence[str]
    ) -> File:
        """A file with this payload alone, as wide as the mapping makes it."""
        return self.build_file([payload], settings, secrets, Frame(keys=tuple(keys)))

    def build_file(
        self, payloads: Sequence[Payload], settings: Mapping[str, Any], secrets: Mapping[str, str], frame: Frame
    ) -> File:
        """The one file that carries these payloads, the same bytes every time."""
        pattern = str(settings.get("filename") or file_settings.FILENAME.default)
        packs = settings.get("zip") is True
        name = frame.name or (_packed_name(pattern) if packs else pattern)
        text = self.text(payloads, settings, frame.keys)
        packed = _zip(name.removesuffix(".zip") + _ending(pattern), text) if packs else None
        content = text if packed is None else packed
        facts = {
            "File": name, "First-Line": str(self.first_line(settings)), "Size": str(len(content)),
            "SHA-256": hashlib.sha256(content).hexdigest(),
        }  # fmt: skip
        door = self.door(settings, secrets)
        return File(
            method="STOR", url=door.url(name), headers=facts, body=text, door=door, name=name, packed=packed,
            in_doubt=frame.in_doubt,
        )  # fmt: skip

    @abstractmethod
    def text(self, payloads: Sequence[Payload], settings: Mapping[str, Any], keys: Collection[str]) -> bytes:
        """The lines of the file; `keys` are the fields of the mapping, also those that no row has a value for."""

    def first_line(self, settings: Mapping[str, Any]) -> int:
        """The line of the file on which the first payload stands."""
        return 1

    def read(self, response: Response, payloads: Sequence[Payload]) -> list[Outcome]:
        """Every row is in the file: line by line, from the one that the answer names. Nobody says more."""
        if not 200 <= response.status < 300:
            raise Answered(response.status)
        name, first = response.header("File"), response.header("First-Line")
        if not name or not first.isdecimal():
            raise NotUnderstood("It does not say which file was put there.")
        return [Outcome(True, "delivered", f"{name}:{line}") for line in range(int(first), int(first) + len(payloads))]


def _ending(name: str) -> str:
    """`.csv` of `a.csv`; `.csv` too where there is no ending of its own, or it says zip."""
    _, dot, ending = name.rpartition(".")
    return f".{ending}" if dot and ending.isalnum() and ending.lower() != "zip" else ".csv"


def _packed_name(name: str) -> str:
    _, dot, ending = name.rpartition(".")
    return name[: -len(ending) - 1] + ".zip" if dot and ending.isalnum() else f"{name}.zip"


def _zip(member: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as package:
        about = zipfile.ZipInfo(member, _PACKED_AT)
        about.external_attr = 0o644 << 16
        package.writestr(about, content, zipfile.ZIP_DEFLATED)
    return file.getvalue()
