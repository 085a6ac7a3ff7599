"""The settings and secrets of every destination that takes files, and what they may be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from connectors.base import Choice, Field, Issue

LONGEST_PATTERN = 100
_HOST = re.compile(r"(?=.{1,253}\.?$)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9-]{1,63}\.?")
_PATTERN = re.compile(r"(?:[A-Za-z0-9._-]|\{account\}|\{YYYYMMDDHHMMSS\}|\{batch\})+")
_HOST_KEY = re.compile(r"(?:ssh-|ecdsa-|sk-)[a-z0-9@.-]+ [A-Za-z0-9+/]+=*(?: .*)?|SHA256:[A-Za-z0-9+/]{43}=?")

PROTOCOL = Field(
    "protocol", "Protocol", "choice", True, default="ftp", example="sftp",
    choices=(Choice("ftp", "FTP (not encrypted)"), Choice("ftps", "FTPS (FTP over TLS)"), Choice("sftp", "SFTP (SSH)")),
    help="How files reach the server. FTP sends names, customers and the password in clear text: take FTPS or SFTP "
    "wherever the server offers them.",
)  # fmt: skip
HOST = Field(
    "host", "Server", "text", True, example="ftp.example.com", max_length=253,
    help="The name or address of the server, without ftp:// and without a folder.",
)
PORT = Field(
    "port", "Port", "integer", example="21",
    help="Leave it empty for the usual one: 21 for FTP and FTPS, 990 for FTPS with TLS from the start, 22 for SFTP.",
)
PATH = Field(
    "path", "Folder", "text", example="/offline", max_length=500,
    help="The folder that the vendor reads. It must exist already; empty stands for the folder after the login.",
)
HOST_KEY = Field(
    "host_key", "Host key", "text", example="SHA256:AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfG",
    help="Only for SFTP, and needed there: the key by which the server is known, such as “ssh-ed25519 AAAA…”, or its "
    "SHA-256 fingerprint. The connection test shows it: compare it with what the owner of the server tells you.",
)
IMPLICIT_TLS = Field(
    "implicit_tls", "TLS from the start", "boolean", default=False,
    help="Only for FTPS, and rare: the server expects TLS before it says a word, mostly on port 990.",
)
FILENAME = Field(
    "filename", "File name", "text", True, default="offline_{account}_{YYYYMMDDHHMMSS}_{batch}.csv",
    example="offline_{account}_{YYYYMMDDHHMMSS}_{batch}.csv", max_length=LONGEST_PATTERN,
    help="Letters, digits, dot, _ and -. {account} becomes the destination's name, {YYYYMMDDHHMMSS} the moment of "
    "queueing, {batch} a number that no other file has; that one is needed.",
)
ZIP = Field(
    "zip", "Packed as zip", "boolean", default=False,
    help="One zip file with the text file in it, instead of the text file itself.",
)
USERNAME = Field("username", "User name", "secret", True, help="The user name at the server.")
PASSWORD = Field(
    "password", "Password", "secret", "conditional",
    help="The password at the server. SFTP takes a private key instead.",
)  # fmt: skip
PRIVATE_KEY = Field(
    "private_key", "Private key", "secret", multiline=True,
    help="Only for SFTP: the private key in OpenSSH or PEM form, all of its lines, without a passphrase.",
)  # fmt: skip
DOOR = (PROTOCOL, HOST, PORT, PATH, HOST_KEY, IMPLICIT_TLS)
SECRETS = (USERNAME, PASSWORD, PRIVATE_KEY)

ZONE_HELP = (
    "IANA name, such as Europe/Istanbul: the zone in which times are written into the file, and of dates in "
    "spreadsheets that name none."
)
_NOT_A_HOST = "Write the name of the server alone, such as ftp.example.com, without ftp:// and without a folder."
_NOT_A_PORT = "A port is a whole number from 1 to 65535."
_NOT_A_FOLDER = "Write the folder without “..”, such as /offline."
_NOT_A_KEY = "Write the host key as the connection test shows it: “ssh-ed25519 AAAA…”, or “SHA256:…”."
_NOT_A_PATTERN = (
    "A file name has letters, digits, dot, _ and - (no spaces), and the parts {account}, {YYYYMMDDHHMMSS} and {batch}."
)
_NOT_UNIQUE = "Put {batch} into the file name: without it one file would overwrite another that was not read yet."
_STILL_PART = "Names that end in .part are those of unfinished files, which nobody reads. Choose another ending."


def _is_host(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        return _HOST.fullmatch(host) is not None


def _is_host_key(settings: Mapping[str, Any]) -> bool:
    given = settings.get("host_key")
    return not given or _HOST_KEY.fullmatch(str(given)) is not None


def _pattern_issues(pattern: str) -> list[Issue]:
    if not _PATTERN.fullmatch(pattern) or pattern.startswith((".", "-")):
        return [Issue("filename", "not_a_file_name", _NOT_A_PATTERN)]
    if "{batch}" not in pattern:
        return [Issue("filename", "not_unique", _NOT_UNIQUE)]
    if pattern.lower().endswith(".part"):
        return [Issue("filename", "unfinished", _STILL_PART)]
    return []


def issues(settings: Mapping[str, Any]) -> list[Issue]:
    """What is wrong with settings as they are stored, and a warning where they send in clear text."""
    wrong = {
        ("host", "not_a_host", _NOT_A_HOST): not _is_host(str(settings.get("host") or "x")),
        ("port", "not_a_port", _NOT_A_PORT): not 0 < int(settings.get("port") or 1) < 65_536,
        ("path", "not_a_folder", _NOT_A_FOLDER): ".." in str(settings.get("path") or "").split("/"),
        ("host_key", "not_a_host_key", _NOT_A_KEY): not _is_host_key(settings),
    }
    found = [Issue(*issue) for issue, is_wrong in wrong.items() if is_wrong]
    found += _pattern_issues(str(settings.get("filename") or FILENAME.default))
    if (settings.get("protocol") or "ftp") == "ftp":
        message = "FTP sends customers and the password in clear text. Take FTPS or SFTP if the server offers it."
        found.append(Issue("protocol", "unencrypted", message, warning=True))
    return found
