"""From the form of step three to a mapping, and back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from connectors import get
from offline_portal.screens import columns_form

COLUMNS = ["Person", "When", "What", "Amount", "Shop"]
ROWS = [[2, ["ana@example.com", "03.04.2026", "ja", "1.234,50", "Berlin"]], [3, ["", "x", "nein", "7,00", ""]]]
UPLOAD: Any = SimpleNamespace(columns=COLUMNS, sample=ROWS)
KISSMETRICS = get("kissmetrics")


def post(**pairs: str) -> QueryDict:
    form = QueryDict(mutable=True)
    form.update({key.replace("__", ":"): value for key, value in pairs.items()})
    return form


def read(form: QueryDict, kept: dict[str, Any] | None = None) -> dict[str, Any]:
    return columns_form.from_form(form, KISSMETRICS, COLUMNS, kept or {})


def test_columns_fixed_values_and_options():
    form = post(column__identity="0", column__event="=", value__event=" Purchased ", column__timestamp="1")
    form["format:timestamp"], form["timezone:timestamp"], form["default:timestamp"] = (
        "DD.MM.YYYY",
        "Europe/Berlin",
        "",
    )
    form["values:event"] = "ja = yes\nnonsense\nnein = no"
    assert read(form) == {
        "identity": {"column": "Person"},
        "event": {"value": "Purchased", "values": {"ja": "yes", "nein": "no"}},
        "timestamp": {"column": "When", "format": "DD.MM.YYYY", "timezone": "Europe/Berlin"},
    }


def test_any_column_goes_into_a_family_under_any_name():
    form = QueryDict(mutable=True)
    form.update({"tick:property:*:3": "on", "name:property:*:3": "Billed amount", "decimal:property:*:3": ","})
    form.update({"tick:property:*:4": "on", "name:property:*:4": ""})
    form.setlist("fixname:property:*", ["Source", "", "Empty"])
    form.setlist("fixvalue:property:*", ["Shop", "lost", ""])
    assert read(form) == {
        "property:Billed amount": {"column": "Amount", "decimal": ","},
        "property:Shop": {"column": "Shop"},
        "property:Source": {"value": "Shop"},
    }


def test_options_that_the_form_does_not_show_stay():
    form = QueryDict(mutable=True)
    form.update({"tick:property:*:4": "on", "name:property:*:4": "Shop"})
    kept = {"property:Shop": {"column": "Shop", "values": {"a": "b"}, "decimal": "."}}
    assert read(form, kept) == {"property:Shop": {"column": "Shop", "values": {"a": "b"}}}


@pytest.mark.parametrize("choice", ["", "99", "-1", "x", "٣", "1e3"])
def test_a_column_that_is_none_is_nothing(choice: str):
    assert read(post(column__identity=choice)) == {}


@given(
    st.dictionaries(
        st.sampled_from(["identity", "event", "timestamp"]), st.sampled_from([*map(str, range(5)), "="])
    )
)
def test_what_the_page_shows_is_what_the_form_gives_back(chosen: dict[str, str]):
    form = QueryDict(mutable=True)
    form.update(
        {f"column:{key}": choice for key, choice in chosen.items()} | {f"value:{key}": "7" for key in chosen}
    )
    mapping = read(form)
    shown = columns_form.lines(KISSMETRICS, UPLOAD, mapping, {}, {}, {})
    assert {line.key: line.choice for line in shown if line.choice} == chosen


def test_a_moment_is_told_in_the_zone_in_which_it_was_read():
    source = {"column": "When", "format": "DD.MM.YYYY", "timezone": "Europe/Berlin"}
    first, second = columns_form.readings(KISSMETRICS, "timestamp", source, UPLOAD, {})
    assert (first.cell, first.value, first.problem) == ("03.04.2026", "3 April 2026, 00:00 Europe/Berlin", "")
    assert second.cell == "x" and second.value == "" and "no date of the form DD.MM.YYYY" in second.problem


def test_a_source_that_cannot_be_used_says_why_and_breaks_nothing():
    found = columns_form.readings(KISSMETRICS, "timestamp", {"column": "Gone"}, UPLOAD, {})
    assert found[0].problem == "The file has no column Gone."


def test_columns_that_go_nowhere_are_named():
    assert columns_form.unused(UPLOAD, {"identity": {"column": "Person"}}) == ["When", "What", "Amount", "Shop"]


def test_a_family_lists_columns_that_no_other_field_uses():
    mapping = {"identity": {"column": "Person"}, "property:Store": {"column": "Shop"}}
    (family,) = columns_form.families(KISSMETRICS, UPLOAD, mapping, {"property:Store": "no"})
    assert [(one.column, one.name, one.ticked, one.problem) for one in family.members] == [
        ("When", "When", False, ""), ("What", "What", False, ""), ("Amount", "Amount", False, ""),
        ("Shop", "Store", True, "no"),
    ]  # fmt: skip
