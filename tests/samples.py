"""The vendors' samples as tests send them: which lines cannot go, and what the vendor must hold of the others.

What a row is at its vendor is computed here from the spreadsheet's own cells, by no code of the portal, and compared
with the ledger of the stand-in.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

from connectors import get

Cells = Mapping[str, str]
"""The cells of a row by the name of their column."""
CASES = Path(__file__).parent / "connectors"
Fact = tuple[Any, ...]
"""What a row says, in words that the spreadsheet and the vendor's ledger share."""


@dataclass(frozen=True)
class Sample:
    """A vendor's sample."""

    slug: str
    mended: tuple[str, str]
    """Column and text that make the first bad line a good one."""
    known_by: tuple[str, int]
    """What a customer would name, and the one line that it is found in."""
    of_row: Callable[[Cells], Fact]
    of_entry: Callable[[dict[str, Any]], Fact]
    """The same from an entry in the ledger."""

    @property
    def destination(self) -> str:
        """The name of the training destination."""
        return f"{get(self.slug).name} (training)"

    @property
    def bad_lines(self) -> list[int]:
        """The lines with a problem, as the vendor's cases tell them."""
        return json.loads((CASES / f"{self.slug}.json").read_text())["sample"]["problem_lines"]

    @property
    def rows(self) -> dict[int, Cells]:
        """All rows by line."""
        header, *rows = get(self.slug).sample
        return {line: dict(zip(header, row, strict=True)) for line, row in enumerate(rows, 2)}

    @property
    def column(self) -> int:
        """The place of the cell that is mended, from 0."""
        return list(self.rows[2]).index(self.mended[0])

    def good(self, mended: bool = False) -> Counter[Fact]:
        """The rows that can be sent; with `mended` also the one that a person mends."""
        good = {line: row for line, row in self.rows.items() if line not in self.bad_lines}
        if mended:
            first = self.bad_lines[0]
            good[first] = {**self.rows[first], self.mended[0]: self.mended[1]}
        return Counter(map(self.of_row, good.values()))

    def each_bad_row_says_why(self, items: Iterable[Mapping[str, Any]]) -> None:
        """`items` are the rows with problems as the API gives them: each line that is bad, its cell and a sentence."""
        told = {item["line"]: item["problems"] for item in items}
        assert sorted(told) == self.bad_lines
        for line, problems in told.items():
            assert problems, line
            for problem in problems:
                assert problem["column"] in self.rows[line] and len(problem["message"].split()) > 3, problem

    def held(self, entries: Iterable[Mapping[str, Any]]) -> Counter[Fact]:
        """What these entries of the ledger say."""
        return Counter(self.of_entry(dict(entry)) for entry in entries)


def _moment(text: str) -> datetime:
    """ISO 8601; what names no zone is in UTC, the portal's default."""
    at = datetime.fromisoformat(text)
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _kissmetrics_row(row: Cells) -> Fact:
    names = {column: column.removeprefix("Prop:") for column in row if column.startswith("Prop:")}
    properties = sorted((name, row[column]) for column, name in names.items() if row[column])
    return row["Email"], row["Event"], int(_moment(row["Date"]).timestamp()), tuple(properties)


def _kissmetrics_entry(entry: dict[str, Any]) -> Fact:
    content = entry["content"]
    return content["person"], content["event"], content["time"], tuple(sorted(content["properties"].items()))


def _kameleoon_row(row: Cells) -> Fact:
    revenue = float(row["Revenue"].replace(" ", "") or 0)
    return row["Visitor code"], int(row["Goal ID"]), revenue, row["Refund"] == "yes", row["Custom data 1"]


def _kameleoon_entry(entry: dict[str, Any]) -> Fact:
    said, (kind, visitor) = entry["content"]["data"], entry["key"]["visitor"]
    assert kind == "visitor"
    return visitor, said["goalId"], said["revenue"], said["negative"], *said["metadata"].get("1", [""])


def _related_digital_row(row: Cells) -> Fact:
    total = Decimal(row["Adet"]) * Decimal(row["Birim fiyat"])
    plain = ("Müşteri", "Kategori", "Ürün kodu", "Şehir", "Mağaza", "Transaction Attr 1")
    return row["Tarih"], Decimal(row["Adet"]), total, *(row[column] for column in plain)


def _related_digital_entry(entry: dict[str, Any]) -> Fact:
    said = entry["content"]["fields"]
    plain = ("Customer ID", "Category", "Event Name", "Var 1", "Var 2", "EventTransaction Attr1")
    assert said["Event Type"] == "7"
    return said["Time Stamp"], Decimal(said["Num1"]), Decimal(said["Num2"]), *(said.get(name, "") for name in plain)


def _qubit_row(row: Cells) -> Fact:
    at = int(_moment(row["Date"]).timestamp() * 1000)
    amount = float(row["Amount"].replace(" ", ""))
    return row["Visitor ID"], at, amount, row["Currency"], row["Order number"] or "made", row["Page"]


def _qubit_entry(entry: dict[str, Any]) -> Fact:
    event = entry["content"]["event"]
    meta, total, order = event["meta"], event["basket"]["total"], event["transaction"]["id"]
    known = order if order.startswith("C-") else "made"
    return event["context"]["id"], meta["ts"], total["value"], total["currency"], known, meta.get("url", "")


def _tracify_row(row: Cells) -> Fact:
    kind, at = row["Type"], f"{_moment(row['Date']):%Y-%m-%d %H:%M:%S}"
    identities = {row["Email"]: 1, f"{row['IP']}|{row['User agent']}": 2, row["IP"]: 3, row["User agent"]: 4}
    hashes = sorted((_tracify_hash(text), number) for text, number in identities.items() if text)
    id = {"purchase": row["Order ID"], "conversion": row["Conversion ID"]}.get(kind, "")
    amount = Decimal(row["Amount"]) if id else None
    return kind, at, row["Page"], tuple(hashes), id, amount, row["Currency"] if id else "", row["ITEM1"] if id else ""


def _tracify_entry(entry: dict[str, Any]) -> Fact:
    event = entry["content"]["event"]
    said = event["data"]
    id = said.get("order_id", "") or said.get("conversion_id", "")
    amount = Decimal(said["amount"]) if "amount" in said else None
    hashes = tuple(sorted(event["identity_data"].items()))
    return (
        event["type"], event["datetime"], event["url"], hashes, id, amount, said.get("currency", ""),
        said.get("ITEM1", ""),
    )  # fmt: skip


def _tracify_hash(text: str) -> str:
    return sha256(sha256(text.encode()).hexdigest()[:-5].encode()).hexdigest()


SAMPLES = (
    Sample("kissmetrics", ("Email", "mended@example.com"), ("P-4102", 3), _kissmetrics_row, _kissmetrics_entry),
    Sample(
        "kameleoon", ("Visitor code", "visitor-mended"), ("s9u3w7y1a5c8e2gk", 5), _kameleoon_row, _kameleoon_entry
    ),
    Sample(
        "related_digital", ("Müşteri", "C-MENDED"), ("PO-779", 4), _related_digital_row, _related_digital_entry
    ),
    Sample("qubit", ("Visitor ID", "visitor-mended"), ("C-20484", 5), _qubit_row, _qubit_entry),
    Sample(
        "tracify", ("User agent", "Mozilla/5.0 (Mended)"), ("alice.meyer@example.com", 3), _tracify_row, _tracify_entry
    ),
)
BY_SLUG = {sample.slug: sample for sample in SAMPLES}
