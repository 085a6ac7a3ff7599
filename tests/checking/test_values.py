"""One reader a type: what it takes, what it makes of it, what it says no to."""

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Choice, Field
from offline_portal.checking import Doubtful, Unfit, reader
from offline_portal.checking.currencies import CURRENCIES

TYPES = ("text", "email", "url", "number", "integer", "money", "currency", "timestamp", "boolean", "choice", "secret")
COLOURS = (Choice("red", "Rot"), Choice("dark-blue", "Dunkelblau"))


def read(type_: str, text: str, **source: str):
    made = reader(Field("key", "Label", type_, choices=COLOURS), source, UTC)
    return made(text) if made else text


@pytest.mark.parametrize("text", ["0", "5", "-5", "9.90", "007.50", "-0.001", "123456789012345678.12"])
def test_plain_numbers_stay_as_they_are(text):
    assert read("money", text) == text


@pytest.mark.parametrize(
    "text",
    [
        "12,50",
        "1,234.50",
        "1e3",
        "5.",
        ".5",
        "+5",
        "€5",
        "5 ",
        "NaN",
        "Infinity",
        "0x10",
        "1_000",
        "--5",
        "٣",
        "5-",
        "1" * 41,
    ],
)
def test_without_a_mark_nothing_but_a_plain_number_will_do(text):
    with pytest.raises(Unfit) as raised:
        read("money", text)
    assert raised.value.code == "not_a_number"


@pytest.mark.parametrize(
    ("mark", "text", "number"),
    [
        (",", "1.234,56", "1234.56"), (",", "12,5", "12.5"), (",", "12,50", "12.50"), (",", "1.234", "1234"),
        (",", "1234", "1234"), (",", "-1.234.567,00", "-1234567.00"), (",", "1 234,5", "1234.5"),
        (",", "1\u00a0234,5", "1234.5"), (",", "1\u202f234\u202f567", "1234567"), (",", "1'234,5", "1234.5"),
        (",", "\u22125,0", "-5.0"), (".", "1,234.50", "1234.50"), (".", "1’234.50", "1234.50"),
        (".", "12,34,567.89", "1234567.89"), (".", "0.10", "0.10"), (".", "007", "007"), (",", "+5,5", "5.5"),
    ],
)  # fmt: skip
def test_a_mark_keeps_exactly_the_digits(mark, text, number):
    assert read("money", text, decimal=mark) == number
    assert read("text", text, decimal=mark) == number


@pytest.mark.parametrize(
    ("mark", "text"),
    [
        (",", "12.50"), (",", "1.23,4"), (",", "1.2345"), (",", "1,234,5"), (",", "1.234 567"), (",", "abc"),
        (".", "12,50"), (".", "1,23"), (".", "1.234.567"), (".", "1,2345.0"), (".", "5 USD"), (".", "1e5"),
        (",", ",5"), (",", "5,"), (",", ""), (".", "$"), (".", "$$5"), (".", "1" * 41),
    ],
)  # fmt: skip
def test_a_number_with_the_other_mark_or_odd_groups_is_a_problem(mark, text):
    with pytest.raises(Unfit) as raised:
        read("money", text, decimal=mark)
    assert raised.value.code == "not_a_number"


@pytest.mark.parametrize(
    ("text", "number"), [("1.234,56 €", "1234.56"), ("€ 5", "5"), ("-$5", "-5"), ("₺12,50", "12.50")]
)
def test_a_currency_sign_is_left_out_with_a_word(text, number):
    with pytest.raises(Doubtful) as raised:
        read("money", text, decimal=",")
    assert (raised.value.value, raised.value.code) == (number, "currency_sign_left_out")


@given(st.decimals(-(10**12), 10**12, places=2), st.sampled_from(",."))
def test_numbers_written_with_groups_come_back_digit_by_digit(number, mark):
    other = "." if mark == "," else ","
    written = f"{number:,.2f}".replace(",", "_").replace(".", mark).replace("_", other)
    assert read("money", written, decimal=mark) == f"{number:.2f}"


@pytest.mark.parametrize(("text", "code"), [("eur", "EUR"), ("USD", "USD"), ("Try", "TRY")])
def test_currencies_are_three_letters_of_iso_4217(text, code):
    assert read("currency", text) == code
    for other in ("EURO", "€", "XYZ", "E", "Dollar", "ＥＵＲ"):
        with pytest.raises(Unfit):
            read("currency", other)


def test_the_list_of_currencies_is_whole():
    assert len(CURRENCIES) > 165 and all(len(code) == 3 and code.isascii() and code.isupper() for code in CURRENCIES)
    assert {"EUR", "USD", "GBP", "TRY", "CHF", "JPY", "XCG", "ZWG", "SLE"} <= CURRENCIES
    assert not {"XXX", "XTS", "DEM", "TRL"} & CURRENCIES


@pytest.mark.parametrize(
    "text", ["bob@bob.com", "Ünal+x@ex-ample.com.tr", '"odd one"@example.com'.replace(" ", "."), "a@localhost"]
)
def test_emails_are_taken_leniently(text):
    assert read("email", text) == text


@pytest.mark.parametrize("text", ["bob", "bob@", "@bob", "bob @bob.com", "bob@bob.com, al@bob.com", "bob@@bob.com"])
def test_what_no_vendor_could_call_an_email(text):
    with pytest.raises(Unfit) as raised:
        read("email", text)
    assert raised.value.code == "not_an_email"


@pytest.mark.parametrize("text", ["https://example.com", "http://127.0.0.1:8900/a?b=c#d", "HTTPS://EXAMPLE.com/Ü"])
def test_whole_web_addresses(text):
    assert read("url", text) == text


@pytest.mark.parametrize(
    "text", ["example.com", "/page", "ftp://example.com", "javascript:alert(1)", "https://", "http://[",
             "https://a b.com",
             "https://exa\nmple.com", "mailto:a@b.c"]
)  # fmt: skip
def test_half_web_addresses(text):
    with pytest.raises(Unfit) as raised:
        read("url", text)
    assert raised.value.code == "not_a_url"


def test_yes_and_no_in_four_languages():
    for word in ("TRUE", "yes", "1", "Ja", "oui", "evet", "Vrai", "EVET", "DOĞRU"):
        assert read("boolean", word) is True
    for word in ("FALSE", "No", "0", "nein", "Non", "hayır", "Faux", "HAYIR"):
        assert read("boolean", word) is False
    with pytest.raises(Unfit):
        read("boolean", "perhaps")


def test_choices_by_value_or_by_label():
    assert read("choice", "RED") == "red"
    assert read("choice", "dunkelblau") == "dark-blue"
    with pytest.raises(Unfit) as raised:
        read("choice", "green")
    assert "red, dark-blue" in raised.value.message


def test_whole_numbers():
    assert read("integer", "-42") == "-42"
    assert read("integer", "1.234", decimal=",") == "1234"
    for text in ("4.0", "1,000", "x", "4 2"):
        with pytest.raises(Unfit) as raised:
            read("integer", text)
        assert raised.value.code == "not_a_whole_number"
    with pytest.raises(Unfit):
        read("integer", "1,5", decimal=",")


def test_too_long_is_said_before_anything_else():
    made = reader(Field("key", "Label", "url", max_length=20), {}, UTC)
    with pytest.raises(Unfit) as raised:
        made("https://example.com/a/b")
    assert raised.value.code == "too_long"
    assert made("https://example.com") == "https://example.com"


@given(st.sampled_from(TYPES), st.text(min_size=1), st.sampled_from(["", ".", ","]))
def test_any_text_is_a_value_or_a_problem_that_does_not_quote_it(type_, text, mark):
    try:
        value = read(type_, text, decimal=mark)
    except Doubtful as doubt:
        value = doubt.value
    except Unfit as unfit:
        assert unfit.code and unfit.message.endswith(".")
        assert len(text) < 8 or text not in unfit.message
        return
    assert value is True or value is False or isinstance(value, str)


@given(st.text(min_size=1))
def test_texts_stay_as_they_are(text):
    assert read("text", text) == text
