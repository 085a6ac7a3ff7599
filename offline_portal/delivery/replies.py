"""What the reply codes of file servers mean (RFC 959; SFTP's errors come in the same codes)."""

from __future__ import annotations

REFUSALS = {
    530: "The server refuses the login (530). Check user name and password.",
    532: "The server wants an account that FTP logins rarely have (532). Ask its owner.",
    550: "The server does not take the file in this folder (550). Check the folder, and whether we may write there.",
    552: "The server has no space left for us (552). Ask its owner for room.",
    553: "The server does not allow this file name (553). Check the file name and the folder in the settings.",
}
"""A repeat would end the same until a person mends it."""

TROUBLE = {
    421: "The server is closing its doors for now (421).",
    425: "The server could not open a connection for the file (425).",
    426: "The server broke the transfer off (426).",
    450: "The server says that the file is busy (450).",
    451: "The server has a fault of its own (451).",
    452: "The server is out of space for now (452).",
}
"""It may pass by itself."""


def passes(code: int) -> bool:
    """Whether the same transfer may succeed later: RFC 959 keeps the codes from 400 to 499 for that."""
    return 400 <= code < 500


def meaning(code: int) -> str:
    """A sentence about a reply code of 300 or higher."""
    known = {**REFUSALS, **TROUBLE}.get(code)
    return known or (f"The server is in trouble ({code})." if passes(code) else f"The server refuses this ({code}).")
