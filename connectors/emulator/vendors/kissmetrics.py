"""KISSmetrics: the tracking URL `GET /e`. It answers everyone alike, so only the ledger tells what it thinks.

Facts: "API Specifications" (support.kissmetrics.com/apis/specifications, support.kissmetrics.io/reference/
api-specifications-1), "Detecting duplicates" and "Technical limitations" of the same sites.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from connectors.emulator.switches import Switch
from connectors.emulator.vendor import Answer, Call, Conversion, Judgement, Vendor

GIF = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)  # 1x1, transparent; the vendor does not document the bytes
EARLIEST = 1230768000  # 2009-01-01; older conversions are not kept
MILLISECONDS_FROM = 100_000_000_000  # the vendor's own URL builder refuses such times
LONGEST_NAME = 255
LONGEST_VALUE = 512
AS_SPACES = str.maketrans(",:", "  ")  # the vendor turns both into spaces in names
RESERVED = frozenset(("_k", "_n", "_p", "_t", "_d"))


class KISSmetrics(Vendor):
    """One event a request; the account is the API key `_k`."""

    slug = "kissmetrics"
    title = "KISSmetrics"
    account_label = "API key (_k)"
    routes = ("GET /e",)
    ignores_repeats = True
    switches = (
        Switch(
            "duplicate_rule", "choice",
            "What makes an event a repeat. new (as when unset): person, event, time, property names and "
            "values; old (until about 2016): person, event and time.",
            choices=("new", "old"), rule=True,
        ),
    )  # fmt: skip

    def account(self, call: Call) -> str:
        """The value of `_k`, empty if there is none."""
        for pair in call.query.split("&"):
            if pair.startswith("_k="):
                return parse_qsl(pair)[0][1] if len(pair) > 3 else ""
        return ""

    def judge(self, call: Call, account: str, options: Mapping[str, Any]) -> Judgement:
        """Always 200 and the GIF on the documented road; the verdict lies in the ledger only."""
        if call.path != "/e":
            return Judgement(self.refusal(404, why="the only path here is /e"))
        if call.method != "GET":
            answer = self.refusal(405, why="the tracking URL is visited with GET")
            answer.headers["Allow"] = "GET"
            return Judgement(answer)
        found = read_event(call, options.get("duplicate_rule", "new"))
        return Judgement(Answer(200, GIF, "image/gif"), [found])

    def refusal(self, status: int, message: str = "", why: str = "") -> Answer:
        """An empty answer: the vendor documents no error body."""
        return Answer(status, message.encode(), "text/plain; charset=utf-8", why=why)


def read_event(call: Call, duplicate_rule: str) -> Conversion:
    """The event in a query string, with everything that a real vendor would lose or change."""
    try:
        pairs = parse_qsl(call.query, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        empty = {"person": None, "event": None, "time": int(call.received_at)}
        return Conversion(empty, {"query": call.query}, "dropped", "the query is not percent-encoded UTF-8")
    given = dict(pairs)
    person = given.get("_p", "")
    event = given.get("_n", "").translate(AS_SPACES)
    properties = {name: value for name, value in pairs if name not in RESERVED}
    time, timed, reason, notes = read_time(given, int(call.received_at))
    if len(given) < len(pairs):
        notes.append("a parameter is given more than once; the last one counts here")
    if "@" in call.query:
        notes.append("@ is not percent-encoded")
    notes += property_notes(properties)
    reason = missing(given) or too_long(given) or reason
    properties = {name.translate(AS_SPACES): value for name, value in properties.items()}
    return Conversion(
        key={"person": person, "event": event, "time": time},
        content={"person": person, "event": event, "time": time, "timed": timed, "properties": properties},
        verdict="dropped" if reason else "effective",
        reason=reason,
        notes=notes,
        identity=identity(person, event, time, properties, duplicate_rule) if timed else None,
    )


def identity(person: str, event: str, time: int, properties: dict[str, str], rule: str) -> tuple[Any, ...]:
    """What makes a repeat under the rule; names count without case, values with it."""
    if rule == "old":
        return person, event.lower(), time
    return person, event.lower(), time, *sorted((name.lower(), value) for name, value in properties.items())


def read_time(given: dict[str, str], received_at: int) -> tuple[int, bool, str, list[str]]:
    """The second that counts, whether the request set it, why the vendor would drop the event, and notes."""
    text = given.get("_t", "")
    if given.get("_d") != "1":
        notes = ["_t is ignored without _d=1: the time of receipt counts"] if text else []
        return received_at, False, "", notes
    if not text:
        return received_at, False, "", ["_d=1 without _t: the time of receipt counts"]
    if not (text.isascii() and text.removeprefix("-").isdigit()):
        return received_at, False, "_t is not a whole number of seconds", []
    time = int(text) if len(text) < 20 else MILLISECONDS_FROM
    if time >= MILLISECONDS_FROM:
        return time, True, "_t is in milliseconds, it must be in seconds", []
    if time < EARLIEST:
        return time, True, "_t lies before 2009-01-01", []
    return time, True, "", []


def missing(given: dict[str, str]) -> str:
    """Why an event without one of the required parameters is lost, or an empty text."""
    names = [name for name in ("_k", "_n", "_p") if not given.get(name)]
    return f"missing {', '.join(names)}" if names else ""


def too_long(given: dict[str, str]) -> str:
    """Why an event with an over-long name or identity is lost, or an empty text."""
    names = [name for name in ("_n", "_p") if len(given[name]) > LONGEST_NAME]
    return f"{names[0]} is longer than {LONGEST_NAME} characters" if names else ""


def property_notes(properties: dict[str, str]) -> list[str]:
    """What would happen to single properties; the event itself is kept."""
    notes = []
    for name, value in properties.items():
        if name.startswith("_"):
            notes.append(f"property {name}: names with a leading _ are the vendor's own")
        if not name or len(name) > LONGEST_NAME:
            notes.append(f"property {name[:40]}: a name has 1 to {LONGEST_NAME} characters")
        if len(value) > LONGEST_VALUE:
            notes.append(f"property {name}: the value is longer than {LONGEST_VALUE} characters")
    return notes
