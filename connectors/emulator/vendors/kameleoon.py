"""Kameleoon: conversions by `POST /visit/events`, looked up by `GET /visit/visitor`, tokens by `POST /oauth/token`.

Facts: docs.kameleoon.com/api-reference/visit (send-visitor-events, retrieve-visitor), the pages on offline goal
conversions, and what the vendor's own clients send. Events are answered 204 before they are looked at.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl
from weakref import WeakKeyDictionary

from connectors.emulator import tokens
from connectors.emulator.ledger import Book
from connectors.emulator.switches import Switch
from connectors.emulator.vendor import Answer, Call, Conversion, Judgement, Vendor, phrase

LARGEST_BODY = 3_000_000
LONGEST_CODE = 255
DOCUMENTED_CODE = 100
VISIT_SECONDS = 30 * 60
ROBOT = re.compile("bot|crawl|spider|python-requests|curl", re.IGNORECASE)
NONCE = re.compile("[0-9A-Fa-f]{16}")
INDEX = re.compile("[0-9]+")


class Refusal(Exception):
    """The whole request is refused: the status, and why, for people."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Lost(ValueError):
    """One event is lost in silence; the message says why."""


class Kameleoon(Vendor):
    """Takes what comes and tells nobody what it makes of it; the account is the site code."""

    slug = "kameleoon"
    title = "Kameleoon"
    account_label = "site code"
    routes = ("POST /visit/events", "GET /visit/visitor", "POST /oauth/token")
    ignores_repeats = True
    switches = (
        Switch("known_goals", "text", "Ids of goals that exist, separated by commas; conversions for others are lost.",
               rule=True),
        Switch("lenient_json", "boolean", "Also reads a JSON body that comes without json=true.", rule=True),
        Switch("feature_experimentation", "boolean", "The account has this product: currentVisit is answered.",
               rule=True),
        Switch("clock_ahead", "integer", "Minutes that the vendor's clock is ahead of ours; visits end by it.",
               rule=True),
        Switch("visitor_forbidden", "boolean", "GET /visit/visitor is answered 403: the account may not read."),
        *tokens.SWITCHES,
    )  # fmt: skip

    def __init__(self) -> None:
        self._tokens = tokens.Tokens()
        self._visitors: WeakKeyDictionary[Book, Visitors] = WeakKeyDictionary()

    def account(self, call: Call) -> str:
        """The site code in the query, empty if there is none (as in a token request)."""
        return dict(parse_qsl(call.query)).get("siteCode", "")

    def judge(self, call: Call, account: str, options: Mapping[str, Any]) -> Judgement:
        """One of the three addresses; anything about the URL, the client or the token refuses the whole request."""
        roads = {
            "/visit/events": ("POST", self._events),
            "/visit/visitor": ("GET", self._visitor),
            "/oauth/token": ("POST", self._token),
        }
        if call.path not in roads:
            return Judgement(self.refusal(404, why=f"the paths here are {', '.join(roads)}"))
        method, road = roads[call.path]
        if call.method != method:
            answer = self.refusal(405, why=f"this address takes {method}")
            answer.headers["Allow"] = method
            return Judgement(answer)
        try:
            return road(call, account, options)
        except Refusal as refusal:
            return Judgement(self.refusal(refusal.status, why=str(refusal)))

    def refusal(self, status: int, message: str = "", why: str = "") -> Answer:
        """Only the status counts: the vendor documents no error body."""
        body = json.dumps({"message": message or phrase(status)}).encode()
        return Answer(status, body, why=why)

    def _token(self, call: Call, account: str, options: Mapping[str, Any]) -> Judgement:
        return Judgement(self._tokens.give(call, options))

    def _admit(self, call: Call, account: str, options: Mapping[str, Any]) -> dict[str, str]:
        """The query of a request that may be read. Raises Refusal."""
        agent = call.headers.get("User-Agent", "")
        if not agent or ROBOT.search(agent):
            raise Refusal(403, f"the User-Agent is {agent or 'empty'!r}: a robot's")
        if fault := self._tokens.fault(call, options):
            raise Refusal(401, fault)
        if not account:
            raise Refusal(400, "siteCode is missing")
        return dict(parse_qsl(call.query, keep_blank_values=True))

    def _events(self, call: Call, account: str, options: Mapping[str, Any]) -> Judgement:
        query = self._admit(call, account, options)
        if len(call.body) > LARGEST_BODY:
            raise Refusal(413, f"the body has more than {LARGEST_BODY} bytes")
        if query.get("json", "false") not in ("true", "false"):
            raise Refusal(400, "json is neither true nor false")
        time = int((call.received_at + 60 * options.get("clock_ahead", 0)) * 1000)
        found = [judge_event(event, query, time, options) for event in read_events(call.body, query, options)]
        return Judgement(Answer(204), found)

    def _visitor(self, call: Call, account: str, options: Mapping[str, Any]) -> Judgement:
        query = self._admit(call, account, options)
        if options.get("visitor_forbidden"):
            raise Refusal(403, "the account may not read visitors")
        visitor = named(query, "mappingValue")
        if visitor is None or not INDEX.fullmatch(query.get("maxNumberPreviousVisits", "")):
            raise Refusal(400, "visitorCode or mappingValue, and maxNumberPreviousVisits as a number, are required")
        now = call.received_at + 60 * options.get("clock_ahead", 0)
        visits = [as_visit(account, visitor, visit, query) for visit in self._visits(account, visitor)]
        answered: dict[str, Any] = {}
        if visits and now - visits[-1]["timeLastEvent"] / 1000 < VISIT_SECONDS:
            current = visits.pop()
            if options.get("feature_experimentation") and query.get("currentVisit") == "true":
                answered["currentVisit"] = current
        most = int(query["maxNumberPreviousVisits"])
        answered["previousVisits"] = visits[::-1][:most]
        return Judgement(Answer(200, json.dumps(answered).encode()))

    def _visits(self, account: str, visitor: tuple[str, str]) -> list[list[dict[str, Any]]]:
        """The conversions that count for a visitor, by visit, oldest first."""
        if self.ledger is None:
            return []
        book = self.ledger.book(self.slug, account)
        return self._visitors.setdefault(book, Visitors()).visits(book, visitor)


class Visitors:
    """The conversions of one book by visitor, read from the ledger as far as somebody has asked."""

    def __init__(self) -> None:
        self._read = 0
        self._found: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def visits(self, book: Book, visitor: tuple[str, str]) -> list[list[dict[str, Any]]]:
        """The visits of one visitor, oldest first: a pause of 30 minutes ends one."""
        for entry in book.entries(self._read):
            self._read = entry[0]
            if entry[8] == "effective":
                self._found.setdefault(tuple(entry[6]["visitor"]), []).append(entry[7])
        visits: list[list[dict[str, Any]]] = []
        for conversion in sorted(self._found.get(visitor, []), key=lambda content: int(content["time"])):
            if not visits or conversion["time"] - visits[-1][-1]["time"] >= VISIT_SECONDS * 1000:
                visits.append([])
            visits[-1].append(conversion)
        return visits


def as_visit(
    account: str, visitor: tuple[str, str], conversions: list[dict[str, Any]], query: Mapping[str, str]
) -> dict[str, Any]:
    """A visit as the vendor answers it; conversions only where they are asked for."""
    visit: dict[str, Any] = {
        "siteCode": account,
        "visitorCode": visitor[1],
        "timeStarted": conversions[0]["time"],
        "timeLastEvent": conversions[-1]["time"],
    }
    if query.get("conversion") == "true":
        visit["conversionEvents"] = [
            {"itp": False, "time": content["time"], "data": content["data"]} for content in conversions
        ]
    return visit


def named(query: Mapping[str, str], own_id: str) -> tuple[str, str] | None:
    """Kind and id of the visitor in a query; `own_id` is what the address calls an id of the customer's own."""
    if query.get(own_id):
        return "mapping", query[own_id]
    return ("visitor", query["visitorCode"]) if query.get("visitorCode") else None


def read_events(body: bytes, query: Mapping[str, str], options: Mapping[str, Any]) -> Iterator[Any]:
    """The events in a body: a JSON list where json=true says so, else lines of a=b&c=d.

    What cannot be read comes as Lost: nobody is told, but the ledger shows it.
    """
    text = body.decode("utf-8", "replace").strip()
    is_json = text.startswith(("[", "{"))
    if query.get("json") == "true" or (is_json and options.get("lenient_json")):
        try:
            events = json.loads(text, parse_constant=refuse_constant)
        except (ValueError, RecursionError) as error:
            events = [Lost(f"the body is not JSON: {error}")]
        yield from events if isinstance(events, list) else [Lost("the body is not a list of events")]
    elif is_json:
        yield Lost("a JSON body without json=true is read as lines of a=b")
    else:
        yield from (read_line(line) for line in text.splitlines() if line)


def refuse_constant(word: str) -> None:
    """JSON knows no NaN and no Infinity."""
    raise ValueError(f"{word} is not JSON")


def read_line(line: str) -> Any:
    """The event in a line a=b&c=d, its values in the types they would have as JSON."""
    event: dict[str, Any] = dict(parse_qsl(line, keep_blank_values=True))
    for name in ("goalId", "revenue", "negative", "metadata"):
        if name in event:
            try:
                event[name] = json.loads(event[name], parse_constant=refuse_constant)
            except (ValueError, RecursionError):
                return Lost(f"{name} cannot be read")
    return event


def judge_event(event: Any, query: Mapping[str, str], time: int, options: Mapping[str, Any]) -> Conversion:
    """What the vendor would store of one event."""
    fields = event if isinstance(event, dict) else {}
    visitor = named(query, "mappingIdentifier") or named(texts(fields), "mappingValue") or ("", "")
    nonce = str(fields.get("nonce", ""))
    data = {
        "goalId": fields.get("goalId"), "revenue": fields.get("revenue", 0),
        "negative": fields.get("negative", False), "metadata": fields.get("metadata", {}),
    }  # fmt: skip
    key = {"visitor": list(visitor), "goal_id": data["goalId"], "nonce": nonce}
    content: dict[str, Any] = {"time": time, "data": data}
    try:
        if isinstance(event, Lost):
            raise event
        validate(event, visitor[1], data, options)
    except Lost as lost:
        content["event"] = None if event is lost else event
        return Conversion(key, content, "dropped", str(lost))
    notes = [f"the visitor has more than {DOCUMENTED_CODE} characters"] if len(visitor[1]) > DOCUMENTED_CODE else []
    return Conversion(key, content, notes=notes, identity=(nonce.lower(),))


def texts(fields: Mapping[str, Any]) -> dict[str, str]:
    """The members of an event that are texts."""
    return {name: value for name, value in fields.items() if isinstance(value, str)}


def validate(event: Any, visitor: str, data: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Raise Lost for the first fault: nonce, type, visitor, goal, revenue, negative, metadata."""
    if not isinstance(event, dict):
        raise Lost("the event is no object")
    if not isinstance(event.get("nonce"), str) or not NONCE.fullmatch(event["nonce"]):
        raise Lost("nonce is not 16 hexadecimal characters")
    if str(event.get("eventType", "")).upper() != "CONVERSION":
        raise Lost("eventType is not CONVERSION; others are not kept here")
    if not 0 < len(visitor) <= LONGEST_CODE:
        raise Lost(f"the visitor is missing or has more than {LONGEST_CODE} characters")
    goal, revenue = data["goalId"], data["revenue"]
    if type(goal) is not int:
        raise Lost("goalId is not a whole number")
    known = options.get("known_goals")
    if known is not None and str(goal) not in [name.strip() for name in known.split(",")]:
        raise Lost(f"there is no goal {goal}")
    if type(revenue) not in (int, float) or not 0 <= revenue < float("inf"):
        raise Lost("revenue is not a positive number")
    if type(data["negative"]) is not bool:
        raise Lost("negative is neither true nor false")
    if not is_metadata(data["metadata"]):
        raise Lost("metadata is not an object of lists of texts, by index")


def is_metadata(value: Any) -> bool:
    """Whether it is `{"<index>": ["text", …]}`."""
    return isinstance(value, dict) and all(
        INDEX.fullmatch(index) and isinstance(members, list) and all(isinstance(member, str) for member in members)
        for index, members in value.items()
    )
