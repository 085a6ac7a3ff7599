"""Secrets never come through; personal values are masked; nothing unseen is stored."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Connector, Field, Request, Response
from offline_portal import redaction

KEY = "s3cr+t/k&y=ü\"'<1>"


class Vendor(Connector):
    slug = name = "vendor"
    fields = (
        Field("email", "E-mail", "email", personal=True),
        Field("order", "Order"),
        Field("property:*", "Property", personal=True),
        Field("url_parameter:*", "Parameter"),
    )


VENDOR = Vendor()

SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "quoted": quote,
    "quoted whole": lambda text: quote(text, safe=""),
    "quoted plus": quote_plus,
    "quoted in small letters": lambda text: quote_plus(text).replace("%2B", "%2b").replace("%2F", "%2f")
    .replace("%3D", "%3d").replace("%C3%BC", "%c3%bc").replace("%3C", "%3c").replace("%3E", "%3e"),
    "quoted twice": lambda text: quote(quote(text, safe=""), safe=""),
    "JSON": json.dumps,
    "JSON with its letters": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON with escaped slashes": lambda text: json.dumps(text).replace("/", "\\/"),
    "HTML": html.escape,
}  # fmt: skip


def test_mask_keeps_the_first_character_and_the_length():
    assert redaction.mask("bob@bob.com") == "b••••••••••"
    assert redaction.mask("") == ""
    assert redaction.mask("x") == "x"
    assert redaction.mask("über") == "ü•••"


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("secret", [KEY, "plain-key-1234", "with space and ~tilde"])
def test_a_secret_is_taken_out_however_it_is_written(spelling: str, secret: str):
    written = SPELLINGS[spelling](secret)
    found = redaction.scrub(f"before {written} between {written} after", [secret])
    assert written.strip('"') not in found
    assert found.startswith("before ") and found.endswith(" after")
    assert found.count(redaction.SECRET) == 2


@given(st.text(min_size=1, max_size=30), st.text(max_size=20), st.text(max_size=20))
def test_no_plain_or_encoded_form_survives(secret: str, before: str, after: str):
    for write in (str, lambda text: quote(text.encode("utf-8", "surrogatepass"), safe="")):
        found = redaction.scrub(before + write(secret) + after, [secret])
        # What stands around may by chance be the mask itself.
        assert write(secret) not in found.replace(redaction.SECRET, "") or secret in before + after + "•"


@pytest.mark.parametrize("before", ["", "u", "us", "user:", "user:x", "user:xy"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_inside_base64_is_taken_out(before: str, encode: Callable[[bytes], bytes]):
    secret = "correct-horse?battery>staple"
    coded = encode(f"{before}{secret}:tail".encode()).decode()
    found = redaction.scrub(f"Basic {coded}", [secret])
    assert found.count(redaction.SECRET) == 1
    # At most one character at each end also depends on what stands beside the secret.
    assert len(coded) - len(found.removeprefix("Basic ").replace(redaction.SECRET, "")) >= len(secret) * 8 // 6 - 2


def test_the_longer_secret_goes_first():
    assert redaction.scrub("key=abc123xyz", ["abc123", "abc123xyz"]) == f"key={redaction.SECRET}"
    assert redaction.scrub("nothing here", ["", "absent"]) == "nothing here"


def test_a_request_is_stored_without_its_secrets():
    url = f"https://trk.example/e?_k={quote_plus(KEY)}&_p=bob"
    headers = {"Authorization": "Bearer abc", "X-Api-Key": "abc", "User-Agent": "Portal", "Cookie": "sid=1"}
    request = Request("POST", url, headers, json.dumps({"key": KEY}).encode(), (KEY,))
    method, stored_url, stored_headers, body = redaction.redact_request(request)
    assert (method, stored_url) == ("POST", f"https://trk.example/e?_k={redaction.SECRET}&_p=bob")
    assert stored_headers == {
        "Authorization": f"Bearer {redaction.SECRET}",
        "X-Api-Key": redaction.SECRET,
        "User-Agent": "Portal",
        "Cookie": redaction.SECRET,
    }
    assert json.loads(body) == {"key": redaction.SECRET}


def test_an_answer_is_stored_readable_and_cut():
    response = Response(200, {"Set-Cookie": "a=b", "Content-Type": "image/gif"}, b"GIF89a\x01\x00\xff\x1b[2J")
    headers, body = redaction.redact_response(response, ())
    assert headers == {"Set-Cookie": redaction.SECRET, "Content-Type": "image/gif"}
    assert body == "GIF89a␁␀\\xff␛[2J"
    _headers, body = redaction.redact_response(Response(200, {}, b"x" * 100_000), ())
    assert body.startswith("x" * redaction.BODY_KEPT + "\n…") and body.endswith("(cut here; 100,000 bytes in all)")


    _headers, body = redaction.redact_response(Response(200, {}, b"x" * 100_000, truncated=True), ())
    assert body.endswith("(cut here; more than 100,000 bytes)")


def test_headers_without_measure_are_cut():
    many = {f"X-{n}": "y" * 30_000 for n in range(100)} | {"X-Last": "z"}
    headers, _body = redaction.redact_response(Response(200, many, b""), ())
    assert sum(len(name) + len(value) for name, value in headers.items()) < redaction.BODY_KEPT + 5_000
    assert headers["X-0"].endswith("… (cut here)") and headers["…"] == "(cut here; 101 headers in all)"
    few = {"Date": "Sat, 21 Nov 2026 04:00:00 GMT", "X": "y" * redaction.HEADER_KEPT}
    assert redaction.redact_response(Response(200, few, b""), ())[0] == few


def test_a_secret_that_the_cut_would_halve_is_gone():
    text = "x" * (redaction.BODY_KEPT - 4) + "secret-key-1234"
    _headers, body = redaction.redact_response(Response(200, {}, text.encode()), ("secret-key-1234",))
    assert "secr" not in body


def test_tokens_in_an_answer_are_secrets_that_nobody_named():
    body = b'{"access_token": "ey\\"J0", "expires_in": 3600, "Token":"x"}'
    _headers, stored = redaction.redact_response(Response(200, {}, body), ())
    assert json.loads(stored) == {"access_token": redaction.SECRET, "expires_in": 3600, "Token": redaction.SECRET}


@given(st.text())
def test_visible_text_fits_every_database(text: str):
    shown = redaction.visible(text)
    assert "\0" not in shown
    shown.encode()
    assert redaction.visible(shown) == shown


def test_what_turns_text_around_is_written_out():
    assert redaction.visible("a\u202eb\u2028c\ufeff\r\n\td") == "a\\u202eb\\u2028c\\ufeff␍\n\td"


COLUMNS = ["Mail", "Order", "Both", "Note", "Plan"]
MAPPING = {
    "email": {"column": "Mail"},
    "order": {"column": "Order"},
    "property:a": {"column": "Both"},
    "url_parameter:a": {"column": "Both"},
    "property:Plan": {"column": "Plan"},
    "url_parameter:b": {"value": "fixed"},
}


def test_cells_are_masked_unless_every_use_of_the_column_is_harmless():
    shown = redaction.mask_cells(COLUMNS, ["a@b.c", "O-1", "both", "private", "gold", "too many"], MAPPING, VENDOR)
    assert shown == ["a••••", "O-1", "b•••", "p••••••", "g•••", "t•••••••"]
    assert redaction.mask_cells(COLUMNS, ["a@b.c", "O-1"], MAPPING, VENDOR) == ["a••••", "O-1"]
    assert redaction.mask_cells(COLUMNS, ["a@b.c", "O-1"], {}, VENDOR) == ["a••••", "O••"]


def test_values_of_a_payload_are_masked():
    values = {"email": "a@b.c", "order": "O-1", "unheard of": 42}
    assert redaction.mask_values(values, VENDOR) == {"email": "a••••", "order": "O-1", "unheard of": "4•"}


def test_personal_values_are_masked_inside_a_stored_exchange():
    values = [{"email": "bob+x@bob.com", "order": "O-1"}, {"email": "ann@b.c", "property:n": "7"}]
    url = "https://v/e?p=bob%2Bx%40bob.com&q=bob%2bx@bob.com&o=O-1&n=7&t=1700"
    shown = redaction.mask_in(url, values, VENDOR)
    masked = redaction.mask("bob+x@bob.com")
    assert shown == f"https://v/e?p={masked}&q={masked}&o=O-1&n=7&t=1700"
    body = json.dumps([{"m": "bob+x@bob.com"}, {"m": "ann@b.c"}])
    assert redaction.mask_in(body, values, VENDOR) == json.dumps(
        [{"m": masked}, {"m": redaction.mask("ann@b.c")}], ensure_ascii=False
    )
    assert redaction.mask_in("nothing", [], VENDOR) == "nothing"
