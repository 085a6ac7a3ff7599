"""What a destination's name, settings and secrets may be, from its connector's declaration. Nothing is stored here."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import SplitResult, urlsplit
from zoneinfo import available_timezones

from django.conf import settings as portal

from connectors.addresses import is_public
from connectors.base import Connector, Field

LONGEST_TEXT = 2_000
LONGEST_SECRET = 8_000
MOST_A_SECOND = 5_000
ADDRESSES = ("base_url", "token_url")
"""Settings that the portal itself connects to; other URLs are only sent along."""


_INSIDE = "This address lies inside our own network. Give the vendor's public address."


class Wrong(ValueError):
    """One value that cannot be taken; the text says to a person what to do."""


def clean_settings(connector: Connector, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings to store, defaults filled in, and what is wrong by `settings.KEY`.

    An empty text or None stands for the default.
    """
    values: dict[str, Any] = {}
    wrong = _unknown("settings", connector.settings, given, connector)
    for field in connector.settings:
        try:
            value = _value(field, given.get(field.key))
        except Wrong as error:
            wrong[f"settings.{field.key}"] = str(error)
            continue
        if value is not None:
            values[field.key] = value
        elif field.required is True:
            wrong[f"settings.{field.key}"] = f"{field.label} is missing."
    for key, message in _across(connector, values).items():
        wrong.setdefault(key, message)
    return values, wrong


def clean_secrets(
    connector: Connector, given: Mapping[str, Any], already: frozenset[str] = frozenset()
) -> tuple[dict[str, str | None], dict[str, str]]:
    """The secrets to seal (None: to forget) and what is wrong by `secrets.KEY`; `already` are those set before."""
    wrong = _unknown("secrets", connector.secrets, given, connector)
    values: dict[str, str | None] = {}
    for field in connector.secrets:
        name, text = f"secrets.{field.key}", given.get(field.key)
        if field.key in given and text is not None and not isinstance(text, str):
            wrong[name] = f"{field.label} must be a text."
        elif text and (len(text) > LONGEST_SECRET or _has_controls(_in_one_line(text) if field.multiline else text)):
            wrong[name] = f"{field.label} is too long or has characters that cannot be seen. Copy it once more."
        elif text and text.strip():
            values[field.key] = text.strip()
        elif field.required is True and (field.key in given or field.key not in already):
            wrong[name] = f"{field.label} is missing."
        elif field.key in given:
            values[field.key] = None
    return values, wrong


def clean_name(text: Any) -> str:
    """A destination's name. Raises Wrong."""
    name = text.strip() if isinstance(text, str) else ""
    if not name:
        raise Wrong("Give the destination a name.")
    if len(name) > 120 or _has_controls(name):
        raise Wrong("A name has at most 120 characters and no line breaks.")
    return name


def _unknown(where: str, fields: tuple[Field, ...], given: Mapping[str, Any], connector: Connector) -> dict[str, str]:
    known = {field.key for field in fields}
    shown = ", ".join(sorted(known)) or "none"
    return {
        f"{where}.{key}"[:100]: f"{connector.name} has no such entry. It has: {shown}."
        for key in given
        if key not in known
    }


def _value(field: Field, given: Any) -> Any:
    """One setting as it is stored; None for nothing. Raises Wrong."""
    if given is None or (isinstance(given, str) and not given.strip()):
        given = field.default
    if given is None or given == "":
        return None
    if field.type == "boolean":
        return _boolean(field, given)
    if field.type in ("number", "money", "integer"):
        return _number(field, given)
    if not isinstance(given, str):
        raise Wrong(f"{field.label} must be a text.")
    text = given.strip()
    if len(text) > (field.max_length or LONGEST_TEXT) or _has_controls(text):
        raise Wrong(f"{field.label} is too long or has characters that cannot be seen.")
    if field.choices and text not in {choice.value for choice in field.choices}:
        raise Wrong(f"{field.label} must be one of: {', '.join(choice.value for choice in field.choices)}.")
    if field.type == "url":
        _split(field, text)
    if field.key == "timezone" and text not in available_timezones():
        raise Wrong("Give the time zone by its IANA name, such as Europe/Berlin.")
    return text


def _boolean(field: Field, given: Any) -> bool:
    words = {"true": True, "on": True, "false": False, "off": False}
    value = words.get(given.lower()) if isinstance(given, str) else given
    if not isinstance(value, bool):
        raise Wrong(f"{field.label} must be true or false.")
    return value


def _number(field: Field, given: Any) -> int | float:
    if isinstance(given, bool) or not isinstance(given, (int, float, str)):
        raise Wrong(f"{field.label} must be a number.")
    try:
        number = Decimal(str(given).strip())
    except InvalidOperation:
        raise Wrong(f"{field.label} must be a number, such as 10 or 0.5.") from None
    if not number.is_finite() or abs(number) > 10**12:
        raise Wrong(f"{field.label} must be an ordinary number.")
    if field.key == "rate" and not 0 < number <= MOST_A_SECOND:
        raise Wrong(f"{field.label} must be above 0 and at most {MOST_A_SECOND}.")
    if number == number.to_integral_value():
        return int(number)
    if field.type == "integer":
        raise Wrong(f"{field.label} must be a whole number.")
    return float(number)


def _split(field: Field, text: str) -> SplitResult:
    """The parts of a URL. Raises Wrong when it is none, or has parts that an address must not have."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, SplitResult("", "", "", "", "")
    odd = any(character.isspace() or character in "\\<>\"'{}|^`" for character in text)
    if parts.scheme not in ("http", "https") or not host or port == 0 or odd:
        raise Wrong(f"{field.label} must be a web address, such as https://vendor.example.com.")
    if field.key in ADDRESSES and ("?" in text or "#" in text or "@" in parts.netloc):
        raise Wrong(f"{field.label} has a scheme, a host, and where needed a port and a path; nothing else.")
    return parts


def _across(connector: Connector, values: Mapping[str, Any]) -> dict[str, str]:
    """Rules over several settings, and what an address may point at."""
    issues = connector.check_settings(values)
    wrong = {f"settings.{issue.field}": issue.message for issue in issues if not issue.warning}
    if portal.PORTAL_ALLOW_PRIVATE_DESTINATIONS:
        return wrong
    # A connector that only warns of an unencrypted address allows it: KISSmetrics documents http.
    in_clear_allowed = {issue.field for issue in issues if issue.warning and issue.code == "unencrypted"}
    for key in ADDRESSES:
        parts = urlsplit(str(values.get(key) or ""))
        if not parts.hostname:
            continue
        if parts.scheme == "http" and key not in in_clear_allowed:
            wrong[f"settings.{key}"] = "Use https: with http everybody on the way can read the data."
        if _is_private(parts.hostname):
            wrong[f"settings.{key}"] = _INSIDE
    if connector.transport == "file" and _is_private(str(values.get("host") or "")):
        wrong["settings.host"] = _INSIDE
    return wrong


def _is_private(host: str) -> bool:
    """What shows without asking the name service; the connection itself looks at the resolved address again."""
    numeric = ":" in host or host.rstrip(".").rpartition(".")[2].isdigit()
    local = host.rstrip(".").lower()
    return (numeric and not is_public(host)) or local == "localhost" or local.endswith(".localhost")


def _in_one_line(text: str) -> str:
    return " ".join(text.splitlines())


def _has_controls(text: str) -> bool:
    return any(unicodedata.category(character) in ("Cc", "Cs") for character in text)
