"""Dates: from what stands in a cell to a moment in UTC."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from connectors.base import Field
from offline_portal.checking import BadFormat, Doubtful, Unfit, compile_format, reader
from offline_portal.checking.dates import zone_named

WHEN = Field("when", "When", "timestamp")
BERLIN = ZoneInfo("Europe/Berlin")


def read(text: str, pattern: str = "", zone=UTC) -> str:
    return reader(WHEN, {"format": pattern} if pattern else {}, zone)(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-04-03", "2026-04-03T00:00:00Z"),
        ("2026-04-03 10:00", "2026-04-03T10:00:00Z"),
        ("2026-04-03T10:00:00", "2026-04-03T10:00:00Z"),
        ("2026-04-03 10:00:00.5", "2026-04-03T10:00:00.500Z"),
        ("2026-04-03T10:00:00,125", "2026-04-03T10:00:00.125Z"),
        ("2026-04-03T10:00Z", "2026-04-03T10:00:00Z"),
        ("2026-04-03t10:00z", "2026-04-03T10:00:00Z"),
        ("2026-04-03T10:00:00+02:00", "2026-04-03T08:00:00Z"),
        ("2026-04-03 10:00:00 +0200", "2026-04-03T08:00:00Z"),
        ("2026-04-03 10:00:00 UTC", "2026-04-03T10:00:00Z"),
        ("2026-04-03T00:30-03:30", "2026-04-03T04:00:00Z"),
        ("20260403", "2026-04-03T00:00:00Z"),
        ("20260403T101500Z", "2026-04-03T10:15:00Z"),
        ("2024-02-29", "2024-02-29T00:00:00Z"),
    ],
)
def test_iso_8601_needs_no_format(text, moment):
    assert read(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "03.04.2026", "4/3/2026", "2026-4-3", "2026-02-29", "2026-13-01", "2026/04/03", "10:00", "yesterday", "46115",
        "2026-04-03x10:00", "2026-04-03 25:00", "2026-04-03T10:00:00+99:00", "1479377213", "0000-00-00", "26-04-03",
        "٢٠٢٦-٠٤-٠٣", "2026-04-03 10:00 Europe/Berlin",
    ],
)  # fmt: skip
def test_nothing_else_is_understood_without_a_format(text):
    with pytest.raises(Unfit) as raised:
        read(text)
    assert raised.value.code == "not_a_date"


@pytest.mark.parametrize(
    ("pattern", "text", "moment"),
    [
        ("DD.MM.YYYY", "03.04.2026", "2026-04-03T00:00:00Z"),
        ("DD.MM.YYYY", "3.4.2026", "2026-04-03T00:00:00Z"),
        ("MM/DD/YYYY", "04/03/2026", "2026-04-03T00:00:00Z"),
        ("D/M/YY", "3/4/26", "2026-04-03T00:00:00Z"),
        ("D/M/YY", "3/4/99", "1999-04-03T00:00:00Z"),
        ("DD.MM.YYYY HH:mm:ss", "03.04.2026 23:59:58", "2026-04-03T23:59:58Z"),
        ("DD.MM.YYYY HH:mm", "03.04.2026   9:05", "2026-04-03T09:05:00Z"),
        ("MM/DD/YYYY h:mm A", "4/3/2026 12:05 am", "2026-04-03T00:05:00Z"),
        ("MM/DD/YYYY h:mm A", "4/3/2026 12:05 P.M.", "2026-04-03T12:05:00Z"),
        ("YYYYMMDDHHmmss", "20260403142530", "2026-04-03T14:25:30Z"),
        ("YYYY/MM/DD", "2026/04/03", "2026-04-03T00:00:00Z"),
        ("YYYY-MM-DDTHH:mm:ss.SSSZ", "2026-04-03T10:00:00.123+02:00", "2026-04-03T08:00:00.123Z"),
        ("DD MMM YYYY", "3 Apr 2026", "2026-04-03T00:00:00Z"),
        ("D. MMMM YYYY", "3. März 2026", "2026-03-03T00:00:00Z"),
        ("D MMMM YYYY", "3 août 2026", "2026-08-03T00:00:00Z"),
        ("D MMMM YYYY", "3 Kasım 2026", "2026-11-03T00:00:00Z"),
        ("MMM DD, YYYY", "sept. 3, 2026", "2026-09-03T00:00:00Z"),
        ("DD.MM.YYYY [um] HH:mm [Uhr]", "03.04.2026 um 10:00 Uhr", "2026-04-03T10:00:00Z"),
        ("X", "1479377213", "2016-11-17T10:06:53Z"),
        ("x", "1479377213928", "2016-11-17T10:06:53.928Z"),
    ],
)
def test_a_format_says_how_to_read(pattern, text, moment):
    assert read(text, pattern) == moment


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("DD.MM.YYYY", "04/03/2026"), ("DD.MM.YYYY", "31.04.2026"), ("DD.MM.YYYY", "03.13.2026"),
        ("DD.MM.YYYY", "03.04.26"), ("DD.MM.YYYY", "03.04.2026 10:00"), ("DD.MM.YYYY HH:mm", "03.04.2026"),
        ("MM/DD/YYYY h:mm A", "4/3/2026 13:05 pm"), ("YYYYMMDD", "2026403"), ("D MMMM YYYY", "3 Brumaire 2026"),
        ("X", "1479377213928"), ("YYYY-DD-MM", "2026-04-13"), ("YYYY-DD-MM", "2026-04-13T10:00"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_format_is_a_problem(pattern, text):
    with pytest.raises(Unfit) as raised:
        read(text, pattern)
    assert raised.value.code == "not_a_date"
    assert text not in raised.value.message


def test_true_workbook_dates_stand_beside_a_format():
    assert read("2026-04-13 00:00:00", "DD.MM.YYYY") == "2026-04-13T00:00:00Z"


@pytest.mark.parametrize(
    "pattern", ["", "DD.MM", "dd.mm.yyyy", "TT.MM.JJJJ", "DD.MM.YYYY hh:mm", "DD.MM.YYYY A", "DD.DD.YYYY",
                "YY YYYY MM DD",
                "MM MMM DD YYYY", "(", "[", "HH:mm", "%d.%m.%Y"]
)  # fmt: skip
def test_a_format_that_says_too_little_or_too_much_is_refused(pattern):
    with pytest.raises(BadFormat) as raised:
        compile_format(pattern)
    assert str(raised.value).endswith(".")


@given(st.text(max_size=30), st.text(max_size=30))
@example("[^\\]", "x")
@example("DD(MM)YYYY+", "01(02)2026+")
def test_any_format_is_refused_or_reads_any_text_or_says_no(pattern, text):
    try:
        parse = compile_format(pattern)
    except BadFormat:
        return
    try:
        assert isinstance(parse(text), datetime)
    except Unfit as unfit:
        assert unfit.code == "not_a_date"


def test_a_time_that_daylight_saving_skips_is_a_problem():
    with pytest.raises(Unfit) as raised:
        read("2026-03-29 02:30", zone=BERLIN)
    assert raised.value.code == "nonexistent_time"
    assert "Europe/Berlin" in raised.value.message


def test_a_time_that_exists_twice_is_the_earlier_one_with_a_warning():
    with pytest.raises(Doubtful) as raised:
        read("2026-10-25 02:30", zone=BERLIN)
    assert raised.value.value == "2026-10-25T00:30:00Z"
    assert raised.value.code == "ambiguous_time"


@pytest.mark.parametrize(("text", "moment"), [
    ("2026-03-29 01:59:59", "2026-03-29T00:59:59Z"), ("2026-03-29 03:00", "2026-03-29T01:00:00Z"),
    ("2026-10-25 03:00", "2026-10-25T02:00:00Z"), ("2026-10-25T02:30+01:00", "2026-10-25T01:30:00Z"),
])  # fmt: skip
def test_around_the_change_every_other_time_is_certain(text, moment):
    assert read(text, zone=BERLIN) == moment


def test_a_date_alone_is_midnight_where_it_happened():
    assert read("2026-04-03", zone=ZoneInfo("America/New_York")) == "2026-04-03T04:00:00Z"


zones = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Casablanca"]
)


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)), zones)
@example(datetime(1, 1, 1), "Asia/Kolkata")
@example(datetime(9999, 12, 31, 23, 59, 59), "America/New_York")
def test_every_local_moment_is_read_back_or_named(moment, zone):
    moment = moment.replace(microsecond=0)
    try:
        value = read(moment.isoformat(sep=" "), zone=zone_named(zone))
    except Unfit as unfit:
        assert unfit.code in ("nonexistent_time", "not_a_date")
        assert unfit.code == "nonexistent_time" or not 1 < moment.year < 9999
        return
    except Doubtful as doubt:
        value = doubt.value
    assert datetime.fromisoformat(value).astimezone(ZoneInfo(zone)).replace(tzinfo=None) == moment


@given(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), st.integers(-14 * 60, 14 * 60), zones)
def test_an_offset_in_the_text_counts_more_than_any_zone(moment, minutes, zone):
    assume(abs(minutes) < 24 * 60)
    hours, rest = divmod(abs(minutes), 60)
    text = f"{moment.replace(microsecond=0).isoformat()}{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"
    value = datetime.fromisoformat(read(text, zone=zone_named(zone)))
    assert value == moment.replace(microsecond=0, tzinfo=UTC) - timedelta(minutes=minutes)


@pytest.mark.parametrize("name", ["Berlin", "Europe", "../etc/passwd", "", "Europe/Berlin ", "/etc/localtime"])
def test_an_unknown_zone_is_named(name):
    with pytest.raises(ValueError, match="There is no time zone"):
        zone_named(name)
