"""The emulator's own addresses: ledger and switches, as JSON for programs and as pages for people."""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlencode

from aiohttp import web

from connectors.emulator import page
from connectors.emulator.switches import BadSwitch

if TYPE_CHECKING:
    from connectors.emulator.server import Emulator, Stand

MOST_ITEMS = 10_000
STYLE = files(__package__).joinpath("emulator.css").read_bytes()
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


class Wrong(ValueError):
    """A request to the emulator itself that cannot be answered; carries the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def answer(emulator: "Emulator", request: web.BaseRequest, path: str) -> web.Response:
    """Answer a request that no vendor's prefix claims."""
    try:
        if request.method in ("GET", "HEAD"):
            return show(emulator, request.query, path)
        refuse_strangers(request)
        return await change(emulator, request, path)
    except Wrong as wrong:
        return as_json({"error": {"message": str(wrong)}}, wrong.status)
    except BadSwitch as wrong:
        return as_json({"error": {"message": str(wrong)}}, 422)


def show(emulator: "Emulator", query: Mapping[str, str], path: str) -> web.Response:
    """Answer a GET. Raises Wrong."""
    vendor, account = query.get("vendor") or None, query.get("account")
    if path == "/":
        return as_page(page.overview(emulator, query.get("error", "")))
    if path == "/ledger":
        return as_page(page.ledger(emulator, vendor, account, query.get("verdict") or None))
    if path == "/emulator.css":
        return web.Response(body=STYLE, content_type="text/css")
    if path == "/ledger.json":
        after, limit = whole_number(query, "after", 0), min(whole_number(query, "limit", 100), MOST_ITEMS)
        return as_json(emulator.ledger.page(vendor, account, after, limit))
    if path == "/ledger/counts.json":
        return as_json(emulator.ledger.counts(vendor, account))
    if path == "/doors.json":
        return as_json(emulator.doors)
    if path == "/switches.json":
        return as_json({slug: described(stand) for slug, stand in emulator.stands.items()})
    if path.startswith("/switches/"):
        return as_json(described(stand_at(emulator, path)))
    raise Wrong(404, f"nothing here; vendors are under {', '.join('/' + slug for slug in emulator.stands)}")


async def change(emulator: "Emulator", request: web.BaseRequest, path: str) -> web.Response:
    """Answer a PUT, PATCH, DELETE or POST. Raises Wrong, BadSwitch."""
    if (request.method, path) in (("DELETE", "/ledger"), ("POST", "/ledger/clear")):
        emulator.ledger.clear(request.query.get("vendor") or None, request.query.get("account"))
        return back(request) or as_json(emulator.ledger.counts())
    if (request.method, path) == ("DELETE", "/switches"):
        for stand in emulator.stands.values():
            stand.board.clear()
        return as_json({slug: described(stand) for slug, stand in emulator.stands.items()})
    if not path.startswith("/switches/"):
        raise Wrong(405 if path in ("/", "/ledger", "/ledger.json", "/switches.json") else 404, "nothing to change")
    stand = stand_at(emulator, path)
    if request.method == "DELETE":
        stand.board.clear()
    elif request.method in ("PUT", "PATCH"):
        wanted = await read_json(request)
        account = wanted.pop("account", None)
        stand.board.put(wanted, account, merge=request.method == "PATCH")
    elif request.method == "POST":
        return await change_by_form(request, stand)
    else:
        raise Wrong(405, "GET, PUT, PATCH, DELETE, or POST from the page")
    return as_json(described(stand))


async def change_by_form(request: web.BaseRequest, stand: "Stand") -> web.Response:
    """Set switches from the page's form: an empty field is a switch turned off."""
    form = dict(parse_qsl((await request.read()).decode("utf-8", "replace"), keep_blank_values=True))
    account = form.pop("account", "") or None
    if form.pop("button", "") == "off":
        stand.board.clear()
        return back(request) or as_json(described(stand))
    try:
        stand.board.put({name: value for name, value in form.items() if value}, account)
    except BadSwitch as wrong:
        return back(request, f"{stand.vendor.title}: {wrong}") or as_json({"error": {"message": str(wrong)}}, 422)
    return back(request) or as_json(described(stand))


def refuse_strangers(request: web.BaseRequest) -> None:
    """Raise Wrong where another site's page in a browser asks for a change."""
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("Host"):
        raise Wrong(403, "changes are made from the emulator's own page or by a program")


def back(request: web.BaseRequest, error: str = "") -> web.Response | None:
    """For a browser the way back to the page, for a program None."""
    if "text/html" not in request.headers.get("Accept", ""):
        return None
    query = f"?{urlencode({'error': error})}" if error else ""
    return web.Response(status=303, headers={"Location": f"/{query}"})


def stand_at(emulator: "Emulator", path: str) -> "Stand":
    """The vendor that a path under /switches/ names. Raises Wrong."""
    slug = unquote(path.removeprefix("/switches/"))
    if slug not in emulator.stands:
        raise Wrong(404, f"no vendor {slug!r}; there are {', '.join(emulator.stands)}")
    return emulator.stands[slug]


async def read_json(request: web.BaseRequest) -> dict[str, Any]:
    """The JSON object in a request. Raises Wrong."""
    try:
        wanted = json.loads(await request.read())
    except ValueError as error:
        raise Wrong(400, f"the body is not JSON: {error}") from error
    if not isinstance(wanted, dict):
        raise Wrong(400, "the body is not a JSON object of switches")
    return wanted


def described(stand: "Stand") -> dict[str, Any]:
    """A vendor's declared switches and what is set."""
    declared = [switch.described() for switch in stand.board.declared.values()]
    return {"declared": declared, **stand.board.described()}


def whole_number(query: Mapping[str, str], name: str, default: int) -> int:
    """A whole number of the query. Raises Wrong."""
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise Wrong(400, f"{name} is a whole number")
    return int(text)


def as_json(content: Any, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.json_response(content, status=status, headers=HEADERS)


def as_page(markup: str) -> web.Response:
    """An HTML answer; lone surrogates, which JSON can carry, become question marks."""
    body = markup.encode("utf-8", "replace")
    return web.Response(body=body, content_type="text/html", charset="utf-8", headers=HEADERS)
