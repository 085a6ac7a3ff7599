"""What the cells of a column say of its dates and numbers."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Field
from offline_portal.checking import reader
from offline_portal.checking.dates import zone_named
from offline_portal.mapping.samples import Guess, date_format, decimal_mark, kind_of, looks_like


@pytest.mark.parametrize(
    ("values", "choice"),
    [
        ([], None), (["2026-04-03", "2026-04-13 10:00"], None), (["soon", "later"], None),
        (["03.04.2026", "13.04.2026"], "DD.MM.YYYY"), (["3/4/2026", "3/14/2026"], "MM/DD/YYYY"),
        (["03.04.26", "31.12.25"], "DD.MM.YY"), (["2026/04/03"], "YYYY/MM/DD"), (["2026.4.3"], "YYYY.MM.DD"),
        (["13.04.2026 10:00"], "DD.MM.YYYY HH:mm"), (["13.04.2026, 10:00:59"], "DD.MM.YYYY, HH:mm:ss"),
        (["4/13/2026 1:05 PM"], "MM/DD/YYYY h:mm A"), (["4/13/2026 1:05pm"], "MM/DD/YYYY h:mmA"),
        (["13.04.2026 10:00:00,5"], "DD.MM.YYYY HH:mm:ss,SSS"),
        (["3 Apr 2026"], "DD MMM YYYY"), (["3. April 2026"], "DD. MMM YYYY"),
        (["April 3, 2026 9:00 AM"], "MMM DD, YYYY h:mm A"),
        (["03-Apr-26"], "DD-MMM-YY"), (["1479377213", "1479377299"], "X"), (["1479377213928"], "x"),
        (["2026-04-03", "2026-04-04", "13.04.2026"], None), (["2026-04-03", "13.04.2026", "14.04.2026"], "DD.MM.YYYY"),
        (["31.31.2026", "13.04.2026"], "DD.MM.YYYY"),
    ],
)  # fmt: skip
def test_the_format_of_dates(values, choice):
    assert date_format(values) == Guess(choice)


@pytest.mark.parametrize(
    "values", [["03.04.2026"], ["1/2/2026", "3/4/2026"], ["13.04.2026", "04.13.2026"], ["01.02.26 10:00"]]
)
def test_day_and_month_that_could_change_places(values):
    guess = date_format(values)
    assert guess.choice is None
    day_first, month_first = guess.both
    assert day_first.startswith("DD") and month_first.startswith("MM")


@pytest.mark.parametrize(
    ("values", "guess"),
    [
        ([], Guess()), (["5", "49.90"], Guess()), (["abc"], Guess()), (["12,50", "5"], Guess(",")),
        (["1.234,50", "1.000"], Guess(",")), (["1,234.50", "1,000"], Guess(".")), (["1 234"], Guess(".")),
        (["1.234"], Guess(both=(".", ","))), (["1,234", "5"], Guess(both=(".", ","))), (["1.234", "12.50"], Guess()),
        (["1.234", "12,50"], Guess(",")), (["12.50", "12,50"], Guess(both=(".", ","))),
        (["12.50"] * 9 + ["12,50"], Guess(".")), (["5 €", "1,50 €"], Guess(",")), (["€ 5"], Guess(".")),
    ],
)  # fmt: skip
def test_the_decimal_mark_of_numbers(values, guess):
    assert decimal_mark(values) == guess


def test_kinds_of_columns_and_examples():
    assert looks_like("timestamp", ["13.04.2026", "14.04.2026", "x"])
    assert looks_like("timestamp", ["03.04.2026"])
    assert not looks_like("timestamp", ["x", "y", "13.04.2026"])
    assert looks_like("money", ["12,50", "n/a", "7"]) and not looks_like("money", ["n/a"])
    assert looks_like("currency", ["EUR", "usd"]) and not looks_like("currency", ["Berlin"])
    assert looks_like("email", ["a@b.de"]) and not looks_like("email", []) and not looks_like("text", ["x"])
    assert kind_of("bob@bob.com") == "email" and kind_of("unique-id") is None and kind_of("") is None
    assert kind_of("5000") is None


PATTERNS = ["DD.MM.YYYY", "MM/DD/YYYY", "DD/MM/YYYY HH:mm", "YYYY/MM/DD HH:mm:ss"]
STRFTIME = {"YYYY": "%Y", "MM": "%m", "DD": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}


@given(
    st.lists(st.datetimes(datetime(2000, 1, 1), datetime(2068, 1, 1)), min_size=1, max_size=20),
    st.sampled_from(PATTERNS),
)
def test_a_format_once_found_reads_every_date_right(moments, pattern):
    written_as = pattern
    for token, directive in STRFTIME.items():
        written_as = written_as.replace(token, directive)
    values = [moment.strftime(written_as) for moment in moments]
    guess = date_format(values)
    if guess.both:
        assert pattern in guess.both and all(moment.day < 13 for moment in moments)
        return
    assert guess.choice == pattern
    read = reader(Field("when", "When", "timestamp"), {"format": guess.choice}, zone_named("UTC"))
    for moment, value in zip(moments, values, strict=True):
        assert datetime.fromisoformat(read(value)).strftime(written_as) == value, moment


@given(st.lists(st.text(), max_size=5))
def test_any_cells_can_be_looked_at(values):
    date_format(values)
    decimal_mark(values)
    for kind in ("timestamp", "money", "currency", "email", "url", "text"):
        looks_like(kind, values)
