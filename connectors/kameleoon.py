"""Kameleoon: conversions added to visitors by the Data API, many a request, with an answer that proves little.

Wire contract and sources: docs/vendors/kameleoon.md. What it has stored is looked up by kameleoon_readback.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from connectors import headers, kameleoon_readback, normalize, oauth, readback
from connectors.base import (
    USER_AGENT,
    Answered,
    Choice,
    Connector,
    Field,
    Issue,
    Outcome,
    Payload,
    Request,
    Response,
    Stored,
)
from connectors.headers import listed

METADATA = "metadata:"
NONCE_DIGITS = 16
LONGEST_CODE = 100
LONGEST_CODE_EVER = 255
TOKEN_URL = "https://api.kameleoon.com/oauth/token"  # noqa: S105
WINDOW_DAYS = 7
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


class Kameleoon(Connector):
    """`POST /visit/events` with a list of events; answered 204 before anything in it is looked at."""

    slug = "kameleoon"
    name = "Kameleoon"
    docs = "https://docs.kameleoon.com/api-reference/visit/send-visitor-events"
    api_version = "Data API /visit/events"
    default_base_url = "https://data.kameleoon.io"
    default_rate = 5.0
    rows_a_request = 1_000
    bytes_a_request = 2_000_000
    connection_settings = ("base_url", "token_url", "rate", *readback.KEYS, "feature_experimentation")
    best_evidence = "confirmed"
    can_be_read_back = True
    # What a refused request leaves behind is not documented.
    refusal_is_total = False

    own_settings = (
        Field(
            "site_code", "Site code", "text", True, example="f17c21u1ag", max_length=100,
            help="The code of your project, mostly 10 characters, from its settings in the Kameleoon App. A wrong one "
            "is not reported by Kameleoon. The address above must be the one of the same project: data.kameleoon.io "
            "or data.kameleoon.eu, with na- in front for North America and eu- for Europe.",
        ),
        Field(
            "identifier", "Visitors are named by", "choice", True, default="visitorCode", example="visitorCode",
            choices=(
                Choice("visitorCode", "Kameleoon's visitor code"),
                Choice("mappingIdentifier", "our own id (cross-device reconciliation)"),
            ),
            help="Your own id needs cross-device reconciliation in Kameleoon, and a request for each visitor.",
        ),
        Field(
            "token_url", "Token address", "url", default=TOKEN_URL, example=TOKEN_URL,
            help="Where an access token is fetched. It counts only if a client id and secret are entered.",
        ),
        *readback.settings("Kameleoon shows a conversion some 30 minutes after the visit has ended."),
        Field(
            "feature_experimentation", "Feature Experimentation", "boolean", default=False,
            help="Whether your account has this product. Then Kameleoon also shows visits that have not ended.",
        ),
    )  # fmt: skip

    secrets = (
        Field(
            "client_id", "Client id", "secret", example="offline-sales",
            help="Only if your project asks for an access token: from the API credentials of your Kameleoon account.",
        ),
        Field(
            "client_secret", "Client secret", "secret", example="the secret beside the client id",
            help="Belongs to the client id. Without both, requests carry no token.",
        ),
    )  # fmt: skip

    fields = (
        Field(
            "visitor_code", "Visitor", "text", True, personal=True, role="person", example="245fc",
            max_length=LONGEST_CODE_EVER,
            help="The visitor code that Kameleoon gave the person online (cookie kameleoonVisitorCode), or your own "
            "id if the destination says so. Kameleoon loses a conversion for an unknown visitor without a word.",
            aliases=headers.VISITOR + listed(
                "kameleoon visitor code, kameleoonVisitorCode, kameleoon visitor, kameleoon code, kameleoon id, "
                "kameleoon cookie, mapping identifier, mapping value, Kameleoon-Besuchercode"
            ),
        ),
        Field(
            "goal_id", "Goal", "integer", True, example="36151",
            help="The number of the goal in Kameleoon. The same for all rows? Then give it as a fixed value. "
            "Conversions for a goal of another project are lost without a word.",
            aliases=listed(
                "goal id, goal number, goal no, kameleoon goal, kameleoon goal id, conversion goal, objective, "
                "Ziel-ID, Zielnummer, Ziel, Ziel-Nr., Konversionsziel, objectif, id objectif, numéro d'objectif, "
                "identifiant de l'objectif, hedef, hedef kimliği, hedef no, hedef id, dönüşüm hedefi"
            ),
        ),
        Field(
            "revenue", "Revenue", "money", role="amount", example="23.50",
            help="What the conversion was worth, a positive number. For a refund map “Refund” as well.",
            aliases=headers.AMOUNT,
        ),
        Field(
            "negative", "Refund", "boolean", example="no",
            help="Yes takes the revenue off: a refund or a cancelled order.",
            aliases=listed(
                "negative, is refund, refunded, is negative, return, returned, reversal, cancelled, chargeback, "
                "Erstattung, Rückerstattung, Gutschrift, Storno, storniert, Retoure, remboursement, remboursé, avoir, "
                "retour, annulé, iade, iade mi, iade edildi, iptal"
            ),
        ),
        Field(
            "timestamp", "Date and time", "timestamp", role="time", window_days=WINDOW_DAYS,
            example="2025-02-25 01:41:53",
            help="When it happened. Kameleoon takes no time and counts the moment of sending: this only warns of "
            "rows outside its attribution window (7 days unless you changed it), and tells repeats apart.",
            aliases=headers.TIME,
        ),
        Field(
            "metadata:*", "Custom data", "text", personal=True, example="Store Berlin",
            help="A value for the custom data with this index in Kameleoon: metadata:3 is the one with index 3.",
            aliases=listed("metadata*, custom data:*, custom data*, Benutzerdefinierte Daten:*, "
                           "données personnalisées:*, özel veri:*"),
        ),
    )  # fmt: skip

    sample = (
        ("Visitor code", "Goal ID", "Revenue", "Refund", "Date", "Custom data 1"),
        ("245fc", "36151", "23.50", "", "2026-11-06 09:12:45", "Phone"),
        ("a8x2mq0v91ktz5pd", "36151", "129.90", "", "2026-11-06 09:40:03", "Berlin"),
        ("q0r4t8v2x6z1d5gm", "36152", "", "", "2026-11-06 10:31:27", "Lyon"),
        ("s9u3w7y1a5c8e2gk", "36151", "39.95", "no", "2026-11-06 11:02:10", "Phone"),
        ("", "36151", "75.00", "", "2026-11-06 11:15:00", "Berlin"),
        ("245fc", "36151", "23.50", "yes", "2026-11-06 13:20:00", "Phone"),
        ("e1g5i9k3m7o0q4su", "36151", "560.00", "", "2026-11-06T14:09:58+01:00", ""),
        ("w8y2b6d0f4h7j1ln", "signup", "64.00", "", "2026-11-06 15:33:19", "Phone"),
        ("p5r9t3v7x1z4c8eg", "36151", "2400", "", "2026-11-06 16:00:00", "Berlin"),
        ("i2k6m0o4q8s1u5wy", "36152", "", "", "2026-11-07 08:55:41", "Phone"),
        ("b9d3f7h1j5l8n2pr", "36151", "-45.50", "", "2026-11-07 09:17:22", "Phone"),
        ("t6v0x4z8c2e5g9ik", "36151", "219.99", "", "2026-11-07 09:45:00", "Lyon"),
        ("f0h4j8l2n6p9r3tv", "36151", "1 870", "", "2026-11-07 10:50:50", "Berlin"),
        ("x7z1c5e9g3i6k0mo", "36151", "33.33", "", "2026-11-07 11:30:00", "Phone"),
        ("q4s8u2w6y0b3d7fh", "36151", "150.00", "", "2026-10-12 12:04:44", "İstanbul"),
        ("j1l5n9p3r7t0v4xz", "36151", "27.80", "maybe", "2026-11-08 09:28:15", "Phone"),
        ("u5w9y3b7d1f4h8jl", "36152", "", "", "2026-11-08 11:21:08", "Berlin"),
        ("n2p6r0t4v8x1z5ce", "36151", "9.90", "", "08/11/2026", "Phone"),
        ("g9i3k7m1o5q8s2uw", "36151", "1899.00", "", "2026-11-09 09:05:12", "Lyon"),
        ("y6b0d4f8h2j5l9np", "36151", "72.15", "", "2026-11-09 09:33:47", "Phone"),
    )  # fmt: skip

    def check_settings(self, settings: Mapping[str, Any]) -> list[Issue]:
        """Read-backs lie ahead, and there is at least one."""
        return readback.check_settings(settings)

    def check_keys(self, keys: Collection[str]) -> list[Issue]:
        """Custom data goes by its index, a whole number."""
        wrong = (key for key in keys if key.startswith(METADATA) and not _INDEX.fullmatch(key.removeprefix(METADATA)))
        return [Issue(key, "not_an_index", "Custom data has a number. Write it like metadata:3.") for key in wrong]

    def check(self, values: dict[str, Any], settings: Mapping[str, Any]) -> list[Issue]:
        """A goal and a revenue that Kameleoon takes; visitor codes longer than it documents get a warning."""
        issues: list[Issue] = []
        if len(values.get("visitor_code", "")) > LONGEST_CODE:
            message = f"Kameleoon documents at most {LONGEST_CODE} characters for a visitor; it may lose this row."
            issues.append(Issue("visitor_code", "visitor_code_long", message, warning=True))
        if int(values.get("goal_id", 1)) < 1:
            issues.append(Issue("goal_id", "not_a_goal", "The number of a goal is above 0, such as 36151."))
        revenue = values.get("revenue")
        if revenue is not None and revenue.startswith("-"):
            message = "Kameleoon takes no negative revenue. Leave the minus out, and say yes in “Refund” (negative)."
            issues.append(Issue("revenue", "negative_revenue", message))
        elif revenue is None and values.get("negative"):
            message = "There is no revenue that could be taken off: Kameleoon counts this as a conversion."
            issues.append(Issue("negative", "nothing_to_take_off", message, warning=True))
        return issues

    def group(self, values: Mapping[str, Any], settings: Mapping[str, Any]) -> Hashable:
        """An id of our own stands in the URL, so there is one a request."""
        return values["visitor_code"] if _by_own_id(settings) else None

    def duplicate_key(self, values: Mapping[str, Any]) -> Sequence[Any] | None:
        """Visitor, goal, revenue, sign and moment; the whole payload where one of them is missing."""
        if "revenue" not in values or "timestamp" not in values:
            return None
        sign = "-" if values.get("negative") else "+"
        revenue = format(Decimal(values["revenue"]).normalize(), "f")
        return [values["visitor_code"], str(int(values["goal_id"])), revenue, sign, values["timestamp"]]

    def wire_key(self, values: Mapping[str, Any], new_key: Callable[[int], str]) -> str | None:
        """The nonce: 16 hexadecimal digits."""
        return new_key(NONCE_DIGITS)

    def harmless_to_repeat(self, values: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
        """The vendor's own client repeats an event with its nonce until it is marked as sent."""
        return True

    def build(self, payloads: Sequence[Payload], settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Request:
        """All payloads in one list; a visitor that they share stands in the URL, several stand in their events.

        Raises ValueError for a payload without a wire key, and for several ids of our own in one request.
        """
        codes = {payload.values["visitor_code"] for payload in payloads}
        own_id = _by_own_id(settings)
        if own_id and len(codes) > 1:
            raise ValueError("A request takes one mapping identifier.")
        named = [("mappingIdentifier" if own_id else "visitorCode", code) for code in codes if len(codes) == 1]
        return self._request([event(payload, not named) for payload in payloads], named, settings)

    def _request(self, events: list[Any], named: list[tuple[str, str]], settings: Mapping[str, Any]) -> Request:
        # Without json=true the body is read as lines of a=b, and lost without a word.
        query = normalize.query([("siteCode", settings["site_code"]), *named, ("json", "true")])
        url = normalize.under(settings.get("base_url") or self.default_base_url, f"/visit/events?{query}")
        # Libraries are on the vendor's list of robots, which are answered 403.
        sent = {"User-Agent": USER_AGENT, "Content-Type": "application/json"}
        return Request("POST", url, sent, normalize.exact_json(events).encode())

    def auth(self, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Request | None:
        """Client credentials for a token; none without a client id and secret, as most projects need none."""
        url = settings.get("token_url") or TOKEN_URL
        return oauth.token_request(url, secrets.get("client_id", ""), secrets.get("client_secret", ""))

    def read_token(self, response: Response) -> tuple[str, float]:
        """Token and seconds of a JSON answer. Raises NotUnderstood."""
        return oauth.read_token(response)

    def read(self, response: Response, payloads: Sequence[Payload]) -> list[Outcome]:
        """Delivered, no more: the vendor answers before it looks at the events. Raises Answered unless it is 2xx."""
        if not 200 <= response.status < 300:
            raise Answered(response.status)
        return [Outcome(True, "delivered") for _ in payloads]

    def readback_group(self, values: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
        """The visitor in the project: one request shows all of a visitor's conversions."""
        return "\n".join((settings["site_code"], str(_by_own_id(settings)), values["visitor_code"]))

    def readback(self, payload: Payload, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Request:
        """`GET /visit/visitor` for the visitor of the row."""
        return kameleoon_readback.request(payload.values["visitor_code"], _by_own_id(settings), settings)

    def read_back(self, response: Response) -> list[Stored]:
        """The visitor's conversions. Raises NotAvailable, Answered, NotUnderstood."""
        return kameleoon_readback.conversions(response)

    def likeness(self, values: Mapping[str, Any]) -> Hashable:
        """Goal, revenue and sign; the nonce does not come back."""
        return kameleoon_readback.likeness(values)

    def told_by_readback(self, response: Response) -> list[dict[str, Any]]:
        """Visitors and custom data. Raises NotUnderstood."""
        return kameleoon_readback.told(response)

    def probe(self, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Request | None:
        """An empty list of events, by the very road that rows take: there is nothing in it to store."""
        return self._request([], [], settings)

    def describe_probe(self, response: Response) -> tuple[bool, str]:
        """2xx shows address, User-Agent and token to be right, and nothing else."""
        if 200 <= response.status < 300:
            return True, (
                "Kameleoon takes requests at this address; the test stored nothing there. Whether the site code and "
                "the goals are right it tells nobody: send one row and look for it in Kameleoon."
            )
        if response.status == 400:
            return False, "Kameleoon does not understand the request (status 400). Check the site code."
        return False, f"The address answers with status {response.status}; Kameleoon answers 204. Check the address."


def _by_own_id(settings: Mapping[str, Any]) -> bool:
    return settings.get("identifier") == "mappingIdentifier"


def event(payload: Payload, with_visitor: bool) -> dict[str, Any]:
    """One event of the body. Raises ValueError without a wire key."""
    values = payload.values
    if not payload.wire_key:
        raise ValueError("The payload got no wire key.")
    found: dict[str, Any] = {"visitorCode": values["visitor_code"]} if with_visitor else {}
    found |= {"nonce": payload.wire_key, "eventType": "CONVERSION", "goalId": int(values["goal_id"])}
    if "revenue" in values:
        found["revenue"] = Decimal(values["revenue"])
    if "negative" in values:
        found["negative"] = values["negative"]
    metadata = {key.removeprefix(METADATA): [value] for key, value in values.items() if key.startswith(METADATA)}
    return {**found, "metadata": metadata} if metadata else found
