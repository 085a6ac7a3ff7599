"""Qubit: QProtocol events from offline sources, `POST /events/{trackingId}`, many events a request.

Facts: docs.qubit.com/content/setup/data-collection-offline-conversions; types and limits of fields from the
QProtocol implementation guide. The document's examples are JavaScript, the wire is strict JSON.
"""

import json
import math
import random
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from connectors.emulator.switches import Switch
from connectors.emulator.vendor import Answer, Call, Conversion, Judgement, Vendor

PATH = re.compile(r"/events/([^/]+)")
TYPE = re.compile(r"(?:[A-Za-z0-9_-]+\.)*([A-Za-z][A-Za-z0-9]*)")
CURRENCY = re.compile(r"[A-Z]{3}")
AMOUNT_FIELDS = {
    "ecBasketTransactionSummary": "basket",
    "egBetslipTransactionSummary": "betslip",
    "pbBasketTransactionSummary": "basket",
    "loBasketTransactionSummary": "basket",
    "trPackageTransactionSummary": "package",
    "fiBasketTransactionSummary": "basket",
}
LONGEST_TEXT = 256
DEEPEST = 20
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class NotIngested(ValueError):
    """One event is refused; the message is the vendor's own text, such as `Missing context.id`."""


class BadRequest(ValueError):
    """The whole request is refused; the message tells a person why."""


class Qubit(Vendor):
    """A result for each event, by position; the account is the tracking id in the path."""

    slug = "qubit"
    title = "Qubit"
    account_label = "tracking id"
    routes = ("POST /events/{trackingId}",)
    switches = (
        Switch("fail_every", "integer", "Refuses each Nth event of a request (mixed results).", least=1),
        Switch("refusal_word", "choice", "The status word of a refused event; failed unless set.",
               choices=("failed", "error"), rule=True),
        Switch(
            "results", "choice",
            "What is wrong with the list of results: shuffled, one missing, one too many, none at all.",
            choices=("shuffled", "short", "long", "empty"),
        ),
        Switch("refusal_in_200", "integer", "Answers 200 with {status, message} of this code; stores none.",
               least=400, most=599),
        Switch("known_ids", "text", "Tracking ids that exist, separated by commas; others are answered 404.",
               rule=True),
    )  # fmt: skip

    def account(self, call: Call) -> str:
        """The tracking id in the path, empty if the path is another one."""
        match = PATH.fullmatch(call.path)
        return unquote(match[1]) if match else ""

    def judge(self, call: Call, account: str, options: Mapping[str, Any]) -> Judgement:
        """Refuse the whole request, or give one result for each event."""
        known = [name.strip() for name in options.get("known_ids", account).split(",")]
        if not account or account not in known:
            why = f"unknown tracking id {account}" if account else "the only path is /events/{trackingId}"
            return Judgement(self.refusal(404, why=why))
        if call.method != "POST":
            answer = self.refusal(405, why="events are posted")
            answer.headers["Allow"] = "POST"
            return Judgement(answer)
        if call.headers.get("Content-Type", "").split(";")[0].strip().lower() != "application/json":
            return Judgement(self.refusal(415, why="Content-Type is not application/json"))
        if "refusal_in_200" in options:
            answer = self.refusal(options["refusal_in_200"])
            answer.status = 200
            return Judgement(answer)
        try:
            events = read_events(call.body)
        except BadRequest as error:
            return Judgement(self.refusal(400, why=str(error)))
        judged = [judge_event(event, place, options) for place, event in enumerate(events, 1)]
        results = bent([result for result, _ in judged], options.get("results"))
        answer = Answer(200, json.dumps({"results": results}).encode())
        return Judgement(answer, [found for _, found in judged])


def read_events(body: bytes) -> list[Any]:
    """The list `events` of a strict JSON body. Raises BadRequest."""
    try:
        wrapper = json.loads(body.decode("utf-8"), parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(wrapper, dict) or not isinstance(wrapper.get("events"), list):
        raise BadRequest("the body is not an object with a list named events")
    events: list[Any] = wrapper["events"]
    if not events:
        raise BadRequest("events is empty")
    return events


def refuse_constant(word: str) -> None:
    """JSON knows no NaN and no Infinity."""
    raise ValueError(f"{word} is not JSON")


def judge_event(event: Any, place: int, options: Mapping[str, Any]) -> tuple[dict[str, Any], Conversion]:
    """The vendor's result for one event, and what it would store."""
    transaction_id, event_type = found_text(event, "transaction", "id"), found_text(event, "meta", "type")
    key = {"transaction_id": transaction_id, "type": event_type}
    try:
        validate(event)
        if place % options.get("fail_every", place + 1) == 0:
            raise NotIngested("Event could not be ingested")
    except NotIngested as refusal:
        result = {"status": options.get("refusal_word", "failed"), "error": str(refusal)}
        return result, Conversion(key, {"event": event}, "rejected", str(refusal))
    warnings = [] if event["meta"].get("source") else ["Missing meta.source"]
    event_id = new_event_id()
    result = {"eventId": event_id, "eventType": event_type, "status": "success", "warnings": warnings}
    identity = (transaction_id,) if transaction_id else None
    return result, Conversion(key, {"event": event}, notes=warnings, identity=identity, receipt=event_id)


def validate(event: Any) -> None:
    """Raise NotIngested for the first fault.

    The order: context.id, meta.type, meta.ts, the vertical's amount, currency and transaction.id, then the
    optional fields and the length of every text.
    """
    if not isinstance(event, dict):
        raise NotIngested("Invalid event")
    text(event, "context.id")
    match = TYPE.fullmatch(text(event, "meta.type"))
    suffix = match[1] if match else ""
    if not match or (suffix.endswith("TransactionSummary") and suffix not in AMOUNT_FIELDS):
        raise NotIngested("Invalid meta.type")
    time = at(event, "meta.ts")
    if type(time) is not int or not 10**12 <= time < 10**13:
        raise NotIngested("Invalid meta.ts")
    if suffix in AMOUNT_FIELDS:
        total = AMOUNT_FIELDS[suffix] + ".total"
        if not is_money(at(event, f"{total}.value")):
            raise NotIngested(f"Invalid {total}.value")
        if not CURRENCY.fullmatch(text(event, f"{total}.currency")):
            raise NotIngested(f"Invalid {total}.currency")
        text(event, "transaction.id")
    for path in ("meta.source", "meta.url", "transaction.id"):
        optional_text(event, *path.split("."))
    for path in overlong(event):
        raise NotIngested(f"Invalid {path}")


def at(event: dict[str, Any], path: str) -> Any:
    """What lies at a path; raises NotIngested where it is missing or what leads to it is no object."""
    value: Any = event
    walked: list[str] = []
    for name in path.split("."):
        if not isinstance(value, dict):
            raise NotIngested(f"Invalid {'.'.join(walked)}")
        walked.append(name)
        value = value.get(name)
        if value is None or value == "":
            raise NotIngested(f"Missing {path}")
    return value


def text(event: dict[str, Any], path: str) -> str:
    """The text at a path; raises NotIngested where it is missing, no text or too long."""
    value = at(event, path)
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise NotIngested(f"Invalid {path}")
    return value


def optional_text(event: dict[str, Any], parent: str, name: str) -> None:
    """Raise NotIngested where parent.name is given and no text."""
    if not isinstance(event.get(parent, {}), dict):
        raise NotIngested(f"Invalid {parent}")
    if not isinstance(event.get(parent, {}).get(name, ""), str):
        raise NotIngested(f"Invalid {parent}.{name}")


def is_money(value: Any) -> bool:
    """Whether it is a number (not a text, not true) with at most two decimals."""
    if type(value) is int:
        return True
    if type(value) is not float or not math.isfinite(value):
        return False
    exponent = Decimal(repr(value)).normalize().as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -2


def overlong(value: Any, path: str = "", depth: int = 0) -> Iterator[str]:
    """The paths of all texts that are too long, and of what is nested too deeply to be an event."""
    if depth > DEEPEST or (isinstance(value, str) and len(value) > LONGEST_TEXT):
        yield path
    elif isinstance(value, (dict, list)):
        members = value.items() if isinstance(value, dict) else enumerate(value)
        for name, member in members:
            yield from overlong(member, f"{path}.{name}".lstrip("."), depth + 1)


def found_text(event: Any, parent: str, name: str) -> str | None:
    """The text at parent.name of whatever was sent, None if there is none."""
    value = event.get(parent) if isinstance(event, dict) else None
    value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None


def bent(results: list[dict[str, Any]], how: str | None) -> list[dict[str, Any]]:
    """The results, or what the switch `results` makes of them."""
    if how == "shuffled":
        return results[1:] + results[:1]
    if how == "short":
        return results[:-1]
    if how == "long":
        return [*results, results[-1]]
    return [] if how == "empty" else results


def new_event_id() -> str:
    """A receipt in the documented shape: three base-36 parts joined by hyphens."""
    return "-".join("".join(random.choices(DIGITS, k=length)) for length in (11, 9, 7))  # noqa: S311
