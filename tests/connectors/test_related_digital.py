"""Related Digital's connector and the imitated reader were written apart: what is ready here is taken there."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

import connectors
from connectors.base import Payload
from connectors.by_file import Frame
from connectors.emulator.vendors import discover
from connectors.related_digital import line_total
from offline_portal.checking import compile_plan

CONNECTOR = connectors.get("related_digital")
NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
SECRETS = {"username": "u", "password": "p"}
MAPPING = {
    "timestamp": {"column": "when"}, "customer_id": {"column": "who"}, "event_name": {"column": "what"},
    "num1": {"column": "pieces"}, "unit_price": {"column": "price"}, "var1": {"column": "note"},
    "transaction_attr:4": {"column": "purchase"},
}  # fmt: skip
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.sampled_from(['"', ";", 'a;"b"', ""])
numbers = st.decimals(-(10**9), 10**9, places=3).map(str) | texts
rows = st.fixed_dictionaries({
    "when": st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(str) | texts, "who": texts, "what": texts,
    "pieces": numbers, "price": numbers, "note": texts, "purchase": texts,
})  # fmt: skip
settings = st.fixed_dictionaries({
    "header": st.booleans(), "zip": st.booleans(), "decimal": st.sampled_from([".", ","]),
    "timezone": st.sampled_from(["Europe/Istanbul", "UTC", "Pacific/Kiritimati", "America/New_York"]),
})  # fmt: skip


@given(found=st.lists(rows, min_size=1, max_size=4), chosen=settings)
def test_every_row_that_is_ready_is_taken_by_the_reader(found: list[dict[str, str]], chosen: dict) -> None:
    plan = compile_plan(CONNECTOR, MAPPING, list(found[0]), {"host": "h", **chosen}, "UTC", NOW)
    ready = [Payload(values) for row in found if (values := plan.check(list(row.values())).values)]
    if not ready:
        return
    name = "a.zip" if chosen["zip"] else "a.csv"
    file = CONNECTOR.build_file(ready, {"host": "h", **chosen}, SECRETS, Frame(name, tuple(MAPPING)))  # type: ignore[attr-defined]
    judged = discover()["related_digital"].read_file(name, file.content)  # type: ignore[attr-defined]
    assert [(one.verdict, one.reason) for one in judged] == [("effective", "")] * len(ready)
    first = int(file.headers["First-Line"])
    assert [one.key["line"] for one in judged] == list(range(first, first + len(ready)))
    for payload, one in zip(ready, judged, strict=True):
        fields, values = one.content["fields"], payload.values
        assert fields["Num2"].replace(",", ".") == values["num2"]
        assert fields["Customer ID"].split() == re.sub("[\x00-\x1f\x7f]", " ", values["customer_id"]).split()


@given(st.decimals(-(10**12), 10**12, places=4), st.decimals(-(10**12), 10**12, places=3))
def test_a_line_total_is_exact_and_keeps_the_decimals_of_the_price(quantity: Decimal, price: Decimal) -> None:
    total = line_total(f"{quantity:f}", f"{price:f}")
    assert Fraction(total) == Fraction(quantity) * Fraction(price)
    assert len(total.partition(".")[2]) >= len(f"{price:f}".partition(".")[2])


def test_the_name_of_a_file_is_plain_and_its_own() -> None:
    moment = datetime(2026, 1, 1, 22, 30, tzinfo=UTC)
    name = CONNECTOR.file_name({}, "Mağaza / Köln & Söhne", moment, "7-1")  # type: ignore[attr-defined]
    assert name == "offline_maaza-kln-shne_20260102013000_7-1.csv"
    zipped = {"filename": "{batch}.v1", "zip": True, "timezone": "UTC"}
    assert CONNECTOR.file_name(zipped, "店", moment, "7-2") == "7-2.zip"  # type: ignore[attr-defined]
    assert "_related_digital_" in CONNECTOR.file_name({}, "店", moment, "7-3")  # type: ignore[attr-defined]
