"""Tracify: server-side events, `POST /api/v1/events`, many events a request and one answer for all of them.

Facts: tracify.dev/events (fields, formats, what each type of event needs, deduplication); the vendor's API
description 1.0.0 as published in be-lenka/tracify-php-sdk (address, header, hash, answers). HTTP codes other than 200
and the texts of errors are documented nowhere.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from connectors.emulator.switches import Switch
from connectors.emulator.vendor import Answer, Call, Conversion, Judgement, Vendor, phrase

PATH = "/api/v1/events"
TYPES = ("pageview", "productview", "addtocart", "purchase", "conversion")
IDS = {"purchase": "order_id", "conversion": "conversion_id"}
IDENTITIES = {1: "an e-mail address", 2: "a session", 3: "an IP address", 4: "a user agent"}
ASKED_FOR = (3, 4)
HASH = re.compile(r"[0-9a-f]{64}")
SITE_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)
CURRENCY = re.compile(r"[A-Z]{3}")
AMOUNT = re.compile(r"-?\d+[.,]\d\d", re.ASCII)
NUMBER = re.compile(r"-?\d+(?:[.,]\d+)?", re.ASCII)
NUMBERED = re.compile(r"(ITEM|AMT|QTY)(\d+)", re.ASCII)


class BadRequest(ValueError):
    """The whole request is refused as malformed; the message tells a person why."""


class Tracify(Vendor):
    """All or nothing: one bad event refuses its batch. The account is the key in the header `tracify-token`."""

    slug = "tracify"
    title = "Tracify"
    account_label = "API key (tracify-token)"
    routes = (f"POST {PATH}",)
    ignores_repeats = True
    switches = (
        Switch("refuse_ids", "text", "Order and conversion ids, separated by commas, whose events are bad."),
        Switch("keep_good", "boolean", "Stores the good events of a batch that it refuses.", rule=True),
        Switch("missing_identity", "boolean", "Takes events without IP address or user agent.", rule=True),
        Switch("refusal_in_200", "text", 'Answers 200 with {"status": false} and this error; stores none.'),
        Switch("known_tokens", "text", "API keys that exist, separated by commas; others are answered 401.", rule=True),
    )  # fmt: skip

    def account(self, call: Call) -> str:
        """The API key in the header, empty without one."""
        return call.headers.get("tracify-token", "")

    def judge(self, call: Call, account: str, options: Mapping[str, Any]) -> Judgement:
        """Take the whole batch, or refuse it for its first bad event."""
        if answer := self._at_the_door(call, account, options):
            return Judgement(answer)
        if "refusal_in_200" in options:
            return Judgement(told(False, options["refusal_in_200"]))
        try:
            events = read_events(call.body)
        except BadRequest as error:
            return Judgement(self.refusal(422, str(error), str(error)))
        refused = {name.strip() for name in options.get("refuse_ids", "").split(",")}
        found = [judge_event(event, bool(options.get("missing_identity")), refused) for event in events]
        bad = next((place for place, one in enumerate(found) if one.verdict == "rejected"), None)
        if bad is None:
            return Judgement(told(True), found)
        kept = [one for one in found if one.verdict == "rejected" or options.get("keep_good")]
        return Judgement(told(False, f"events[{bad}]: {found[bad].reason}"), kept)

    def refusal(self, status: int, message: str = "", why: str = "") -> Answer:
        """The shape that the vendor documents for an error, with any code."""
        return told(False, message or phrase(status), status, why)

    def _at_the_door(self, call: Call, account: str, options: Mapping[str, Any]) -> Answer | None:
        known = [name.strip() for name in options.get("known_tokens", account).split(",")]
        if call.path != PATH:
            return self.refusal(404, why=f"the only path here is {PATH}")
        if call.method != "POST":
            answer = self.refusal(405, why="events are posted")
            answer.headers["Allow"] = "POST"
            return answer
        if not account or account not in known:
            return self.refusal(401, why="unknown API key" if account else "there is no header tracify-token")
        if call.headers.get("Content-Type", "").split(";")[0].strip().lower() != "application/json":
            return self.refusal(415, why="Content-Type is not application/json")
        return None


def told(status: bool, error: str = "", code: int = 200, why: str = "") -> Answer:
    """An answer in the vendor's one shape."""
    body = {"status": status, "error": error} if error else {"status": status}
    return Answer(code, json.dumps(body).encode(), why=why)


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


def judge_event(event: Any, missing_identity: bool, refused: set[str]) -> Conversion:
    """One event as it would be stored, or rejected for its first fault."""
    kind = member(event, "type")
    data = member(event, "data")
    own_id = data.get(IDS.get(kind, "")) if isinstance(data, dict) and isinstance(kind, str) else None
    reason = next(faults(event, missing_identity), "")
    if not reason and own_id in refused:
        reason = f"data.{IDS[kind]} is not accepted"
    key = {"type": kind if isinstance(kind, str) else None, "id": own_id if isinstance(own_id, str) else None}
    if reason:
        return Conversion(key, {"event": event}, "rejected", reason)
    identity = (event["customer_site_id"], kind, own_id) if kind in IDS else None
    return Conversion(key, {"event": event}, notes=notes(event), identity=identity)


def member(event: Any, name: str) -> Any:
    """What an event holds under a name, None where it is no object or holds nothing."""
    return event.get(name) if isinstance(event, dict) else None


def faults(event: Any, missing_identity: bool) -> Iterator[str]:
    """All that is wrong with an event, in the words of its error."""
    if not isinstance(event, dict):
        yield "is no object"
        return
    if not is_address(event.get("url")):
        yield "url is missing or no full address"
    if not is_text(event.get("customer_site_id"), SITE_ID):
        yield "customer_site_id is missing or no UUID"
    yield from identity_faults(event.get("identity_data"), missing_identity)
    if not is_moment(event.get("datetime")):
        yield "datetime is missing or not of the form 2024-06-21 12:36:40"
    if event.get("type") not in TYPES:
        yield f"type is missing or none of {', '.join(TYPES)}"
        return
    if not isinstance(event.get("data"), dict):
        yield "data is missing or no object"
        return
    yield from data_faults(event["data"], event["type"])


def identity_faults(found: Any, missing_identity: bool) -> Iterator[str]:
    """What is wrong with `identity_data`: {hash: kind of identity}."""
    if not isinstance(found, dict) or not found:
        yield "identity_data is missing or empty"
        return
    if not all(HASH.fullmatch(name) for name in found):
        yield "identity_data has a key that is no hash of 64 small hexadecimal digits"
    if not all(type(kind) is int and kind in IDENTITIES for kind in found.values()):
        yield "identity_data has a value that is none of 1, 2, 3, 4"
        return
    for kind in () if missing_identity else ASKED_FOR:
        if kind not in found.values():
            yield f"identity_data lacks {IDENTITIES[kind]} ({kind})"


def data_faults(data: dict[str, Any], kind: str) -> Iterator[str]:
    """What is wrong with `data` for this type of event."""
    if wrong := [name for name, value in data.items() if not isinstance(value, str)]:
        yield f"data.{wrong[0]} is no text"
        return
    if not is_address(data.get("origin")):
        yield "data.origin is missing or no address"
    if kind in IDS:
        if not data.get(IDS[kind]):
            yield f"data.{IDS[kind]} is missing"
        if not CURRENCY.fullmatch(data.get("currency", "")):
            yield "data.currency is missing or no ISO 4217 code"
        amount = data.get("amount") or (data.get("value", "") if kind == "conversion" else "")
        if not AMOUNT.fullmatch(amount):
            yield "data.amount is missing or has not two decimals"
    numbers: dict[str, set[str]] = {"ITEM": set(), "AMT": set(), "QTY": set()}
    for name, value in data.items():
        if shaped := NUMBERED.fullmatch(name):
            numbers[shaped[1]].add(shaped[2])
            if shaped[1] != "ITEM" and not NUMBER.fullmatch(value):
                yield f"data.{name} is no number"
    if numbers["ITEM"] != {str(number) for number in range(1, len(numbers["ITEM"]) + 1)}:
        yield "data: the items are not numbered from 1 without gaps"
    if not numbers["AMT"] | numbers["QTY"] <= numbers["ITEM"]:
        yield "data: an amount or a quantity has no item"


def notes(event: dict[str, Any]) -> list[str]:
    """What a person should know of an event although it counts."""
    found = [
        f"identity_data lacks {words}" for kind, words in IDENTITIES.items()
        if kind in ASKED_FOR and kind not in event["identity_data"].values()
    ]  # fmt: skip
    if read_moment(event["datetime"]) > datetime.now(UTC):
        found.append("datetime lies in the future: is it UTC?")
    if any("," in event["data"].get(name, "") for name in ("amount", "value")):
        found.append("the amount has a decimal comma; the vendor's page shows a dot")
    return found


def is_text(value: Any, shape: re.Pattern[str]) -> bool:
    """Whether a value is a text of this shape."""
    return isinstance(value, str) and shape.fullmatch(value) is not None


def is_address(value: Any) -> bool:
    """Whether a value is a web address with its scheme."""
    return isinstance(value, str) and re.match(r"https?://\S", value) is not None


def is_moment(value: Any) -> bool:
    """Whether a value is an existing moment in the vendor's form."""
    try:
        return is_text(value, MOMENT) and bool(read_moment(value))
    except ValueError:
        return False


def read_moment(text: str) -> datetime:
    """The moment of a text in the vendor's form, which is in UTC."""
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
