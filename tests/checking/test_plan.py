"""A row is judged in one pass: a payload, or everything that is wrong with it."""

from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Connector, Field, Issue
from offline_portal.checking import compile_plan
from offline_portal.checking.plan import HARMLESS
from offline_portal.intake import HARMLESS as HARMLESS_TO_INTAKE

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
COLUMNS = ["Who", "When", "How much", "Note"]


class Shop(Connector):
    """A vendor with one field of each kind that matters here."""

    slug, name = "shop", "Shop"
    fields = (
        Field("person", "Person", "email", True, personal=True, role="person"),
        Field("time", "Time", "timestamp", role="time", window_days=7),
        Field("amount", "Amount", "money", True),
        Field("extra:*", "Extra", max_length=10),
    )

    def check(self, values, settings):
        issues = (
            [Issue("amount", "negative", "Shop takes no refunds.")] if values.get("amount", "").startswith("-") else []
        )
        if "time" not in values:
            issues.append(Issue("time", "no_time", "Shop takes the time of sending.", warning=True))
        if "amount" not in values:
            issues.append(Issue("amount", "no_amount", "Shop needs an amount."))
        values["computed"] = "yes"
        return issues


class Found(NamedTuple):
    """As intake tells of a defect."""

    line: int | None
    column: str | None
    code: str
    message: str


WHOLE = {
    "person": {"column": "Who"},
    "time": {"column": "When"},
    "amount": {"column": "How much"},
    "extra:note": {"column": "Note"},
}


def check(cells, mapping=None, found=None, settings=None, zone="UTC"):
    return compile_plan(Shop(), mapping or WHOLE, COLUMNS, settings or {}, zone, NOW).check(cells, found)


def codes(notes):
    return [(note["field"], note["column"], note["code"]) for note in notes]


def test_a_good_row_is_a_payload_in_the_order_of_the_fields():
    mapping = dict(reversed(WHOLE.items()))
    values, problems, warnings = check([" a@b.c ", "2026-11-09", "5.00", ""], mapping)
    assert list(values.items()) == [
        ("person", "a@b.c"), ("time", "2026-11-09T00:00:00Z"), ("amount", "5.00"), ("computed", "yes"),
    ]  # fmt: skip
    assert problems == [] and warnings == []


def test_all_problems_at_once_each_at_its_cell():
    values, problems, _ = check(["nobody", "soon", "a lot", "longer than ten"])
    assert values is None
    assert codes(problems) == [
        ("person", "Who", "not_an_email"),
        ("time", "When", "not_a_date"),
        ("amount", "How much", "not_a_number"),
        ("extra:note", "Note", "too_long"),
    ]
    assert all(set(problem) == {"field", "column", "code", "message"} for problem in problems)


def test_the_vendors_own_rules_do_not_repeat_what_the_cell_already_says():
    assert codes(check(["a@b.c", "2026-11-09", "x", ""]).problems) == [("amount", "How much", "not_a_number")]
    assert codes(check(["a@b.c", "2026-11-09", "-5", ""]).problems) == [("amount", "How much", "negative")]


def test_a_required_cell_may_not_be_empty_an_optional_one_is_left_out():
    values, problems, warnings = check(["", " ", "\u00a0", "\t"])
    assert values is None
    assert codes(problems) == [("person", "Who", "missing"), ("amount", "How much", "missing")]
    assert codes(warnings) == [("time", "When", "no_time")]


def test_a_default_stands_in_for_an_empty_cell_and_a_lookup_translates():
    mapping = WHOLE | {
        "amount": {"column": "How much", "default": " 1 "},
        "extra:note": {"column": "Note", "values": {" y": "yes ", "n": ""}, "default": "unknown"},
    }
    assert check(["a@b.c", "", "", " y "], mapping).values["extra:note"] == "yes"
    assert check(["a@b.c", "", "", "n"], mapping).values["extra:note"] == "unknown"
    assert check(["a@b.c", "", "", "other"], mapping).values == {
        "person": "a@b.c", "amount": "1", "extra:note": "other", "computed": "yes",
    }  # fmt: skip


def test_a_fixed_value_is_read_like_a_cell():
    mapping = {"person": {"value": " a@b.c "}, "amount": {"value": "1.234,5", "decimal": ","}}
    assert check([], mapping).values == {"person": "a@b.c", "amount": "1234.5", "computed": "yes"}
    assert codes(check([], {**mapping, "person": {"value": "x"}}).problems) == [("person", None, "not_an_email")]


@pytest.mark.parametrize(
    ("source", "settings", "moment"),
    [
        ({"timezone": "Asia/Tokyo"}, {"timezone": "Europe/Berlin"}, "2026-11-08T15:00:00Z"),
        ({}, {"timezone": "Europe/Berlin"}, "2026-11-08T23:00:00Z"),
        ({}, {"timezone": ""}, "2026-11-09T05:00:00Z"),
        ({}, {}, "2026-11-09T05:00:00Z"),
    ],
)
def test_whose_zone_counts(source, settings, moment):
    mapping = WHOLE | {"time": {"column": "When", **source}}
    assert check(["a@b.c", "2026-11-09", "1", ""], mapping, None, settings, "America/New_York").values["time"] == moment


@pytest.mark.parametrize(
    ("when", "told"),
    [
        ("2026-11-11T11:00Z", []), ("2026-11-11T13:00Z", ["in_the_future"]), ("2062-11-10", ["in_the_future"]),
        ("2026-11-03T13:00Z", []), ("2026-11-03T11:00Z", ["long_ago"]), ("1970-01-01", ["long_ago"]),
    ],
)  # fmt: skip
def test_moments_ahead_or_long_ago_are_warned_of(when, told):
    values, problems, warnings = check(["a@b.c", when, "1", ""])
    assert values and problems == []
    assert [warning["code"] for warning in warnings] == told


def test_a_row_too_short_for_the_mapping_has_empty_cells():
    assert codes(check(["a@b.c"]).problems) == [("amount", "How much", "missing")]


def test_what_intake_found_makes_the_row_a_problem():
    found = [Found(7, None, "too_few_cells", "Line 7 has 2 cells."), Found(7, "Who", "undecodable", "Look at it.")]
    values, problems, _ = check(["a@b.c", "2026-11-09", "1", ""], None, found)
    assert values is None
    assert codes(problems) == [("", None, "too_few_cells"), ("person", "Who", "undecodable")]


def test_a_broken_cell_that_is_not_sent_stops_nothing():
    mapping = {key: WHOLE[key] for key in ("person", "amount")}
    found = [Found(7, "Note", "cell_error", "#N/A"), Found(7, "Note", "too_many_cells", "Shifted.")]
    checked = check(["a@b.c", "2026-11-09", "1", "#N/A"], mapping, found[:1])
    assert checked.values and codes(checked.warnings)[-1] == ("", "Note", "cell_error")
    assert check(["a@b.c", "2026-11-09", "1", "#N/A"], mapping, found).values is None


def test_what_intake_calls_harmless_only_warns():
    assert HARMLESS == HARMLESS_TO_INTAKE
    for code in HARMLESS:
        checked = check(["a@b.c", "2026-11-09", "1", ""], None, [Found(7, "Who", code, "Told.")])
        assert checked.values and codes(checked.warnings) == [("person", "Who", code)]


@pytest.mark.parametrize(
    "mapping",
    [{"nobody": {"value": "x"}}, {"person": {"column": "Nobody"}},
     {"time": {"column": "When", "timezone": "Here"}}, {"time": {"column": "When", "format": "soon"}}]
)  # fmt: skip
def test_a_mapping_that_is_not_valid_cannot_be_compiled(mapping):
    with pytest.raises(ValueError):
        compile_plan(Shop(), mapping, COLUMNS, {}, "UTC")


def test_two_columns_of_one_name_count_as_the_first():
    plan = compile_plan(Shop(), {"person": {"column": "Who"}, "amount": {"value": "1"}}, ["Who", "Who"], {}, "UTC")
    assert plan.check(["a@b.c", "x@y.z"]).values["person"] == "a@b.c"


anything = st.text(st.characters()) | st.sampled_from(["", " ", "2026-11-09", "5", "\ud800", "a@b.c", "1.234,5"])


@given(st.lists(anything, max_size=6), st.sampled_from(["", ".", ","]), st.sampled_from(["", "DD.MM.YYYY"]))
def test_any_cells_are_judged(cells, mark, pattern):
    mapping = WHOLE | {
        "amount": {"column": "How much", "decimal": mark},
        "time": {"column": "When", "format": pattern, "timezone": "Europe/Berlin"},
    }
    values, problems, warnings = check(cells, mapping)
    assert (values is None) == bool(problems)
    if values is not None:
        assert all(text == text.strip() and text for text in values.values())
        "".join(values.values()).encode()
    for note in (*problems, *warnings):
        assert note["field"] in WHOLE and note["code"]
        cell = cells[COLUMNS.index(note["column"])] if COLUMNS.index(note["column"]) < len(cells) else ""
        assert len(cell) < 8 or cell not in note["message"]


@given(st.emails(), st.integers(-(10**9), 10**9), st.text(st.characters(exclude_categories=["Cs"]), max_size=10))
def test_what_is_sent_is_what_stood_in_the_cells(person, cents, note):
    amount = f"{abs(cents) // 100}.{abs(cents) % 100:02}"
    checked = check([f" {person}\n", "2026-11-09 10:00", f"\t{amount} ", note])
    sent = dict(checked.values)
    assert (sent["person"], sent["amount"], sent.get("extra:note", "")) == (person, amount, note.strip())
