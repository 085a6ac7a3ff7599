"""The destinations of a soak: three whose vendor counts repeats once, two whose vendor does not, one that takes files.

One of them, Kameleoon, is asked afterwards what it has stored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

TOKEN = re.compile(r"s\d{4}r\d{5}")
"""The word that tells a row of one file from all rows of all files, wherever it is met."""
SITE = "00000000-0000-0000-0000-000000000000"
HIDDEN = "hidden"
"""No switch of the emulator: while it is on, no visit comes to its end at the vendor."""
NEIGHBOURS = 20
"""So many files in a row, of all destinations, are about the same visitors of Kameleoon."""
VISITORS_ROWS, ROWS_A_VISITOR = 120, 6
ALIKE = 2
"""So many rows of a file differ in nothing that Kameleoon shows; each of its neighbours has as many more."""


@dataclass(frozen=True)
class Vendor:
    """One destination, and what its files look like."""

    name: str
    connector: str
    account: str
    has_key: bool
    """Whether the vendor counts a row once, however often it arrives."""
    header: str
    row: Callable[[str, int], str]
    rows: int
    """Of one file."""
    settings: Mapping[str, Any]
    secrets: Mapping[str, str]
    calm: Mapping[str, Any] = field(default_factory=dict)
    """The emulator's switches while nothing is wrong: answers take a while, as with a vendor far away."""
    shows: bool = False
    """Whether the portal looks there afterwards: the vendor shows a conversion once the visit is over."""
    at_once: int = 2
    """Sends of whole files that are kept under way, or looked for, so that a worker never lacks work."""

    def file(self, number: int) -> str:
        """The text of the file with this number."""
        lines = (self.row(f"s{number:04}r{row:05}", row) for row in range(self.rows))
        return "\n".join((self.header, *lines)) + "\n"

    def switches(self, fault: str, target: int) -> dict[str, Any]:
        """The emulator's switches for a fault of the plan (without its `vendor_`)."""
        own = {"related_digital": _FILES, "qubit": _EVENTS}.get(self.connector, _HTTP)
        return {**self.calm, **own(fault, target)}

    def switches_of_looks(self, fault: str, target: int) -> dict[str, Any]:
        """The same for a fault of looking (without its `look_`)."""
        cut = "after_storing" if target % 2 else "before_storing"
        own = {"forbidden": {"visitor_forbidden": True}, "hidden": {HIDDEN: True}, "in_doubt": {"cut": cut}}
        return {**self.calm, **own[fault]} if fault in own else self.switches(fault, target)


def token(entry: Mapping[str, Any]) -> str:
    """The row that an entry of the vendor's ledger is about."""
    found = TOKEN.search(json.dumps([entry["key"], entry["content"]]))
    return found[0] if found else ""


def _HTTP(fault: str, target: int) -> dict[str, Any]:
    garbage = ("html", "empty", "text", "wrong_json", "truncated_json")[target % 5]
    turn = target // len(VENDORS)
    return {
        "cut_before_storing": {"cut": "before_storing"},
        "cut_after_storing": {"cut": "after_storing"},
        "cut_in_answer": {"cut": "in_answer", "reset": target % 2 == 0},
        "error_500": {"status": 500},
        "error_500_stored": {"status": 500, "store": True},
        "busy_503": {"status": 503, "retry_after": "2"},
        "busy_429": {"retry_after": "date:2" if target % 2 else "1"},
        "slow": {"delay_ms": 1_500 if target % 2 else 60_000},
        "garbage": {"garbage": garbage},
        "mixed": {
            "cut": {"value": "after_storing", "share": 0.3, "seed": target},
            "status": {"value": 503, "share": 0.3, "seed": target + 1},
            "garbage": {"value": garbage, "share": 0.3, "seed": target + 2},
        },
        "refuses": {"status": {"value": (400, 422)[turn % 2], "share": (0.3, 0.9, 1)[turn % 3], "seed": target}},
    }[fault]


def _EVENTS(fault: str, target: int) -> dict[str, Any]:
    """As `_HTTP`, of a vendor that judges each event of a request alone."""
    return {"fail_every": target // len(VENDORS) % 30 + 1} if fault == "refuses" else _HTTP(fault, target)


def _FILES(fault: str, target: int) -> dict[str, Any]:
    return {
        "cut_before_storing": {"cut_transfer": True},
        "cut_after_storing": {"lost_rename": "after"},
        "cut_in_answer": {"lost_rename": "before"},
        "error_500": {"reply": 451},
        "error_500_stored": {"lost_rename": {"value": "after", "share": 0.5, "seed": target}},
        "busy_503": {"reply": 421},
        "busy_429": {"reply": 450},
        "slow": {"slow_transfer": 60_000 if target % 2 else 1_000},
        "garbage": {"cut_transfer": {"value": True, "share": 0.5, "seed": target}},
        "mixed": {
            "cut_transfer": {"value": True, "share": 0.4, "seed": target},
            "lost_rename": {"value": "after", "share": 0.4, "seed": target + 1},
        },
        # It knows no rows, but refuses files until somebody makes room.
        "refuses": {"reply": 552},
    }[fault]


def _time(row: int) -> str:
    return f"2026-10-05 {row // 3600 % 24:02}:{row // 60 % 60:02}:{row % 60:02}"


def _of_a_visitor(token: str, row: int) -> str:
    """A row for Kameleoon. What tells it from some others, its time and custom data, does not come back as its own."""
    number, mates = int(token[1:5]), row % ROWS_A_VISITOR
    visitor = f"visitor-{number // NEIGHBOURS}-{row // ROWS_A_VISITOR}"
    return f"{visitor},36151,{mates // ALIKE + 1}.50,{_time(number * VISITORS_ROWS + row)},{token}"


VENDORS = (
    Vendor(
        "KISSmetrics with times", "kissmetrics", "timed-key-0001", True, "Email,Event,Date,Prop:Billed amount",
        lambda token, row: f"{token}@example.com,Purchased,{_time(row)},{row}.50", 160,
        {"rate": 12}, {"api_key": "timed-key-0001"}, {"delay_ms": 300},
    ),
    Vendor(
        "Tracify orders", "tracify", "tracify-token-0001", True,
        "Type,Date,Email,IP,User agent,Order ID,Amount,Currency",
        lambda token, row: f"purchase,{_time(row)},{token}@example.com,198.51.100.7,Mozilla/5.0,{token},{row}.50,EUR",
        900,
        {"rate": 1, "customer_site_id": SITE, "origin": "https://x.example", "url": "https://x.example/offline"},
        {"token": "tracify-token-0001"}, {"delay_ms": 700},
    ),
    Vendor(
        "Qubit", "qubit", "acme", False, "Visitor ID,Date,Value,Currency,Transaction ID",
        lambda token, row: f"visitor-{row},{_time(row)},{row}.50,EUR,{token}", 900,
        {"rate": 1, "vertical": "ecommerce", "source": "portal@1.0"}, {"tracking_id": "acme"}, {"delay_ms": 700},
    ),
    Vendor(
        "KISSmetrics without times", "kissmetrics", "plain-key-0002", False, "Email,Event,Prop:Billed amount",
        lambda token, row: f"{token}@example.com,Purchased,{row}.50", 160,
        {"rate": 12}, {"api_key": "plain-key-0002"}, {"delay_ms": 300},
    ),
    Vendor(
        "Related Digital", "related_digital", "acme", True,
        "Date,Customer ID,Product code,Quantity,Line total",
        lambda token, row: f"{_time(row)},{token},SKU-{row},1,{row}.50", 400,
        {"protocol": "ftp", "host": "127.0.0.1", "path": "/offline", "timezone": "UTC",
         "filename": "offline_{account}_{YYYYMMDDHHMMSS}_{batch}.csv"},
        {"username": "acme", "password": "p4ss-of-the-server"}, {"slow_transfer": 700},
    ),
    Vendor(
        "Kameleoon, read back", "kameleoon", "f17c21u1ag", True, "Visitor code,Goal ID,Revenue,Date,Custom data 3",
        _of_a_visitor, VISITORS_ROWS,
        {"rate": 20, "site_code": "f17c21u1ag", "identifier": "visitorCode", "verify": True, "readback_after": 0.02,
         "readback_every": 0.04, "readback_tries": 3}, {}, {"delay_ms": 400}, shows=True, at_once=4,
    ),
)  # fmt: skip
