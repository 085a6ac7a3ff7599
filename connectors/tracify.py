"""Tracify: page events, purchases and conversions of people whom it knows by hashes only.

Wire contract and sources: docs/vendors/tracify.md.
"""

from __future__ import annotations

import ipaddress
import json
import re
import unicodedata
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any
from urllib.parse import unquote, urlsplit

from connectors import headers, normalize
from connectors.base import (
    ALONE,
    USER_AGENT,
    Answered,
    Choice,
    Connector,
    Field,
    Issue,
    NotUnderstood,
    Outcome,
    Payload,
    Refused,
    Request,
    Response,
)
from connectors.headers import listed

IDENTITIES = {"email": 1, "session": 2, "ip": 3, "user_agent": 4}
"""Kinds of identities, with the numbers by which the vendor tells them apart."""
IDS = {"purchase": "order_id", "conversion": "conversion_id"}
ITEM_NAMES = {"item": "ITEM", "item_amount": "AMT", "item_quantity": "QTY"}
PARAMETER = "url_parameter:"
# The e-mail's hash in small letters: never sent, only searched, since people do not remember capitals.
FOUND_BY = "email_search"
_OWN_NAMES = {"origin", "referer", "order_id", "conversion_id", "currency", "amount", "value"}
_OWN_NUMBERED = re.compile(r"(ITEM|AMT|QTY)\d+", re.IGNORECASE)
_HASH = re.compile(r"[0-9A-Fa-f]{64}")
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.\w")
_SAMPLE = """\
Type,Date,Email,IP,User agent,Page,utm_source,Order ID,Conversion ID,Amount,Currency,ITEM1,AMT1,QTY1,ITEM2,AMT2,QTY2
purchase,2026-11-02 09:12:45,bob@bob.com,203.0.113.7,Mozilla/5.0 (Windows),https://x.example/shop,fb,T-7001,,100.00,EUR,Chair,25,2,Desk,50,1
purchase,2026-11-02 09:40:03,alice.meyer@example.com,203.0.113.8,Mozilla/5.0 (Mac),https://x.example/shop,,T-7002,,249.90,EUR,Sofa,249.90,1,,,
pageview,2026-11-02 10:02:11,,203.0.113.9,Mozilla/5.0 (Linux),https://x.example/,google,,,,,,,,,,
productview,2026-11-02 10:02:40,,203.0.113.9,Mozilla/5.0 (Linux),https://x.example/lamp,,,,,,,,,,,
addtocart,2026-11-02 10:03:15,,203.0.113.9,Mozilla/5.0 (Linux),https://x.example/lamp,,,,,,,,,,,
purchase,2026-11-02 10:31:27,j.okafor@example.com,203.0.113.9,Mozilla/5.0 (Linux),https://x.example/shop,,T-7003,,39.5,EUR,Lamp,39.5,1,,,
conversion,2026-11-02 11:02:10,marie.dubois@example.fr,198.51.100.4,Mozilla/5.0 (iPhone),https://x.example/shop,,,C-301,560,EUR,,,,,,
purchase,2026-11-02 11:15:00,ayse@example.com.tr,198.51.100.5,Mozilla/5.0 (Android),https://x.example/shop,,T-7004,,75,TRY,Rug,75,1,,,
purchase,2026-11-02 11:48:36,tom@example.co.uk,198.51.100.6,,https://x.example/shop,,T-7005,,18.20,GBP,,,,,,
conversion,2026-11-02T13:20:00+01:00,li.wei@example.cn,198.51.100.7,Mozilla/5.0 (Mac),https://x.example/shop,,,C-302,310.75,USD,,,,,,
purchase,2026-11-02 14:09:58,Sara.Lind@example.se,2001:db8::17,Mozilla/5.0 (Windows),https://x.example/shop,fb,T-7006,,64.00,EUR,Vase,32,2,,,
purchase,2026-11-02 15:33:19,carlos.ruiz@example.es,198.51.100.9,Mozilla/5.0 (iPad),https://x.example/shop,,,,2400.00,EUR,,,,,,
purchase,2026-11-02 16:00:00,nina.k@example.de,192.0.2.14,Mozilla/5.0 (Android),https://x.example/shop,,T-7008,,99.00,EUR,Shelf,33,3,,,
conversion,2026-11-03 08:55:41,peter.novak@example.cz,192.0.2.15,Mozilla/5.0 (Windows),https://x.example/shop,,,C-303,45.50,CZK,,,,,,
purchase,2026-11-03 09:17:22,hannah@example.at,192.0.2.16,Mozilla/5.0 (Mac),https://x.example/shop,,T-7009,,219.999,EUR,,,,,,
pageview,2026-11-03 09:45:00,,192.0.2.17,Mozilla/5.0 (Linux),https://x.example/sale,newsletter,,,,,,,,,,
purchase,2026-11-03 10:12:13,olu.adeyemi@example.ng,192.0.2.18,Mozilla/5.0 (Android),https://x.example/shop,,T-7010,,870.00,USD,Bed,870,1,,,
refund,2026-11-03 10:50:50,emma.j@example.com,192.0.2.19,Mozilla/5.0 (iPhone),https://x.example/shop,,T-7011,,33.33,EUR,,,,,,
purchase,2026-11-03 11:30:00,yuki@example.jp,192.0.2.20,Mozilla/5.0 (Mac),https://x.example/shop,,T-7012,,15000,JPY,Table,15000,1,,,
productview,2026-11-03 12:04:44,,192.0.2.21,Mozilla/5.0 (Windows),https://x.example/bed,,T-7013,,,,,,,,,
purchase,2026-11-03 13:28:15,fatma.demir@example.com.tr,192.0.2.300,Mozilla/5.0 (Android),https://x.example/shop,,T-7014,,615.40,TRY,,,,,,
purchase,03/11/2026,lucas.martin@example.fr,192.0.2.22,Mozilla/5.0 (iPad),https://x.example/shop,,T-7015,,58.00,EUR,,,,,,
conversion,2026-11-03 14:59:59,mia.rossi@example.it,192.0.2.23,Mozilla/5.0 (Mac),https://x.example/shop,,,C-304,104.25,EUR,,,,,,
purchase,2026-11-03 15:21:08,grace.hall@example.com,192.0.2.24,Mozilla/5.0 (iPad),https://x.example/shop,bing,T-7016,,1200.00,GBP,Sofa,1200,1,,,
conversion,2026-11-04 09:05:12,sam.lee@example.com,192.0.2.25,Mozilla/5.0 (iPhone),https://x.example/shop,,,C-305,72.15,EUR,,,,,,
"""


def _raw(key: str, label: str, example: str, aliases: str, help_text: str) -> Field:
    kind: Any = "email" if key == "email" else "text"
    role: Any = "" if key == "user_agent" else "person"
    required: Any = False if key in ("email", "session") else "conditional"
    return Field(
        key, label, kind, required, personal=True, role=role, example=example, help=help_text,
        aliases=(headers.EMAIL if key == "email" else ()) + listed(aliases),
    )  # fmt: skip


def _hashed(key: str, label: str, aliases: str) -> Field:
    role: Any = "" if key == "user_agent" else "person"
    return Field(
        f"{key}_hash", label, "text", personal=True, role=role, example=identity_hash("bob@bob.com"),
        help="Only if your file has it hashed as Tracify asks: 64 hexadecimal digits. It counts before the plain one.",
        aliases=listed(aliases),
    )  # fmt: skip


def identity_hash(text: str) -> str:
    """The vendor's hash of an identity: SHA-256 of SHA-256 without its last five digits, both in small hexadecimal.

    From the vendor's API description and its WooCommerce plugin; the text is hashed as it is, in UTF-8.
    """
    return sha256(sha256(text.encode()).hexdigest()[:-5].encode()).hexdigest()


class Tracify(Connector):
    """`POST /api/v1/events` with a list of events, and one answer for all of them."""

    slug = "tracify"
    name = "Tracify"
    docs = "https://tracify.dev/events"
    api_version = "events API v1"
    default_base_url = "https://api.tracify.ai"
    default_rate = 5.0
    rows_a_request = 100
    best_evidence = "batch"
    # One bad event refuses its batch: the answer names none, and holds for all.
    refusal_is_total = True
    sample = tuple(tuple(line.split(",")) for line in _SAMPLE.splitlines())

    own_settings = (
        Field(
            "customer_site_id", "Customer site id (CSID)", "text", True, example="00000000-0000-0000-0000-000000000000",
            help="Your account representative at Tracify gives it to you.",
        ),
        Field(
            "origin", "Website", "url", True, example="https://www.yourwebsite.com",
            help="Your website with its scheme and without a path.",
        ),
        Field(
            "url", "Page", "url", example="https://www.yourwebsite.com/offline",
            help="The page that rows without one of their own are booked under.",
        ),
        Field(
            "lowercase_email", "E-mail in small letters", "boolean", default=False,
            help="Writes e-mail addresses in small letters before they are hashed. It must be as your website does.",
        ),
        Field(
            "allow_missing_identity", "Allow rows without IP address or user agent", "boolean", default=False,
            help="Tracify asks for both, and offline they are hardly known. Ask Tracify before you switch this on.",
        ),
        Field(
            "conversion_amount_key", "Name of a conversion's amount", "choice", default="amount",
            choices=(Choice("amount", "amount"), Choice("value", "value")),
            help="Tracify's page says amount, its published model says value. Ask Tracify which one counts.",
        ),
        Field(
            "decimal", "Decimal mark of amounts", "choice", default=".",
            choices=(Choice(".", "Dot (100.00)"), Choice(",", "Comma (100,00)")),
            help="Tracify's page shows a dot, public senders write a comma. Ask Tracify which one counts.",
        ),
    )  # fmt: skip

    secrets = (
        Field(
            "token", "API key", "secret", True, example="tracify-api-key",
            help="Your customer success manager at Tracify gives it to you.",
        ),
    )  # fmt: skip

    fields = (
        Field(
            "type", "Event type", "choice", True, example="purchase",
            choices=(
                Choice("pageview", "Pageview"), Choice("productview", "Product view"),
                Choice("addtocart", "Add to cart"), Choice("purchase", "Purchase"), Choice("conversion", "Conversion"),
            ),
            help="What happened. The same for all rows? Then give it as a fixed value, such as purchase.",
            aliases=(*headers.EVENT, *listed("kind, Art, Ereignistyp, Ereignisart, type d'événement, tür, olay türü")),
        ),
        Field(
            "timestamp", "Date and time", "timestamp", True, role="time", example="2024-06-21 12:36:40",
            help="When it happened.", aliases=headers.TIME,
        ),
        Field(
            "url", "Page", "url", "conditional", example="https://www.yourwebsite.com/offline",
            help="The full address of the page. Without it the page of the destination's settings is taken.",
            aliases=headers.PAGE,
        ),
        Field(
            "referer", "Referring page", "url", example="https://www.referringwebsite.com",
            help="The full address of the page that the person came from, if known.",
            aliases=listed("referrer, referring url, verweisende Seite, page référente, yönlendiren sayfa"),
        ),
        _raw(
            "email", "E-mail", "bob@bob.com", "",
            "Hashed here; the address itself is never sent.",
        ),
        _raw(
            "ip", "IP address", "192.168.1.1",
            "client ip, customer ip, IP-Adresse, IP Kunde, adresse IP, ip adresi, ip no",
            "The person's IP address when they were on your website. Hashed here, never sent.",
        ),
        _raw(
            "user_agent", "User agent", "Mozilla/5.0",
            "browser, ua, browser agent, Browserkennung, navigateur, agent utilisateur, tarayıcı, kullanıcı aracısı",
            "What the person's browser calls itself. Hashed here, never sent.",
        ),
        _raw(
            "session", "Session", "192.168.1.1|Mozilla/5.0",
            "session id, Sitzung, Sitzungs-ID, identifiant de session, oturum, oturum no",
            "IP address and user agent joined by |. Leave it out: it is made of those two. Hashed here, never sent.",
        ),
        _hashed("email", "Hashed e-mail", "email sha256, E-Mail gehasht, e-mail haché, hashlenmiş e-posta"),
        _hashed("ip", "Hashed IP address", "hashed ip, IP gehasht, ip haché, hashlenmiş ip"),
        _hashed("user_agent", "Hashed user agent", "ua hash, User-Agent gehasht, user agent haché"),
        _hashed("session", "Hashed session", "hashed session id, Sitzung gehasht, session hachée, hashlenmiş oturum"),
        Field(
            "order_id", "Order id", "text", "conditional", role="reference", example="123456789", aliases=headers.ORDER,
            help="The number of the order; purchases need one. Tracify keeps the first of each and ignores repeats.",
        ),
        Field(
            "conversion_id", "Conversion id", "text", "conditional", role="reference", example="123456789",
            help="The number of the conversion; conversions need one. Tracify keeps the first of each.",
            aliases=listed(
                "conversion number, lead id, lead number, Konversionsnummer, Konversions-ID, Lead-Nummer, "
                "identifiant de conversion, numéro de conversion, dönüşüm no, dönüşüm kimliği"
            ),
        ),
        Field(
            "currency", "Currency", "currency", "conditional", role="currency", example="EUR",
            help="The three letters of the currency; purchases and conversions need it.", aliases=headers.CURRENCY,
        ),
        Field(
            "amount", "Amount", "money", "conditional", role="amount", example="100.00", aliases=headers.AMOUNT,
            help="The total with shipping, with two decimals; purchases and conversions need it.",
        ),
        Field(
            "url_parameter:*", "URL parameter", example="fb", aliases=("param:*", "parameter:*", "utm_*", "trc_*"),
            help="A parameter of the page's address under its own name, such as utm_source or trc_mcmp_id.",
        ),
        Field(
            "item:*", "Item", "text", example="Name of Product 1",
            aliases=("item*", "item name*", "product*", "Artikel*", "Produkt*", "article*", "produit*", "ürün*"),
            help="The name of a product in a purchase: item:1, item:2 and so on.",
        ),
        Field(
            "item_amount:*", "Item amount", "money", example="25",
            aliases=("amt*", "item amount*", "unit price*", "Einzelpreis*", "prix unitaire*", "birim fiyat*"),
            help="The price of one piece of the product with the same number.",
        ),
        Field(
            "item_quantity:*", "Item quantity", "number", example="2",
            aliases=("qty*", "quantity*", "item quantity*", "Menge*", "Anzahl*", "quantité*", "adet*", "miktar*"),
            help="How many pieces of the product with the same number.",
        ),
    )  # fmt: skip

    def check_settings(self, settings: Mapping[str, Any]) -> list[Issue]:
        """The site id is a UUID; the website is an origin; plain http is allowed but not without a word."""
        issues: list[Issue] = []
        if normalize.in_clear(str(settings.get("base_url") or self.default_base_url)):
            message = "With http everybody on the way can read the API key. Use https."
            issues.append(Issue("base_url", "unencrypted", message, warning=True))
        if not _UUID.fullmatch(settings.get("customer_site_id") or ""):
            message = "A customer site id looks like 00000000-0000-0000-0000-000000000000."
            issues.append(Issue("customer_site_id", "not_a_site_id", message))
        if urlsplit(settings.get("origin") or "").path:
            message = "A website's origin has no path, not even a slash at its end: https://www.yourwebsite.com."
            issues.append(Issue("origin", "not_an_origin", message, warning=True))
        return issues

    def check_keys(self, keys: Collection[str]) -> list[Issue]:
        """Items are numbered; a URL parameter stands beside the vendor's own names and may be none of them."""
        issues: list[Issue] = []
        seen: set[str] = set()
        for key in keys:
            family, _, member = key.partition(":")
            name = member.strip()
            if family in ITEM_NAMES and not re.fullmatch("[1-9][0-9]{0,2}", member):
                issues.append(Issue(key, "not_numbered", f"Items are numbered: {family}:1, {family}:2 and so on."))
            elif key.startswith(PARAMETER) and (name.casefold() in _OWN_NAMES or _OWN_NUMBERED.fullmatch(name)):
                issues.append(Issue(key, "reserved_name", "Tracify keeps this name for itself. Use the field for it."))
            elif key.startswith(PARAMETER) and (not name or name in seen):
                issues.append(Issue(key, "same_name", "Each URL parameter needs a name of its own."))
            elif key.startswith(PARAMETER):
                seen.add(name)
        return issues

    def check(self, values: dict[str, Any], settings: Mapping[str, Any]) -> list[Issue]:
        """What each type of event needs; identities are replaced by their hashes, so no raw one is ever kept."""
        issues = _in_clear(values) + _hash_identities(values, settings)
        if "url" not in values and settings.get("url"):
            values["url"] = settings["url"]
        if "url" not in values:
            message = "There is no page. Fill it in, or let an admin give the destination one in its settings."
            issues.append(Issue("url", "missing", message))
        if kind := values.get("type"):
            issues += _leave_out(values, kind) + _needs(values, kind)
        if "amount" in values:
            digits = normalize.decimals(values["amount"])
            if digits > 2:
                message = "Tracify takes two decimals. Round the amount."
                issues.append(Issue("amount", "too_many_decimals", message))
            values["amount"] += ("" if digits else ".") + "0" * (2 - digits)
        return issues + _number_items(values)

    def group(self, values: Mapping[str, Any], settings: Mapping[str, Any]) -> Hashable:
        """Events without an id go alone, so that a lost answer leaves one of them in doubt and not a hundred."""
        return None if values["type"] in IDS else ALONE

    def duplicate_key(self, values: Mapping[str, Any]) -> Sequence[Any] | None:
        """Type and order or conversion id; the whole payload where there is none."""
        return [values["type"], values[IDS[values["type"]]]] if values["type"] in IDS else None

    def wire_key(self, values: Mapping[str, Any], new_key: Callable[[int], str]) -> str | None:
        """The order or conversion id, by which the vendor tells repeats apart."""
        return values[IDS[values["type"]]] if values["type"] in IDS else None

    def harmless_to_repeat(self, values: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
        """With an id: the vendor keeps the first and ignores the rest ("deduplication" on its page)."""
        return values["type"] in IDS

    def identifiers(self, values: Mapping[str, Any]) -> list[tuple[str, str]]:
        """The order or conversion id, and the hashes of the person; see `search_forms`."""
        return super().identifiers(values) + [(key, values[key]) for key in (FOUND_BY,) if key in values]

    def search_forms(self, text: str) -> list[str]:
        """The hash of the text as typed and of the text in small letters: no raw identity is kept to compare with."""
        return [identity_hash(text), identity_hash(_small(text))]

    def build(self, payloads: Sequence[Payload], settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Request:
        """All payloads in one list of events."""
        return self._request([event(payload.values, settings) for payload in payloads], settings, secrets)

    def _request(self, events: list[Any], settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Request:
        url = normalize.under(settings.get("base_url") or self.default_base_url, "/api/v1/events")
        sent = {
            "User-Agent": USER_AGENT, "Content-Type": "application/json", "Accept": "application/json",
            "tracify-token": secrets["token"],
        }  # fmt: skip
        return Request("POST", url, sent, normalize.exact_json({"events": events}).encode(), (secrets["token"],))

    def read(self, response: Response, payloads: Sequence[Payload]) -> list[Outcome]:
        """All or none: `status` is true or false for the whole batch, on a line that says 200 either way.

        Raises Refused with the vendor's words for false, Answered for a status that is not 2xx, NotUnderstood for
        anything else.
        """
        if not 200 <= response.status < 300:
            raise Answered(response.status)
        try:
            answer = json.loads(response.body)
        except (ValueError, RecursionError):
            raise NotUnderstood("The answer is not JSON.") from None
        status = answer.get("status") if isinstance(answer, dict) else None
        if status is True:
            return [Outcome(True, "batch") for _ in payloads]
        if status is False:
            raise Refused(normalize.vendor_words(answer.get("error") or "Tracify gives no reason."))
        raise NotUnderstood("The answer has no status that is true or false.")

    def probe(self, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Request | None:
        """An empty list of events: there is nothing in it to store."""
        return self._request([], settings, secrets)

    def describe_probe(self, response: Response) -> tuple[bool, str]:
        """An empty list is refused or taken; both show that Tracify reads our requests, and no more."""
        if response.status in (400, 422) or 200 <= response.status < 300:
            return True, "Tracify answers at this address and reads our requests. The test stored nothing there."
        return False, f"The address answers with status {response.status}. Check the address and the API key."


def event(values: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """One event of the vendor's; all values in `data` are texts."""
    identities = {values[f"{key}_hash"]: number for key, number in IDENTITIES.items() if f"{key}_hash" in values}
    return {
        "url": values["url"],
        "customer_site_id": settings["customer_site_id"],
        "identity_data": identities,
        "datetime": datetime.fromisoformat(values["timestamp"]).isoformat(" ", "seconds")[:19],
        "type": values["type"],
        "data": _data(values, settings),
    }


def _data(values: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, str]:
    mark, kind = settings.get("decimal") or ".", values["type"]
    amount_key = (settings.get("conversion_amount_key") or "amount") if kind == "conversion" else "amount"
    data = {"Referer": values["referer"]} if "referer" in values else {}
    data["origin"] = settings["origin"]
    data |= {key[len(PARAMETER) :].strip(): text for key, text in values.items() if key.startswith(PARAMETER)}
    if kind in IDS:
        data[IDS[kind]] = values[IDS[kind]]
        data["currency"] = values["currency"]
        data[amount_key] = values["amount"].replace(".", mark)
    for number in _item_numbers(values):
        for family, name in ITEM_NAMES.items():
            if (text := values.get(f"{family}:{number}")) is not None:
                data[f"{name}{number}"] = text if family == "item" else text.replace(".", mark)
    return data


def _small(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _in_clear(values: Mapping[str, Any]) -> list[Issue]:
    """Personal data must not leave (the vendor's page): neither as an identity nor inside another text."""
    named = [text for key in ("ip", "user_agent") if len(text := values.get(key, "")) > 6]
    message = "This holds an e-mail address, an IP address or a user agent, which Tracify may not get. Take it out."
    issues = []
    for key, text in values.items():
        if key in ("url", "referer", *IDS.values()) or key.startswith((PARAMETER, "item:")):
            plain = unquote(text)
            if ("@" in plain and _EMAIL.search(plain)) or any(one in plain for one in named):
                issues.append(Issue(key, "personal_in_clear", message))
    return issues


def _hash_identities(values: dict[str, Any], settings: Mapping[str, Any]) -> list[Issue]:
    """Put hashes in the place of raw identities. A hash that the row brings counts before a raw one."""
    issues: list[Issue] = []
    raw: dict[str, str] = {key: values.pop(key) for key in IDENTITIES if key in values}
    email = raw.get("email")
    if email and settings.get("lowercase_email"):
        raw["email"] = email.lower()
    if "ip" in raw and not _is_address(raw["ip"]):
        issues.append(Issue("ip", "not_an_ip", "This is no IP address. Write it like 203.0.113.7 or 2001:db8::17."))
    for key in raw:
        if _HASH.fullmatch(raw[key]):
            message = "This is hashed already. Map the column to the hashed field instead."
            issues.append(Issue(key, "already_hashed", message))
    if "session" not in raw and "ip" in raw and "user_agent" in raw:
        raw["session"] = f"{raw['ip']}|{raw['user_agent']}"
    for key in IDENTITIES:
        given = values.pop(f"{key}_hash", None)
        if given is not None and not _HASH.fullmatch(given):
            message = "This is no hash: it must be 64 hexadecimal digits. Map plain values to the plain field."
            issues.append(Issue(f"{key}_hash", "not_a_hash", message))
        if given is not None or key in raw:
            values[f"{key}_hash"] = given.lower() if given is not None else identity_hash(raw[key])
    if email and (found_by := identity_hash(_small(email))) != values["email_hash"]:
        values[FOUND_BY] = found_by
    return issues + _missing_identities(values, settings)


def _missing_identities(values: Mapping[str, Any], settings: Mapping[str, Any]) -> list[Issue]:
    if settings.get("allow_missing_identity"):
        if any(f"{key}_hash" in values for key in IDENTITIES):
            return []
        return [Issue("email", "missing", "The row names nobody: fill in an e-mail address, or leave the row out.")]
    message = "Tracify asks for {}. Fill it in, or let an admin allow rows without it in the destination's settings."
    return [
        Issue(key, "missing", message.format(words))
        for key, words in (("ip", "the IP address"), ("user_agent", "the user agent"))
        if f"{key}_hash" not in values
    ]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _leave_out(values: dict[str, Any], kind: str) -> list[Issue]:
    """Take out what the vendor has no place for in this type of event, and say so where it may matter."""
    own = values.get(IDS.get(kind, ""))
    issues = []
    for key in list(values):
        family = key.partition(":")[0]
        misplaced = (
            (family in IDS.values() and family != IDS.get(kind))
            or (family in ("amount", "currency") and kind not in IDS)
            or (family in ITEM_NAMES and kind != "purchase")
        )
        # One column may feed both ids, and a fixed currency all rows: nothing is lost then.
        if misplaced and values.pop(key) != own and family in (*IDS.values(), "amount", "item"):
            message = f"Tracify has no place for this in a {kind}: it is left out."
            issues.append(Issue(key, "left_out", message, warning=True))
    return issues


def _needs(values: Mapping[str, Any], kind: str) -> list[Issue]:
    """An id, a currency and an amount, where the vendor wants them."""
    wanted = {IDS[kind]: "an id, by which Tracify knows repeats", "currency": "a currency, such as EUR",
              "amount": "an amount"} if kind in IDS else {}  # fmt: skip
    message = f"A {kind} needs {{}}. Fill it in, or leave the row out."
    return [Issue(key, "missing", message.format(what)) for key, what in wanted.items() if key not in values]


def _number_items(values: dict[str, Any]) -> list[Issue]:
    """Number the items from 1 without gaps, as the vendor wants them; each needs a name."""
    issues = []
    for place, number in enumerate(_item_numbers(values), 1):
        if f"item:{number}" not in values:
            message = "This item has an amount or a quantity but no name. Fill it in, or empty the others."
            issues.append(Issue(f"item:{number}", "missing", message))
        for family in ITEM_NAMES:
            if place != number and f"{family}:{number}" in values:
                values[f"{family}:{place}"] = values.pop(f"{family}:{number}")
    return issues


def _item_numbers(values: Mapping[str, Any]) -> list[int]:
    found = (key.partition(":") for key in values)
    return sorted({int(number) for family, _, number in found if family in ITEM_NAMES})
