"""Vendor rules for single values."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import normalize

moments = st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(9990, 1, 1), timezones=st.just(UTC))


@given(moments)
def test_milliseconds_are_exact_however_late_it_is(moment):
    written = moment.isoformat().replace("+00:00", "Z")
    assert datetime.fromtimestamp(normalize.epoch_milliseconds(written) // 1000, UTC) == moment.replace(microsecond=0)
    assert normalize.epoch_milliseconds(written) % 1000 == moment.microsecond // 1000


def test_the_moments_of_the_vendors_pages():
    assert normalize.epoch_seconds("2010-01-01T00:00:00Z") == 1262304000
    assert normalize.epoch_milliseconds("2016-11-17T10:06:53.928Z") == 1479377213928
    assert normalize.epoch_milliseconds("2016-11-18T12:10:22.498Z") == 1479471022498
    assert normalize.epoch_seconds("2010-01-01T02:00:00+02:00") == 1262304000


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?", fullmatch=True))
def test_a_decimal_keeps_its_digits_in_json(digits):
    written = normalize.exact_json({"value": Decimal(digits)})
    assert written == f'{{"value":{digits}}}'
    assert json.loads(written, parse_float=str, parse_int=str) == {"value": digits}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_everything_else_is_the_json_that_others_write(value):
    assert json.loads(normalize.exact_json(value)) == value


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
            st.text(st.characters(exclude_categories=["Cs"])),
        )
    )
)
def test_a_query_gives_back_what_was_put_in(pairs):
    written = normalize.query(pairs)
    assert written.isascii() and " " not in written and "@" not in written
    assert parse_qsl(written, keep_blank_values=True) == pairs


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_path_part_never_leaves_its_place(text):
    written = normalize.path_part(text)
    assert not set(written) & set("/?#")
    assert unquote(written) == text


@pytest.mark.parametrize(
    ("number", "places"), [("5", 0), ("5.5", 1), ("-5.50", 2), ("1.200", 3), ("", 0), ("0.125", 3)]
)
def test_decimals_are_counted_as_written(number, places):
    assert normalize.decimals(number) == places


@pytest.mark.parametrize(
    "text", ["5,000", "1.234,56", "12,50", "$5000", "5 €", "€ 12.50", "1'234.50", "1 234", "-$5", "1.234.567", "+1,000"]
)
def test_what_a_person_takes_for_a_number(text):
    assert normalize.looks_like_a_number(text)


@pytest.mark.parametrize(
    "text", ["5000", "49.90", "-3", "+3", "1.234", "Plan 5", "5 apples", "", "$", "1,2,3", "10:30", "2026-01-01", "A,B"]
)
def test_what_is_a_plain_number_or_none_at_all(text):
    assert not normalize.looks_like_a_number(text)


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://a.example", "https://a.example/e"),
        ("https://a.example/", "https://a.example/e"),
        ("http://a.example:81/in/", "http://a.example:81/in/e"),
    ],
)
def test_the_vendors_path_goes_below_the_address(base, url):
    assert normalize.under(base, "/e") == url


def test_http_is_in_clear_unless_it_stays_on_this_machine():
    assert normalize.in_clear("http://trk.kissmetrics.com")
    assert not normalize.in_clear("https://trk.kissmetrics.com")
    assert not normalize.in_clear("http://localhost:8900/kissmetrics")


@given(st.one_of(st.text(), st.integers(), st.lists(st.text()), st.none()))
def test_words_of_a_vendor_can_be_kept_and_shown(value):
    words = normalize.vendor_words(value)
    assert words.isprintable() and len(words) <= 5_000
    words.encode()
