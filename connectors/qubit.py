"""Qubit: QProtocol conversions from offline sources, many a request, each with a result of its own.

Wire contract and sources: docs/vendors/qubit.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from connectors import headers, normalize
from connectors.base import (
    USER_AGENT,
    VERSION,
    Answered,
    Choice,
    Connector,
    Field,
    Issue,
    NotUnderstood,
    Outcome,
    Payload,
    Request,
    Response,
)
from connectors.headers import listed

LONGEST_TEXT = 256
TYPES = {
    "ecommerce": "ecBasketTransactionSummary",
    "egaming": "egBetslipTransactionSummary",
    "publisher": "pbBasketTransactionSummary",
    "logistics": "loBasketTransactionSummary",
    "travel": "trPackageTransactionSummary",
    "finance": "fiBasketTransactionSummary",
}
# The member that holds the total; all the others have a basket.
AMOUNT_FIELDS = dict.fromkeys(TYPES.values(), "basket") | {TYPES["egaming"]: "betslip", TYPES["travel"]: "package"}
_LABELS = {"ecommerce": "eCommerce", "egaming": "eGaming"}
# Moments whose milliseconds have 13 digits, as in the vendor's examples; others would be taken for another unit.
EARLIEST, LATEST = "2001-09-09T01:46:40", "2286-11-20T17:46:40"
_NAMESPACE = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")


class Qubit(Connector):
    """`POST /events/{tracking id}` with a list of events; the answer has one result an event, by position."""

    slug = "qubit"
    name = "Qubit"
    docs = "https://docs.qubit.com/content/setup/data-collection-offline-conversions"
    api_version = "offline conversions"
    default_base_url = "https://offline-conversions.qubit.com"
    default_rate = 5.0
    rows_a_request = 100
    best_evidence = "row"
    # A whole request that is refused is not documented, so neither is whether a part of it was ingested.
    refusal_is_total = False

    own_settings = (
        Field(
            "vertical", "Vertical", "choice", True, default="ecommerce", example="ecommerce",
            choices=tuple(Choice(value, _LABELS.get(value, value.capitalize())) for value in TYPES),
            help="The line of business of your Qubit property. It decides the type of the events.",
        ),
        Field(
            "namespace", "Namespace", example="someco", max_length=100,
            help="Only if your property has event types of its own, such as someco.trPackageTransactionSummary: "
            "the part before the last dot.",
        ),
        Field(
            "source", "Source", "text", True, default=f"offline-portal@{VERSION}", example="company-x@1.0.0",
            max_length=LONGEST_TEXT,
            help="Tells Qubit where the events come from: a name and a version, joined by @.",
        ),
        Field(
            "repeat_unknown", "Repeat after a lost answer", "boolean", default=False,
            help="Qubit documents nothing about events that arrive twice, so a row whose answer was lost waits for "
            "a person. Switch this on if Qubit assures you that the transaction id tells repeats apart.",
        ),
    )  # fmt: skip

    secrets = (
        Field(
            "tracking_id", "Tracking id", "secret", True, example="acme",
            help="The tracking id of your property. Your Qubit customer success manager gives it to you.",
        ),
    )  # fmt: skip

    fields = (
        Field(
            "visitor_id", "Visitor id", "text", True, personal=True, role="person", max_length=LONGEST_TEXT,
            example="6o2diu81w9o-0irxltk5b-u9t1cv4",
            help="The Qubit visitor id of the person, read from the cookie __qubitTracker while they were online.",
            aliases=listed(
                "visitor id, visitor, qubit visitor id, qubit id, context id, __qubitTracker, qubit tracker, "
                "qubit cookie, cookie id, cookie, tracker id, Besucher-ID, Besucher, Besucherkennung, "
                "Besuchernummer, Cookie-Kennung, Qubit-Besucher-ID, identifiant visiteur, id visiteur, visiteur, "
                "identifiant du visiteur, identifiant du cookie, ziyaretçi kimliği, ziyaretçi no, ziyaretçi id, "
                "ziyaretçi, çerez kimliği, çerez"
            ),
        ),
        Field(
            "timestamp", "Date and time", "timestamp", True, role="time", window_days=30,
            example="2016-11-17 10:06:53",
            help="When it happened.",
            aliases=headers.TIME + listed("ts, meta.ts, bet placed at"),
        ),
        Field(
            "value", "Amount", "money", True, role="amount", example="9.99",
            help="The total of the transaction, with at most two decimals.",
            aliases=headers.AMOUNT + listed("basket.total.value, betslip total, stake, package total, package price"),
        ),
        Field(
            "currency", "Currency", "currency", True, role="currency", example="USD",
            help="The three letters of the currency. The same for all rows? Then give it as a fixed value.",
            aliases=headers.CURRENCY + listed("basket.total.currency"),
        ),
        Field(
            "transaction_id", "Transaction id", "text", role="reference", example="unique-id", max_length=LONGEST_TEXT,
            help="The number of the order, booking or bet. Without it the portal makes one, and cannot see that "
            "a row was sent before unless everything in it is the same.",
            aliases=headers.ORDER + listed("transaction.id, bet id, betslip id"),
        ),
        Field(
            "url", "Page", "url", example="http://example.com/page", max_length=LONGEST_TEXT,
            help="A web page that belongs to the transaction, if there is one.",
            aliases=headers.PAGE + listed("meta.url"),
        ),
        Field(
            "type", "Event type", "text", example="someco.trPackageTransactionSummary", max_length=LONGEST_TEXT,
            help="Only if rows differ in it: one of Qubit's transaction summaries, with its namespace. "
            "It overrides the vertical and the namespace of the destination.",
            aliases=listed(
                "event type, meta.type, qprotocol type, qprotocol event, qubit event, qubit event type, "
                "Ereignistyp, type d'événement, olay türü, etkinlik türü"
            ),
        ),
    )  # fmt: skip

    sample = (
        ("Visitor ID", "Date", "Order number", "Amount", "Currency", "Page"),
        ("6o2diu81w9o-0irxltk5b-u9t1cv4", "2026-11-02 09:12:45", "C-20481", "129.90", "GBP", "https://x.example/"),
        ("hb1ntvmfpug-0iqmaqq7e-glmdos0", "2026-11-02 09:40:03", "C-20482", "80.50", "GBP", ""),
        ("1p5q0z7u2ka-0kx2m9d4t-7c3r8wn", "2026-11-02 10:05:00", "C-20483", "1249.00", "GBP", "https://x.example/sofas"),
        ("9t4e6y1m3bx-0kx2n1f8q-p0v5j2h", "2026-11-02 10:31:27", "C-20484", "39.95", "EUR", ""),
        ("c7w2l9s5nqd-0kx2o3h1z-4g8k6yt", "2026-11-02 11:02:10", "C-20485", "560.00", "GBP", ""),
        ("", "2026-11-02 11:15:00", "C-20486", "75.00", "GBP", ""),
        ("m3a8r5v1fko-0kx2p5j4w-z9x7b1e", "2026-11-02 11:48:36", "C-20487", "18.20", "EUR", ""),
        ("u6d1h4y9pcs-0kx2q7l7r-2n5m3qa", "2026-11-02T13:20:00+01:00", "C-20488", "310.75", "EUR", ""),
        ("b2j7x3k6gzt-0kx2s9n0o-8f1w4lv", "2026-11-02 14:09:58", "", "64.00", "GBP", ""),
        ("e5o0c9n2wim-0kx2u1p3l-r6t0h8d", "2026-11-02 15:33:19", "C-20490", "2 400", "GBP", ""),
        ("q8f3t7b4ujy-0kx2w3r6i-k4s9z1o", "2026-11-02 16:00:00", "C-20491", "99.00", "GBP", "https://x.example/lamps"),
        ("v1g6p2d8ahr-0kx2y5t9f-w7e3c5x", "2026-11-03 08:55:41", "C-20492", "45.50", "USD", ""),
        ("k4z9s0l5evn-0kx307v2c-j1y6u8p", "2026-11-03 09:17:22", "C-20493", "219.999", "GBP", ""),
        ("o7m2q4w1xfb-0kx329x5z-a3d0r7g", "2026-11-03 09:45:00", "C-20494", "12.00", "GBP", ""),
        ("t0y5i8c3rkg-0kx34bz8w-n6l2v4m", "2026-11-03 10:12:13", "C-20495", "870.00", "GBP", ""),
        ("w3u8a1j6ols-0kx36e1bt-h9q5f0k", "2026-11-03 10:50:50", "C-20496", "33.33", "EURO", ""),
        ("z6l1e4p9tdw-0kx38g3eq-c2o8b7s", "2026-11-03 11:30:00", "C-20497", "150.00", "GBP", ""),
        ("d9h4v7g2mya-0kx3ai5hn-x5i1t3j", "2026-11-03 12:04:44", "C-20498", "27.80", "EUR", ""),
        ("g2k7b0n5qve-0kx3ck7kk-f8u4p6z", "2026-11-03 13:28:15", "C-20499", "615.40", "GBP", ""),
        ("j5n0f3r8szi-0kx3em9nh-y1a7w9c", "03/11/2026", "C-20500", "58.00", "GBP", ""),
        ("l8p3k6t1vcm-0kx3gobqe-s4g0d2q", "2026-11-03 14:59:59", "C-20501", "104.25", "USD", "https://x.example/rugs"),
        ("n1r6o9x4yfq-0kx3iqdtb-e7m3h5u", "2026-11-03 15:21:08", "C-20502", "9.90", "GBP", ""),
        ("p4t9s2z7biu-0kx3ksfw8-q0s6l8y", "2026-11-03 16:40:30", "C-20503", "1899.00", "GBP", ""),
        ("r7v2w5b0ely-0kx3muhz5-g3y9o1i", "2026-11-04 09:05:12", "C-20504", "72.15", "EUR", ""),
        ("x0z5a8d3hoc-0kx3owk22-v6c2r4n", "2026-11-04 09:33:47", "C-20505", "240.00", "GBP", ""),
    )  # fmt: skip

    def check_settings(self, settings: Mapping[str, Any]) -> list[Issue]:
        """A namespace is the part before the last dot of a type, without the dot."""
        namespace = settings.get("namespace") or ""
        if namespace and not _NAMESPACE.fullmatch(namespace):
            message = "A namespace holds letters, digits, _ and -, with no dot at its end, such as someco."
            return [Issue("namespace", "not_a_namespace", message)]
        return []

    def check(self, values: dict[str, Any], settings: Mapping[str, Any]) -> list[Issue]:
        """Adds the event type to `values`; two decimals at most, no type but a transaction summary."""
        issues: list[Issue] = []
        kind = values.setdefault("type", full_type(settings))
        if kind.rpartition(".")[2] not in AMOUNT_FIELDS:
            known = ", ".join(AMOUNT_FIELDS)
            message = f"This is no transaction summary. Write one of {known}, with or without a namespace."
            issues.append(Issue("type", "unknown_type", message))
        if not EARLIEST <= values.get("timestamp", EARLIEST) < LATEST:
            message = "This lies too far from the present for Qubit. Correct the year, or leave the row out."
            issues.append(Issue("timestamp", "too_far_away", message))
        if normalize.decimals(values.get("value", "")) > 2:
            message = "Qubit takes at most two decimals. Round the amount."
            issues.append(Issue("value", "too_many_decimals", message))
        if "transaction_id" not in values:
            message = "There is no transaction id; the portal makes one when the row is queued, and keeps it."
            issues.append(Issue("transaction_id", "transaction_id_made", message, warning=True))
        return issues

    def duplicate_key(self, values: Mapping[str, Any]) -> Sequence[Any] | None:
        """Type and transaction id; the whole payload where there is no id."""
        if "transaction_id" not in values:
            return None
        return [values["type"], values["transaction_id"]]

    def wire_key(self, values: Mapping[str, Any], new_key: Callable[[int], str]) -> str | None:
        """The transaction id, or a random one: the vendor allows that where there is none."""
        return values.get("transaction_id") or new_key(32)

    def harmless_to_repeat(self, values: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
        """Only by an admin's word: the vendor documents nothing about repeats."""
        return settings.get("repeat_unknown") is True

    def build(self, payloads: Sequence[Payload], settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Request:
        """All payloads in one list of events. Raises ValueError for one with neither transaction id nor wire key."""
        source = settings.get("source") or f"offline-portal@{VERSION}"
        body = normalize.exact_json({"events": [event(payload, source) for payload in payloads]})
        return self._request(body, settings, secrets)

    def _request(self, body: str, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Request:
        tracking_id = secrets["tracking_id"]
        url = normalize.under(
            settings.get("base_url") or self.default_base_url, f"/events/{normalize.path_part(tracking_id)}"
        )
        headers = {"User-Agent": USER_AGENT, "Content-Type": "application/json", "Accept": "application/json"}
        return Request("POST", url, headers, body.encode(), (tracking_id,))

    def read(self, response: Response, payloads: Sequence[Payload]) -> list[Outcome]:
        """One Outcome a result, by position: the vendor links them to events in no other way.

        Raises Answered for the vendor's `{status, message}` and for a status that is not 2xx, NotUnderstood for
        any other shape and for a wrong number of results.
        """
        if not 200 <= response.status < 300:
            raise Answered(response.status)
        try:
            answer = json.loads(response.body)
        except (ValueError, RecursionError):
            raise NotUnderstood("The answer is not JSON.") from None
        results = answer.get("results") if isinstance(answer, dict) else None
        if isinstance(results, list):
            if len(results) != len(payloads):
                raise NotUnderstood(f"The answer has {len(results)} results for {len(payloads)} events.")
            return [outcome(result) for result in results]
        status = answer.get("status") if isinstance(answer, dict) else None
        if type(status) is int and 300 <= status < 600:
            raise Answered(status, normalize.vendor_words(answer.get("message", "")))
        raise NotUnderstood("The answer has no list of results.")

    def probe(self, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Request | None:
        """An empty list of events: there is nothing in it to store."""
        return self._request('{"events":[]}', settings, secrets)

    def describe_probe(self, response: Response) -> tuple[bool, str]:
        """An empty list is refused with 400, or taken; both show that address and tracking id lead somewhere."""
        if response.status in (400, 422) or 200 <= response.status < 300:
            return True, "Qubit answers at this address and reads our requests. The test stored nothing there."
        if response.status == 404:
            return False, "Qubit does not know this tracking id, or the address is not its own. Check both."
        return False, f"The address answers with status {response.status}. Check the address and the tracking id."


def full_type(settings: Mapping[str, Any]) -> str:
    """The event type of a destination: the vertical's transaction summary behind the namespace, if it has one."""
    kind = TYPES[settings.get("vertical") or "ecommerce"]
    namespace = settings.get("namespace")
    return f"{namespace}.{kind}" if namespace else kind


def event(payload: Payload, source: str) -> dict[str, Any]:
    """One QProtocol event. Which member holds the total depends on the type's part behind the last dot."""
    values = payload.values
    transaction_id = values.get("transaction_id") or payload.wire_key
    if not transaction_id:
        raise ValueError("The payload has no transaction id and got no wire key.")
    meta = {"type": values["type"], "ts": normalize.epoch_milliseconds(values["timestamp"])}
    if "url" in values:
        meta["url"] = values["url"]
    total = {"value": Decimal(values["value"]), "currency": values["currency"]}
    return {
        "context": {"id": values["visitor_id"]},
        "meta": {**meta, "source": source},
        AMOUNT_FIELDS[values["type"].rpartition(".")[2]]: {"total": total},
        "transaction": {"id": transaction_id},
    }


def outcome(result: Any) -> Outcome:
    """What one result says: only the word `success` is one. Raises NotUnderstood where there is no word at all."""
    if not isinstance(result, dict) or not isinstance(result.get("status"), str):
        raise NotUnderstood("A result in the answer has no status.")
    status = result["status"]
    warnings = result.get("warnings")
    told = tuple(map(normalize.vendor_words, warnings[:20])) if isinstance(warnings, list) else ()
    if status != "success":
        # The vendor's example says `failed`, its text `error`; whatever else may come is no success either.
        message = normalize.vendor_words(result.get("error") or result.get("message") or status)
        return Outcome(False, code=normalize.vendor_words(status), message=message, warnings=told)
    receipt = result.get("eventId")
    return Outcome(True, "row", normalize.vendor_words(receipt) if receipt else None, warnings=told)
