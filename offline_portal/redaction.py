"""What may be stored and shown: secrets taken out for good, personal values masked for display.

Pure functions over text; nothing here knows Django.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

from connectors.base import Connector, Request, Response

SECRET = "••••••"  # noqa: S105 (what stands in the place of a secret)
BODY_KEPT = 64 * 1024
"""Characters of an answer's body, and of its headers, that are kept."""
HEADER_KEPT = 4_096

_SECRET_HEADERS = re.compile(r"auth|cookie|token|secret|password|api-?key|session", re.IGNORECASE)
_SECRET_MEMBERS = re.compile(
    r'("(?:access_token|refresh_token|id_token|client_secret|api_?key|password|secret|token)"\s*:\s*")'
    r'(?:[^"\\]|\\.)*',
    re.IGNORECASE,
)
_SECRET_WORDS = re.compile("token|secret|password|api_?key", re.IGNORECASE)
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def mask(text: str) -> str:
    """A personal value as it may be shown: the first character and the length stay (`b••••••••••`)."""
    return text[:1] + "•" * (len(text) - 1)


def visible(text: str) -> str:
    """`text` with every character that cannot be seen, or that changes how others are shown, written out.

    Tab and line feed stay. Afterwards any database and any terminal can take it.
    """
    # All that _UNSEEN matches is unprintable to Python, and most texts are printable: this is ten times as quick.
    return text if text.isprintable() else _UNSEEN.sub(_written_out, text)


def scrub(text: str, secret_texts: Iterable[str]) -> str:
    """`text` without these secrets, however they are written: plain, URL-encoded, JSON- or HTML-escaped, base64."""
    for form in _forms(tuple(secret_texts)):
        if form in text:
            text = text.replace(form, SECRET)
    return text


def clean(text: str, secret_texts: Iterable[str]) -> str:
    """`text` from outside (a vendor's words, an error) as it may be stored: without secrets, and visible."""
    return visible(scrub(text, secret_texts))


def redact_request(request: Request) -> tuple[str, str, dict[str, str], str]:
    """(method, URL, headers, body) of a request as it may be stored; the body is whole, whatever its size."""
    secrets = request.secret_texts
    body = request.body.decode("utf-8", "backslashreplace")
    return request.method, clean(request.url, secrets), _headers(request.headers, secrets), clean(body, secrets)


def redact_response(response: Response, secret_texts: Iterable[str]) -> tuple[dict[str, str], str]:
    """(headers, body) of an answer as it may be stored; what is over 64 kB of either is cut, and says so."""
    secrets = tuple(secret_texts)
    body = clean(response.body.decode("utf-8", "backslashreplace"), secrets)
    if _SECRET_WORDS.search(body):
        body = _SECRET_MEMBERS.sub(rf"\1{SECRET}", body)
    if len(body) > BODY_KEPT:
        size = f"{len(response.body):,} bytes"
        size = f"more than {size}" if response.truncated else f"{size} in all"
        body = f"{body[:BODY_KEPT]}\n… (cut here; {size})"
    return _cut(_headers(response.headers, secrets)), body


def plain_columns(columns: Sequence[str], mapping: Mapping[str, Mapping[str, Any]], connector: Connector) -> set[str]:
    """The columns that everyone may see: mapped, and to nothing but fields that are not personal."""
    mapped = {source["column"] for source in mapping.values() if "column" in source}
    hidden = {
        source["column"] for key, source in mapping.items() if "column" in source and is_personal(key, connector)
    }
    return (mapped - hidden) & set(columns)


def mask_cells(
    columns: Sequence[str],
    cells: Sequence[str],
    mapping: Mapping[str, Mapping[str, Any]],
    connector: Connector,
) -> list[str]:
    """The cells of a row for auditors and admins: each is masked unless `plain_columns` names its column."""
    plain = plain_columns(columns, mapping, connector)
    named = [*columns, *[""] * (len(cells) - len(columns))]
    return [cell if column in plain else mask(cell) for column, cell in zip(named, cells, strict=False)]


def mask_values(values: Mapping[str, Any], connector: Connector) -> dict[str, Any]:
    """The values of a payload, the personal ones masked."""
    return {key: mask(str(value)) if is_personal(key, connector) else value for key, value in values.items()}


def mask_in(text: str, payloads: Iterable[Mapping[str, Any]], connector: Connector) -> str:
    """A stored request or answer with every personal value of these payloads masked wherever it stands.

    A value of one to three characters is masked only where it stands as a word of its own.
    """
    personal = {
        str(value)
        for values in payloads
        for key, value in values.items()
        if value not in (None, "") and is_personal(key, connector)
    }
    # A file has thousands of values in many spellings: only those that are there make the pattern.
    shown = {form: mask(value) for value in personal for form in _spellings(value) if form in text}
    if not shown:
        return text
    forms = sorted(shown, key=len, reverse=True)
    pattern = "|".join(re.escape(form) if len(form) > 3 else rf"(?<!\w){re.escape(form)}(?!\w)" for form in forms)
    return re.sub(pattern, lambda found: shown[found[0]], text)


def is_personal(key: str, connector: Connector) -> bool:
    """Whether a field holds something about a person; one that the connector does not know might."""
    declared = connector.field(key)
    return declared is None or declared.personal


def _headers(headers: Mapping[str, str], secrets: Sequence[str]) -> dict[str, str]:
    return {
        clean(name, secrets): _scheme(value) if _is_secret_header(name) else clean(value, secrets)
        for name, value in headers.items()
    }


def _cut(headers: dict[str, str]) -> dict[str, str]:
    """No header longer than HEADER_KEPT, and together no more than BODY_KEPT characters."""
    kept: dict[str, str] = {}
    room = BODY_KEPT
    for name, value in headers.items():
        name = name[:HEADER_KEPT]
        kept[name] = value if len(value) <= HEADER_KEPT else f"{value[:HEADER_KEPT]}… (cut here)"
        room -= len(name) + len(kept[name])
        if room < 0:
            kept["…"] = f"(cut here; {len(headers)} headers in all)"
            break
    return kept


@lru_cache(maxsize=1024)
def _is_secret_header(name: str) -> bool:
    return _SECRET_HEADERS.search(name) is not None


def _scheme(value: str) -> str:
    """`Bearer abc` as `Bearer ••••••`: which kind of key it was is no secret."""
    scheme, space, _rest = value.partition(" ")
    return f"{scheme} {SECRET}" if space and scheme in ("Basic", "Bearer", "Digest") else SECRET


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


@lru_cache(maxsize=256)
def _forms(secrets: tuple[str, ...]) -> list[str]:
    """Every way in which the secrets may be written, the longest first."""
    forms = {form for secret in secrets if secret for form in (*_spellings(secret), *_base64_cores(secret))}
    return sorted(forms, key=lambda form: (-len(form), form))


def _spellings(text: str) -> set[str]:
    """All ways in which a text may stand in a URL, a form, JSON or HTML."""
    plain = {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], html.escape(text)}
    plain |= {form.replace("/", "\\/") for form in tuple(plain)}
    raw = text.encode("utf-8", "surrogatepass")
    encoded = {quote(raw, safe=safe) for safe in ("", "/", "@", "!$&'()*+,;=:@/~")} | {quote_plus(raw)}
    encoded |= {quote(form, safe="") for form in tuple(encoded)}
    return plain | encoded | {re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), form) for form in encoded}


def _base64_cores(secret: str) -> set[str]:
    """What the base64 of any text with the secret in it must contain, at each of the three alignments.

    The characters at both ends also depend on the neighbours; they are left over, and tell at most some bits.
    """
    raw = secret.encode("utf-8", "surrogatepass")
    if len(raw) < 6:
        return set()
    cores = set()
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + raw).rstrip(b"=").decode()
        first = -(-before * 8 // 6)
        core = coded[first : (before + len(raw)) * 8 // 6]
        cores |= {core, core.replace("+", "-").replace("/", "_")}
    return cores
