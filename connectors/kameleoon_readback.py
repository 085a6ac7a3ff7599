"""The second half of Kameleoon: `GET /visit/visitor`, which shows what it has stored. The first: kameleoon.py.

Wire contract and sources: docs/vendors/kameleoon.md, "Reading back".
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Context, Decimal, DecimalException
from typing import Any

from connectors import normalize
from connectors.base import USER_AGENT, Answered, NotAvailable, NotUnderstood, Request, Response, Stored

VISITS = 20
"""How many earlier visits are asked for: a conversion stands in a visit of its own, and people go on visiting."""
LATEST = 253_402_300_799_000
"""The last second of the year 9999, in milliseconds: no date lies behind it."""
_CENT = Decimal("0.01")
_WIDE = Context(prec=60)


def request(visitor: str, own_id: bool, settings: Mapping[str, Any]) -> Request:
    """The visits of one visitor with their conversions. The current one is answered to one product's customers only."""
    pairs = [("siteCode", settings["site_code"]), ("mappingValue" if own_id else "visitorCode", visitor)]
    pairs.append(("maxNumberPreviousVisits", str(VISITS)))
    if settings.get("feature_experimentation"):
        pairs.append(("currentVisit", "true"))
    query = normalize.query([*pairs, ("conversion", "true")])
    sent = {"User-Agent": USER_AGENT, "Accept": "application/json"}
    return Request("GET", normalize.under(settings["base_url"], f"/visit/visitor?{query}"), sent)


def likeness(values: Mapping[str, Any]) -> Hashable:
    """Goal, revenue to two decimals (none is 0) and sign: all that the vendor gives back of what was sent."""
    return int(values["goal_id"]), _cents(values.get("revenue")), bool(values.get("negative"))


def conversions(response: Response) -> list[Stored]:
    """Every conversion in an answer, each once. Raises NotAvailable, Answered unless it is 2xx, NotUnderstood.

    What stands in the answer and cannot be a conversion of ours is passed over.
    """
    if response.status == 403:
        raise NotAvailable("Kameleoon does not let this account look up visitors (403).")
    if not 200 <= response.status < 300:
        raise Answered(response.status)
    alike: Counter[Hashable] = Counter()
    found: list[Stored] = []
    for goal, revenue, negative, time in filter(None, map(_conversion, _events(_visits(response.body)))):
        # Events of one request have the same time: the second of two that are alike is the second each time.
        name = f"{goal} {revenue} {negative:d} {time}"
        at = datetime.fromtimestamp(time / 1000, UTC)
        found.append(Stored((goal, revenue, negative), at, f"{name} {alike[name]}"))
        alike[name] += 1
    return found


def told(response: Response) -> list[dict[str, Any]]:
    """Visitors and custom data in an answer, by our field keys. Raises NotUnderstood."""
    visits = _visits(response.body)
    visitors = [{"visitor_code": str(visit["visitorCode"])} for visit in visits if visit.get("visitorCode")]
    contents = (event.get("data") for event in _events(visits) if isinstance(event, dict))
    custom = (_metadata(content.get("metadata")) for content in contents if isinstance(content, dict))
    return visitors + [values for values in custom if values]


def _visits(body: bytes) -> list[dict[str, Any]]:
    """The current visit, if there is one, and the previous ones."""
    try:
        answer = json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError, DecimalException):
        raise NotUnderstood("it is not JSON.") from None
    if not isinstance(answer, dict) or not {"previousVisits", "currentVisit"} & answer.keys():
        raise NotUnderstood("it holds no visits.")
    current, previous = answer.get("currentVisit"), answer.get("previousVisits") or []
    visits = [*([current] if current else []), *(previous if isinstance(previous, list) else [None])]
    if not all(isinstance(visit, dict) for visit in visits):
        raise NotUnderstood("its visits are none.")
    return visits


def _events(visits: list[dict[str, Any]]) -> Iterator[Any]:
    """The conversions of the visits; a visit that ends just now might stand there twice."""
    seen = set()
    for visit in visits:
        which = (str(visit.get("visitorCode")), str(visit.get("timeStarted")))
        if which not in seen:
            events = visit.get("conversionEvents")
            yield from events if isinstance(events, list) else ()
        if "timeStarted" in visit:
            seen.add(which)


def _conversion(event: Any) -> tuple[int, Decimal, bool, int] | None:
    """Goal, revenue, sign and milliseconds since 1970; None for what is no conversion."""
    content, time = (event.get("data"), event.get("time")) if isinstance(event, dict) else (None, None)
    if not isinstance(content, dict) or type(content.get("goalId")) is not int:
        return None
    revenue, negative = content.get("revenue"), content.get("negative")
    if type(revenue) not in (int, Decimal, type(None)) or type(negative) not in (bool, type(None)):
        return None
    if type(time) is not int or not 0 <= time <= LATEST:
        return None
    return content["goalId"], _cents(revenue), bool(negative), time


def _metadata(given: Any) -> dict[str, str]:
    """Custom data by index, one member a text."""
    if not isinstance(given, dict):
        return {}
    listed = {index: texts if isinstance(texts, list) else [texts] for index, texts in given.items()}
    return {
        f"metadata:{index}" + (f".{place}" if place else ""): str(text)
        for index, texts in listed.items()
        for place, text in enumerate(texts)
    }


def _cents(revenue: str | int | Decimal | None) -> Decimal:
    """Two decimals, but for an amount that has no cents because it is beyond all measure."""
    exact = Decimal(revenue or 0)
    try:
        return exact.quantize(_CENT, context=_WIDE)
    except DecimalException:
        return exact
