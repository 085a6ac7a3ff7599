"""KISSmetrics: the tracking URL, one event a request, and an answer that proves nothing.

Wire contract and sources: docs/vendors/kissmetrics.md.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from connectors import headers, normalize
from connectors.base import (
    USER_AGENT,
    Answered,
    Connector,
    Field,
    Issue,
    Outcome,
    Payload,
    Request,
    Response,
)

PROPERTY = "property:"
EARLIEST = "2009-01-01"
LATEST = "5138-11-16T09:46:40"  # the vendor's URL builder takes 100000000000 and more for milliseconds
LONGEST_NAME = 255
LONGEST_VALUE = 512
LONGEST_VALUE_EVER = 8 * 1024
LONG_URL = 2_048
LONGEST_URL = 8_000
_ROOM_FOR_HOST_AND_KEY = 200
_ORDER = re.compile(r"\b(id|no|nr|number|reference|\w*nummer|numéro|numarası)\b\.?$", re.IGNORECASE)


class KISSmetrics(Connector):
    """`GET /e` with everything in the query; always answered 200 and a pixel, whatever was sent."""

    slug = "kissmetrics"
    name = "KISSmetrics"
    docs = "https://support.kissmetrics.io/reference/api-specifications-1"
    api_version = "tracking URL /e"
    default_base_url = "https://trk.kissmetrics.com"
    default_rate = 10.0
    best_evidence = "delivered"
    similar_warning = (
        "An earlier line has the same person, event and second but other properties. Under its older rule "
        "KISSmetrics keeps only the first of them: if both happened, give them different times."
    )

    secrets = (
        Field(
            "api_key", "API key", "secret", True, example="foo",
            help="From the settings page of your KISSmetrics product. A wrong key is not reported by KISSmetrics: "
            "everything sent with it is lost.",
        ),
    )  # fmt: skip

    fields = (
        Field(
            "identity", "Person", "text", True, personal=True, role="person", example="bob@bob.com",
            max_length=LONGEST_NAME,
            help="Who did it: the same identity that your website gives to KISSmetrics, mostly the e-mail address.",
            aliases=headers.EMAIL + headers.CUSTOMER + ("_p", "km identity"),
        ),
        Field(
            "event", "Event", "text", True, example="Purchased", max_length=LONGEST_NAME,
            help="What happened, by the name that KISSmetrics knows, such as Purchased. The same for all rows? "
            "Then give it as a fixed value. Commas and colons become spaces there.",
            aliases=(*headers.EVENT, "_n"),
        ),
        Field(
            "timestamp", "Date and time", "timestamp", role="time", example="2010-01-01 00:00:00",
            help="When it happened. Without it KISSmetrics takes the moment of sending, and a row whose answer is "
            "lost cannot be repeated safely. Nothing before 2009 is kept.",
            aliases=(*headers.TIME, "_t"),
        ),
        Field(
            "property:*", "Property", "text", personal=True, example="5000",
            help="Anything else about the event, under any name: Billed amount, Plan, Store. A number must be plain "
            "(5000 or 49.90), else KISSmetrics keeps it as text. A refund has a negative amount.",
            aliases=("prop:*", "properties:*", "km:*", "Eigenschaft:*", "propriété:*", "özellik:*"),
        ),
    )  # fmt: skip

    sample = (
        ("Email", "Event", "Date", "Prop:Billed amount", "Prop:Plan", "Prop:Store", "Prop:Order ID"),
        ("bob@bob.com", "Purchased", "2026-10-05 09:14:00", "5000", "Enterprise", "Phone", "P-4101"),
        ("alice.meyer@example.com", "Purchased", "2026-10-05 10:02:31", "249.90", "Team", "Berlin", "P-4102"),
        ("j.okafor@example.com", "Signed contract", "2026-10-05 11:45:10", "12000", "Enterprise", "Phone", "P-4103"),
        ("marie.dubois@example.fr", "Purchased", "2026-10-05 13:20:00", "89.00", "Starter", "Lyon", "P-4104"),
        ("ayse.yilmaz@example.com.tr", "Purchased", "2026-10-05 14:05:42", "1290.50", "Team", "İstanbul", "P-4105"),
        ("tom+offers@example.co.uk", "Booked demo", "2026-10-06", "", "", "Phone", ""),
        ("", "Purchased", "2026-10-06 09:00:00", "49.90", "Starter", "Phone", "P-4107"),
        ("li.wei@example.cn", "Purchased", "2026-10-06 09:31:15", "310", "Team", "Shop 12", "P-4108"),
        ("sara.lind@example.se", "Purchased", "2026-10-06T10:12:00+02:00", "75.25", "Starter", "Malmö", "P-4109"),
        ("bob@bob.com", "Refunded", "2026-10-06 11:00:00", "-500", "Enterprise", "Phone", "P-4110"),
        ("carlos.ruiz@example.es", "Purchased", "6 October", "120.00", "Starter", "Madrid", "P-4111"),
        ("nina.k@example.de", "Purchased", "2026-10-06 15:48:09", "19.90", "Starter", "Köln", "P-4112"),
        ("peter.novak@example.cz", "Signed contract", "2026-10-07 08:30:00", "8400", "Enterprise", "Phone", "P-4113"),
        ("hannah@example.at", "", "2026-10-07 09:10:00", "59.00", "Starter", "Wien", "P-4114"),
        ("olu.adeyemi@example.ng", "Purchased", "2026-10-07 09:59:59", "430.00", "Team", "Phone", "P-4115"),
        ("emma.j@example.com", "Purchased", "2006-10-07 10:30:00", "99.00", "Starter", "Phone", "P-4116"),
        ("yuki.tanaka@example.jp", "Purchased", "2026-10-07 11:11:11", "220", "Team", "Shop 3", "P-4117"),
        ("fatma.demir@example.com.tr", "Booked demo", "2026-10-07 12:00:00", "", "", "Ankara", ""),
        ("lucas.martin@example.fr", "Purchased", "2026-10-08 09:05:00", "64.90", "Starter", "Paris", "P-4119"),
        ("ivan.petrov@example.bg", "Purchased", "2026-13-08 09:20:00", "75.00", "Starter", "Phone", "P-4120"),
        ("grace.hall@example.com", "Purchased", "2026-10-08 10:15:30", "1,200", "Team", "Phone", "P-4121"),
        ("mia.rossi@example.it", "Signed contract", "2026-10-08 13:40:00", "15600", "Enterprise", "Milano", "P-4122"),
        ("noah.berg@example.no", "Purchased", "2026-10-08 16:22:08", "39.00", "Starter", "Oslo", "P-4123"),
        ("zoe.papas@example.gr", "Purchased", "2026-10-09 09:00:00", "145.00", "Team", "Phone", "P-4124"),
        ("sam.lee@example.com", "Booked demo", "2026-10-09 10:30:00", "", "", "Phone", ""),
    )

    def check_settings(self, settings: Mapping[str, Any]) -> list[Issue]:
        """The URL carries the key and an identity, so plain http is allowed but not without a word."""
        if normalize.in_clear(str(settings.get("base_url") or self.default_base_url)):
            message = "With http everybody on the way can read the API key and the e-mail addresses. Use https."
            return [Issue("base_url", "unencrypted", message, warning=True)]
        return []

    def check_keys(self, keys: Collection[str]) -> list[Issue]:
        """Names with a leading underscore are the vendor's own; names that differ only in case are one name."""
        issues: list[Issue] = []
        seen: dict[str, str] = {}
        for key in keys:
            if not key.startswith(PROPERTY):
                continue
            name = key.removeprefix(PROPERTY).strip()
            if name.startswith("_"):
                issues.append(Issue(key, "reserved_name", "KISSmetrics keeps names that begin with _ for itself."))
            elif len(name) > LONGEST_NAME:
                issues.append(Issue(key, "too_long", f"A property's name has at most {LONGEST_NAME} characters."))
            elif (first := seen.setdefault(normalize.same_name(name), key)) != key:
                message = f"To KISSmetrics this is the same name as “{first.removeprefix(PROPERTY)}”. Keep one of them."
                issues.append(Issue(key, "same_name", message))
        return issues

    def check(self, values: dict[str, Any], settings: Mapping[str, Any]) -> list[Issue]:
        """All that the vendor would lose, cut or change without saying so."""
        issues: list[Issue] = []
        moment = values.get("timestamp")
        if moment is None:
            message = "Without a date KISSmetrics takes the moment of sending."
            issues.append(Issue("timestamp", "no_timestamp", message, warning=True))
        elif moment < EARLIEST:
            message = "KISSmetrics silently drops what lies before 2009. Correct the date, or leave the row out."
            issues.append(Issue("timestamp", "before_2009", message))
        elif moment >= LATEST:
            issues.append(Issue("timestamp", "too_far_away", "KISSmetrics takes no such year. Correct the date."))
        most = _ROOM_FOR_HOST_AND_KEY + len(settings.get("base_url", ""))
        for key, value in values.items():
            # Three bytes a character is the most that ASCII takes when percent-encoded; UTF-8 takes twelve.
            most += 3 * (len(key) + len(value)) if value.isascii() and key.isascii() else 12 * (len(key) + len(value))
            if key.startswith(PROPERTY):
                if len(value) > LONGEST_VALUE or not value.isalnum():
                    issues += _value_issues(key, value)
            elif key != "timestamp" and ("," in value or ":" in value):
                message = "KISSmetrics turns commas and colons into spaces here."
                issues.append(Issue(key, "changed_by_vendor", message, warning=True))
        if most > LONG_URL:
            issues += self._length_issues(values, settings)
        return issues

    def _length_issues(self, values: dict[str, Any], settings: Mapping[str, Any]) -> list[Issue]:
        size = len(self._url(values, settings, "0" * 40))
        longest = max(values, key=lambda key: len(values[key]))
        message = f"The row makes a web address of {size} characters, and this is its longest part. "
        if size > LONGEST_URL:
            return [Issue(longest, "url_too_long", message + f"Shorten it: the most is {LONGEST_URL}.")]
        if size > LONG_URL:
            message += f"Above {LONG_URL} it may get lost on the way."
            return [Issue(longest, "url_long", message, warning=True)]
        return []

    def duplicate_key(self, values: Mapping[str, Any]) -> Sequence[Any] | None:
        """Person, event, second and properties: the vendor's present rule ("Detecting duplicates")."""
        similar = self.similar_key(values)
        if similar is None:
            return None
        named = sorted((normalize.same_name(name), value) for name, value in _properties(values))
        return [*similar, *(text for pair in named for text in pair)]

    def similar_key(self, values: Mapping[str, Any]) -> Sequence[Any] | None:
        """Person, event and second: the vendor's rule until about 2016."""
        if "timestamp" not in values:
            return None
        second = str(normalize.epoch_seconds(values["timestamp"]))
        return [values["identity"], normalize.same_name(values["event"]), second]

    def identifiers(self, values: Mapping[str, Any]) -> list[tuple[str, str]]:
        """The person, who stands for the row, and every property that is named like the number of an order.

        Properties are personal, so that of `P-4101` only the P would be shown: the same in every row.
        """
        orders = [(key, value) for key, value in values.items() if key.startswith(PROPERTY) and _ORDER.search(key)]
        return super().identifiers(values) + orders

    def harmless_to_repeat(self, values: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
        """With a time of its own a repeat counts once under both rules; without one it is a second event."""
        return "timestamp" in values

    def build(self, payloads: Sequence[Payload], settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Request:
        """The tracking URL of the one payload. Raises ValueError for more than one: there is no bulk form."""
        [payload] = payloads
        url = self._url(payload.values, settings, secrets["api_key"])
        return Request("GET", url, {"User-Agent": USER_AGENT}, secret_texts=(secrets["api_key"],))

    def _url(self, values: Mapping[str, Any], settings: Mapping[str, Any], api_key: str) -> str:
        pairs = [("_k", api_key), ("_n", values.get("event", "")), ("_p", values.get("identity", ""))]
        pairs += _properties(values)
        if "timestamp" in values:
            # The vendor ignores _t unless _d=1 says that it counts.
            pairs += [("_t", str(normalize.epoch_seconds(values["timestamp"]))), ("_d", "1")]
        return self._address(settings) + "?" + normalize.query(pairs)

    def _address(self, settings: Mapping[str, Any]) -> str:
        return normalize.under(settings.get("base_url") or self.default_base_url, "/e")

    def read(self, response: Response, payloads: Sequence[Payload]) -> list[Outcome]:
        """Delivered, no more: the vendor answers right and wrong events alike.

        Raises Answered for a status that is not 2xx.
        """
        if not 200 <= response.status < 300:
            raise Answered(response.status)
        return [Outcome(True, "delivered") for _ in payloads]

    def probe(self, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Request | None:
        """The tracking address without any parameter: it names no product, so nothing can be stored."""
        return Request("GET", self._address(settings), {"User-Agent": USER_AGENT})

    def describe_probe(self, response: Response) -> tuple[bool, str]:
        """Works when the address answers as it answers everything: 2xx."""
        if 200 <= response.status < 300:
            return True, (
                "The tracking address answers. Whether the API key is right KISSmetrics tells nobody: "
                "send one row and look for it in KISSmetrics Live."
            )
        return False, f"The address answers with status {response.status}; KISSmetrics answers 200. Check the address."


def _properties(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(key[len(PROPERTY) :].strip(), value) for key, value in values.items() if key.startswith(PROPERTY)]


def _value_issues(key: str, value: str) -> list[Issue]:
    if len(value) > LONGEST_VALUE and len(value.encode()) > LONGEST_VALUE_EVER:
        return [Issue(key, "too_long", "A property's value has at most 8 KB. Shorten it.")]
    if len(value) > LONGEST_VALUE:
        message = f"KISSmetrics documents at most {LONGEST_VALUE} characters for a value; it may cut this one."
        return [Issue(key, "value_long", message, warning=True)]
    if normalize.looks_like_a_number(value):
        message = "KISSmetrics will keep this as text. For a number use digits and a dot only, or set the decimal mark."
        return [Issue(key, "kept_as_text", message, warning=True)]
    if value[0] in "{[":
        message = "KISSmetrics does not read JSON: this is kept as text."
        return [Issue(key, "kept_as_text", message, warning=True)]
    return []
