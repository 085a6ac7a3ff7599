"""Columns find their fields: by name, by alias, from memory, by likeness, by what stands in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import get
from offline_portal.mapping import FormatNeeded, MappingIncomplete, MappingInvalid, auto, suggest, validate

KISSMETRICS, QUBIT = get("kissmetrics"), get("qubit")


def found(connector, columns, rows=(), remembered=None):
    return {one.field: one for one in suggest(connector, columns, list(rows), remembered)}


def test_one_suggestion_a_field_in_the_order_declared_then_the_families():
    fields = [one.field for one in suggest(KISSMETRICS, ["Prop:B", "property:A", "Event"], [])]
    assert fields == ["identity", "event", "timestamp", "property:B", "property:A"]


@pytest.mark.parametrize(
    "columns",
    [
        ["Visitor ID", "Timestamp", "Amount", "Currency", "Order ID"],
        ["Besucher-ID", "Datum", "Betrag", "Währung", "Bestellnummer"],
        ["Identifiant visiteur", "Date de commande", "Montant total", "Devise", "Numéro de commande"],
        ["Ziyaretçi kimliği", "Sipariş tarihi", "Toplam tutar", "Para birimi", "Sipariş No"],
        ["visitor_id", "timestamp", "value", "currency", "transaction_id"],
    ],
)
def test_four_languages_need_nobody(columns):
    chosen = auto(QUBIT, columns, [["v", "2026-01-13", "5.00", "EUR", "1"]])
    assert chosen == {
        key: {"column": column}
        for key, column in zip(["visitor_id", "timestamp", "value", "currency", "transaction_id"], columns, strict=True)
    }
    validate(chosen, QUBIT, columns)


def test_every_suggestion_has_a_reason_and_a_confidence():
    for one in suggest(QUBIT, ["Visitor ID", "Dat", "Total sum", "x"], [["v", "2026-01-01", "5", "EUR"]]):
        assert one.reason.endswith(".") and 0 <= one.confidence <= 1
        assert (one.column is None) == (one.confidence == 0)


def test_surer_matches_have_more_confidence():
    rows = [["a@b.c", "x", "2026-01-01"]]
    same = found(KISSMETRICS, ["identity"])["identity"]
    alias = found(KISSMETRICS, ["E-Mail"])["identity"]
    slip = found(KISSMETRICS, ["Identitty"])["identity"]
    sample = found(KISSMETRICS, ["Anmeldung", "", "Zzz"], rows)["identity"]
    assert same.confidence > alias.confidence > slip.confidence > sample.confidence > 0
    assert [same.how, alias.how, slip.how, sample.how] == ["name", "alias", "similar", "samples"]


def test_only_sure_matches_go_without_a_person():
    columns, rows = ["Identitty", "Event", "Zzz"], [["a@b.c", "x", "2026-01-01"]]
    assert found(KISSMETRICS, columns, rows)["timestamp"].column == "Zzz"
    chosen = auto(KISSMETRICS, columns, rows)
    assert chosen == {"event": {"column": "Event"}}
    with pytest.raises(MappingIncomplete) as raised:
        validate(chosen, KISSMETRICS, columns)
    assert list(raised.value.fields) == ["identity"]


def test_a_column_goes_to_one_field_only():
    taken = [one.column for one in suggest(QUBIT, ["Order", "Date", "Total"], [["1", "2026-01-01", "5"]]) if one.column]
    assert sorted(taken) == ["Date", "Order", "Total"]


def test_of_two_columns_the_one_whose_cells_fit_is_taken():
    columns, rows = ["Time", "Sold on"], [["morning", "2026-01-01"], ["noon", "2026-01-02"]]
    assert auto(KISSMETRICS, columns, rows) == {"timestamp": {"column": "Sold on"}}


def test_only_columns_that_say_so_become_properties():
    columns = ["Email", "Event", "Phone", "Prop:Plan", "property:_k", "PROP:plan"]
    assert auto(KISSMETRICS, columns, []) == {
        "identity": {"column": "Email"}, "event": {"column": "Event"}, "property:Plan": {"column": "Prop:Plan"},
    }  # fmt: skip
    remembered = {"property:Telephone": {"column": "Phone"}}
    assert auto(KISSMETRICS, columns, [], remembered)["property:Telephone"] == {"column": "Phone"}


def test_what_was_used_last_time_comes_first_with_all_its_options():
    last = {
        "timestamp": {"column": "Closed", "format": "DD.MM.YYYY", "timezone": "Europe/Berlin"},
        "event": {"value": "Sale"},
    }
    columns, rows = ["Email", "Date", "Closed"], [["a@b.c", "2026-01-01", "01.02.2026"]]
    assert auto(KISSMETRICS, columns, rows, last) == {
        "identity": {"column": "Email"}, "timestamp": last["timestamp"], "event": {"value": "Sale"},
    }  # fmt: skip
    assert found(KISSMETRICS, columns, rows, last)["timestamp"].reason == "Used last time for this destination."


def test_a_column_of_the_right_name_beats_a_fixed_value_of_last_time():
    assert auto(KISSMETRICS, ["Event"], [], {"event": {"value": "Sale"}})["event"] == {"column": "Event"}


def test_memory_of_other_columns_and_fields_is_forgotten():
    last = {"timestamp": {"column": "Gone"}, "nobody": {"column": "Date"}}
    assert auto(KISSMETRICS, ["Date"], [["2026-01-01"]], last) == {"timestamp": {"column": "Date"}}


def test_a_remembered_format_that_reads_nothing_any_more_is_replaced():
    last = {"timestamp": {"column": "Date", "format": "DD.MM.YYYY"}}
    assert auto(KISSMETRICS, ["Date"], [["4/13/2026"]], last) == {
        "timestamp": {"column": "Date", "format": "MM/DD/YYYY"}
    }


def test_formats_are_proposed_from_the_samples():
    chosen = auto(QUBIT, ["Date", "Amount"], [["13.04.2026 10:00", "1.234,50"], ["01.04.2026 11:00", "7"]])
    assert chosen == {
        "timestamp": {"column": "Date", "format": "DD.MM.YYYY HH:mm"}, "value": {"column": "Amount", "decimal": ","},
    }  # fmt: skip


def test_two_ways_to_read_need_a_person():
    with pytest.raises(FormatNeeded) as raised:
        auto(QUBIT, ["Date", "Amount", "Order"], [["03.04.2026", "1.234", "1"]])
    assert set(raised.value.fields) == {"timestamp", "value"}
    assert "DD.MM.YYYY" in raised.value.fields["timestamp"] and "Date" in raised.value.fields["timestamp"]
    shown = found(QUBIT, ["Date"], [["03.04.2026"]])["timestamp"]
    assert shown.both == ("DD.MM.YYYY", "MM.DD.YYYY") and shown.confidence == 0.5


def test_columns_without_rows_and_rows_that_are_too_short():
    assert auto(KISSMETRICS, ["Email", "Date"], [[], ["a@b.c"]]) == {
        "identity": {"column": "Email"},
        "timestamp": {"column": "Date"},
    }


sources = st.fixed_dictionaries({},
    optional={"column": st.sampled_from(["Date", "Event", "x"]), "value": st.text(max_size=3),
                                              "format": st.sampled_from(["DD.MM.YYYY", "X"])})  # fmt: skip


@given(
    st.lists(
        st.sampled_from(["Date", "Event", "Email", "Prop:A", "prop:a", "Total", "Order no", "x"]) | st.text(),
        unique=True,
    ),
    st.lists(
        st.lists(st.sampled_from(["2026-01-01", "13.04.2026", "1,5", "EUR", ""]) | st.text(), max_size=8), max_size=4
    ),
    st.dictionaries(st.sampled_from(["timestamp", "event", "property:x", "url", "nobody"]), sources),
    st.sampled_from([KISSMETRICS, QUBIT]),
)
def test_whatever_auto_chooses_is_valid(columns, rows, remembered, connector):
    try:
        chosen = auto(connector, columns, rows, remembered)
    except FormatNeeded:
        return
    try:
        validate(chosen, connector, columns)
    except MappingIncomplete as incomplete:
        assert set(incomplete.fields) <= {field.key for field in connector.fields if field.required is True}
    except MappingInvalid as invalid:
        assert set(invalid.fields) <= set(remembered), "only what was remembered may be beyond use"
