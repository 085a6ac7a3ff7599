"""Headers and the names of fields."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Field
from offline_portal.mapping.names import likeness, match, member, plain, words

ORDER = Field("order_id", "Order number", aliases=("Bestellnummer", "sipariş no", "n° de commande"))
PROPERTY = Field("property:*", "Property", aliases=("prop:*", "Özellik:*"))
ITEM = Field("item:*", "Item", aliases=("item*", "Artikel*"))


@pytest.mark.parametrize(
    ("header", "how"),
    [
        ("order_id", "name"), ("Order ID", "name"), ("orderId", "name"), ("ORDER NUMBER", "name"),
        (" order-number: ", "name"),
        ("bestellnummer", "alias"), ("Sipariş No", "alias"), ("SIPARIS NO", "alias"), ("SİPARİŞ NO", "alias"),
        ("N° de commande", "alias"), ("order", None), ("", None), ("---", None), ("Order ID (2)", None),
    ],
)  # fmt: skip
def test_a_header_is_one_of_the_fields_names(header, how):
    found = match(ORDER, header)
    assert (found.how if found else None) == how


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("property:Plan", "property:Plan"), ("Prop:Billed amount", "property:Billed amount"),
        ("PROP : a:b ", "property:a:b"),
        ("özellik:Şehir", "property:Şehir"), ("OZELLIK:x", "property:x"), ("Prop:", None), ("Prop", None),
        ("Plan", None), ("my prop:x", None), ("property:*", "property:*"),
    ],
)  # fmt: skip
def test_a_header_names_a_member_of_a_family(header, key):
    assert member(PROPERTY, header) == key


@pytest.mark.parametrize(
    ("header", "key"),
    [("ITEM1", "item:1"), ("Item 12", "item:12"), ("artikel_3", "item:3"), ("item:4", "item:4"), ("Item name", None)],
)
def test_a_family_without_a_colon_has_numbered_members(header, key):
    assert member(ITEM, header) == key


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("utm_source", "url:utm_source"), (" UTM_Source ", "url:UTM_Source"), ("url:x", "url:x"), ("utm_", None),
        ("utm source", None), ("my_utm_source", None),
    ],
)  # fmt: skip
def test_a_family_with_a_low_line_takes_the_whole_header(header, key):
    assert member(Field("url:*", "URL parameter", aliases=("utm_*",)), header) == key


def test_words_of_a_header():
    assert words("orderId") == ("order", "id")
    assert words("Käufer_E-Mail (privat)") == ("kaufer", "e", "mail", "privat")
    assert plain("Währung") == plain("WAHRUNG") == "wahrung"
    assert plain("sipariş tarihi") == plain("SİPARİŞ TARİHİ")


def test_likeness_finds_slips_and_additions_but_not_strangers():
    assert likeness(ORDER, "Order nummber") > 84
    assert likeness(ORDER, "Order number (shop)") > 84
    assert likeness(ORDER, "Reorder level") < 84
    assert likeness(Field("date", "Date"), "Updated") < 84


@given(st.text(), st.text())
def test_any_header_can_be_looked_at(header, label):
    field = Field("key", label, aliases=(header[:3], "x*"))
    match(field, header)
    assert 0 <= likeness(field, header) <= 100
    assert member(PROPERTY, header) is None or PROPERTY.covers(member(PROPERTY, header))
