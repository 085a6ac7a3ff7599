"""What a mapping may say, and what it must."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import get
from offline_portal.mapping import MappingIncomplete, MappingInvalid, notes, validate

KISSMETRICS, QUBIT = get("kissmetrics"), get("qubit")
COLUMNS = ["Who", "What", "When", "Plan", "Total"]
WHOLE = {"identity": {"column": "Who"}, "event": {"value": "Purchased"}}


def wrong(mapping, connector=KISSMETRICS, columns=COLUMNS):
    with pytest.raises(MappingInvalid) as raised:
        validate(mapping, connector, columns)
    return raised.value.fields


def test_a_whole_mapping_with_every_option():
    validate(
        {
            "identity": {"column": "Who", "values": {"Bob": "bob@bob.com"}, "default": "nobody"},
            "event": {"value": "Purchased"},
            "timestamp": {"column": "When", "format": "DD.MM.YYYY HH:mm", "timezone": "Europe/Berlin"},
            "property:Billed amount": {"column": "Total", "decimal": ","},
            "property:Plan": {"column": "Plan"},
        },
        KISSMETRICS,
        COLUMNS,
    )


def test_a_saved_mapping_can_be_looked_at_without_a_file():
    validate({"identity": {"column": "Anything"}, "event": {"column": "Whatever"}}, KISSMETRICS)


def test_required_fields_without_a_source_are_named():
    with pytest.raises(MappingIncomplete) as raised:
        validate({"timestamp": {"column": "When"}, "event": {"value": " "}}, KISSMETRICS, COLUMNS)
    assert raised.value.fields == {
        "identity": "Person is required: choose a column or a fixed value.",
        "event": "Event is required: choose a column or a fixed value.",
    }


def test_a_column_that_the_file_does_not_have():
    assert wrong({**WHOLE, "timestamp": {"column": "Whem"}}) == {
        "timestamp": "The file has no column “Whem”. Did you mean “When”?"
    }
    assert wrong({**WHOLE, "timestamp": {"column": "Date"}})["timestamp"].endswith("Choose another one.")


@pytest.mark.parametrize(
    ("key", "source"),
    [
        ("timestamp", {"column": "When", "format": "dd.mm.yyyy"}),
        ("timestamp", {"column": "When", "timezone": "Berlin"}),
        ("timestamp", {"column": "When", "decimal": ","}),
        ("timestamp", {"value": "03.04.2026"}),
        ("timestamp", {"column": "When", "default": "soon"}),
        ("property:Plan", {"column": "Plan", "format": "DD.MM.YYYY"}),
        ("property:Plan", {"column": "Plan", "timezone": "UTC"}),
        ("property:Plan", {"column": "Plan", "decimal": ";"}),
        ("property:Plan", {"value": "x", "decimal": ","}),
        ("property:Plan", {"column": "Plan", "value": "x"}),
        ("property:Plan", {"column": "Plan", "colour": "red"}),
        ("property:Plan", {"column": "Plan", "values": {"a": 1}}),
        ("property:Plan", {"column": "Plan", "values": ["a"]}),
        ("property:Plan", {"column": 3}),
        ("property:Plan", {"value": None}),
        ("property:Plan", {}),
        ("property:Plan", "Plan"),
        ("property:Plan", None),
        ("property: ", {"column": "Plan"}),
        ("plan", {"column": "Plan"}),
    ],
)
def test_a_source_that_cannot_be_used_says_why(key, source):
    fields = wrong({**WHOLE, key: source})
    assert list(fields) == [key]
    assert fields[key].endswith((".", "?"))


def test_every_wrong_source_is_named_at_once():
    assert set(wrong({"identity": {}, "nobody": {"value": "x"}, "timestamp": {"value": "x"}})) == {
        "identity",
        "nobody",
        "timestamp",
    }


def test_two_properties_that_the_vendor_takes_for_one():
    fields = wrong({**WHOLE, "property:Plan": {"column": "Plan"}, "property:plan": {"column": "Total"}})
    assert list(fields) == ["property:plan"] and "Plan" in fields["property:plan"]


def test_a_fixed_value_is_looked_up_before_it_is_read():
    validate({**WHOLE, "timestamp": {"value": "then", "values": {"then": "2026-01-01"}}}, KISSMETRICS, COLUMNS)


def test_a_column_used_twice_is_allowed_and_told():
    mapping = {"identity": {"column": "Who"}, "event": {"column": "Who"}, "property:Plan": {"column": "Plan"}}
    validate(mapping, KISSMETRICS, COLUMNS)
    assert notes(mapping, KISSMETRICS) == dict.fromkeys(["identity", "event"], "The column “Who” is used for 2 fields.")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["column", "value", "format", "timezone", "decimal", "values", "default", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(
    anything
    | st.dictionaries(
        st.sampled_from(["identity", "timestamp", "value", "property:x", "x"]) | st.integers(), anything, max_size=4
    ),
    st.sampled_from([KISSMETRICS, QUBIT]),
)
def test_any_json_is_valid_or_says_why_not(mapping, connector):
    try:
        validate(mapping, connector, COLUMNS)
    except (MappingInvalid, MappingIncomplete) as problem:
        assert problem.fields and all(isinstance(text, str) and text for text in problem.fields.values())
