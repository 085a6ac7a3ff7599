"""The emulator's pages. All of it is built from what vendors and switches declare; there is no script."""

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from connectors.emulator.ledger import COUNTS
from connectors.emulator.switches import LIMITS, Switch
from connectors.emulator.vendor import FileVendor

if TYPE_CHECKING:
    from connectors.emulator.server import Emulator, Stand

NEWEST = 25
NEWEST_IN_LEDGER = 300
VERDICTS = ("effective", "duplicate", "dropped", "rejected")
LIMIT_HELP = {
    "times": "only the next N requests",
    "every": "each Nth request",
    "share": "this share of requests, 0 to 1",
    "seed": "the same seed picks the same requests",
    "for_seconds": "only this long from now",
}


def overview(emulator: "Emulator", error: str) -> str:
    """The first page: every vendor with its accounts and switches, and the newest entries."""
    alarm = f'<p class="alarm" role="alert">{escape(error)}</p>' if error else ""
    cards = "".join(vendor_card(emulator, stand) for stand in emulator.stands.values())
    newest = entries_table(emulator.ledger.last(NEWEST))
    return frame(
        "Vendor emulator",
        f"""{alarm}
<p class="lead">Stand-ins of the vendors. They judge requests as strictly as the vendors' documents say
and keep what they received in memory.</p>
{cards}
<section><h2>Newest entries</h2>{newest}<p class="actions"><a href="/ledger">The whole ledger</a></p>
<form method="post" action="/ledger/clear"><button class="danger">Empty the ledger</button></form>
</section>""",
    )


def ledger(emulator: "Emulator", vendor: str | None, account: str | None, verdict: str | None) -> str:
    """The ledger page: the newest entries of a vendor, an account and a verdict, newest first."""
    items = emulator.ledger.last(NEWEST_IN_LEDGER, vendor, account)
    items = [item for item in items if verdict in (None, item["verdict"])]
    chosen = {k: v for k, v in (("vendor", vendor), ("account", account)) if v is not None}
    shown = "".join(f" · {escape(value)}" for value in chosen.values())
    total = emulator.ledger.counts(vendor, account)["total"]
    return frame(
        f"Ledger{shown}",
        f"""<p class="actions"><a href="/">All vendors</a>
<a href="/ledger.json?{escape(urlencode(chosen))}">As JSON</a></p>
{filters(emulator, vendor, account, verdict)}
<section><h2>Counts</h2>{table(COUNTS, [[str(total[name]) for name in COUNTS]])}</section>
<section><h2>Newest {NEWEST_IN_LEDGER} entries at most</h2>{entries_table(items)}</section>""",
    )


def frame(title: str, content: str) -> str:
    """A whole page around some content."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Offline Portal</title><link rel="stylesheet" href="/emulator.css"></head>
<body><header><h1>{title}</h1></header><main>{content}</main></body></html>
"""


def vendor_card(emulator: "Emulator", stand: "Stand") -> str:
    """One vendor: where it answers, its accounts, its switches."""
    vendor = stand.vendor
    routes = ", ".join(f"<code>{escape(route)}</code>" for route in vendor.routes)
    where = f"Base URL <code>/{vendor.slug}</code> of this server, then {routes}"
    if isinstance(vendor, FileVendor):
        ports = [f"{name.upper()} port <code>{door['port']}</code>" for name, door in file_doors(emulator)]
        where = f"{escape(vendor.routes[0]).capitalize()}: {', '.join(ports)}; <a href=\"/doors.json\">keys</a>"
    return f"""<section class="vendor"><h2>{escape(vendor.title)}</h2>
<p>{where}</p>
{accounts_table(emulator, stand)}{what_is_set(stand)}
<details><summary>Switches</summary>{switch_form(stand)}</details></section>"""


def file_doors(emulator: "Emulator") -> list[tuple[str, dict[str, Any]]]:
    """The doors for files by name, with their ports."""
    return [(name, door) for name, door in emulator.doors.items() if isinstance(door, dict)]


def accounts_table(emulator: "Emulator", stand: "Stand") -> str:
    """The counts of every account of a vendor, each leading to its ledger."""
    rows = []
    for item in emulator.ledger.counts(stand.vendor.slug)["items"]:
        target = urlencode({"vendor": stand.vendor.slug, "account": item["account"]})
        link = f'<a href="/ledger?{escape(target)}">{escape(item["account"] or "(none)")}</a>'
        rows.append([link, *(str(item[name]) for name in COUNTS)])
    if not rows:
        return '<p class="quiet">No request yet.</p>'
    return table((stand.vendor.account_label, *COUNTS), rows)


def what_is_set(stand: "Stand") -> str:
    """The switches that are set, as a line of chips."""
    described = stand.board.described()
    scopes = {"": described["all"], **described["accounts"]}
    chips = [
        f"<li>{escape(f'{scope}: ' if scope else '')}{escape(name)} = {escape(words(setting))}</li>"
        for scope, settings in scopes.items()
        for name, setting in settings.items()
    ]
    return f'<ul class="chips" aria-label="Switches set">{"".join(chips)}</ul>' if chips else ""


def words(setting: Mapping[str, Any]) -> str:
    """A setting in words: `503, times 2, met 1`."""
    limits = [f"{name} {setting[name]}" for name in LIMITS if name in setting]
    return ", ".join([str(setting["value"]), *limits, f"met {setting['hits']}"])


def switch_form(stand: "Stand") -> str:
    """Every declared switch as a field; sent without script."""
    slug, settings = stand.vendor.slug, stand.board.described()["all"]
    fields = "".join(
        field(
            slug,
            switch.name,
            switch.description,
            control(slug, switch, settings.get(switch.name, {}).get("value")),
        )
        for switch in stand.board.declared.values()
    )
    limits = "".join(
        field(slug, name, LIMIT_HELP[name], f'<input id="{slug}-{name}" name="{name}" inputmode="decimal">')
        for name in LIMITS
    )
    account = field(slug, "account", "empty: all accounts", f'<input id="{slug}-account" name="account">')
    return f"""<form method="post" action="/switches/{slug}">
<p class="quiet">Setting replaces all switches of the accounts named; empty fields are off.</p>
<fieldset><legend>What happens</legend>{fields}</fieldset>
<fieldset><legend>When</legend>{limits}{account}</fieldset>
<p class="actions"><button name="button" value="set">Set</button>
<button name="button" value="off" class="danger">Turn all off</button></p></form>"""


def field(slug: str, name: str, description: str, control_markup: str) -> str:
    """A labelled field with its help."""
    return f"""<div class="field"><label for="{slug}-{name}">{name}</label>{control_markup}
<small>{escape(description)}</small></div>"""


def control(slug: str, switch: Switch, value: Any) -> str:
    """The form control that fits the type of a switch, filled with what is set."""
    named = f'id="{slug}-{switch.name}" name="{switch.name}"'
    current = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    choices = switch.choices or (("true", "false") if switch.type == "boolean" else ())
    if choices:
        return f"<select {named}>{options(('', *choices), current)}</select>"
    if switch.type == "integer":
        most = f' max="{switch.most}"' if switch.most is not None else ""
        return f'<input type="number" min="{switch.least}"{most} {named} value="{escape(current)}">'
    return f'<input {named} value="{escape(current)}">'


def options(choices: Iterable[str], current: str) -> str:
    """The options of a select, the current one selected; the empty one is a dash."""
    marked = [(escape(choice), " selected" if choice == current else "") for choice in choices]
    return "".join(f'<option value="{choice}"{mark}>{choice or "–"}</option>' for choice, mark in marked)


def filters(emulator: "Emulator", vendor: str | None, account: str | None, verdict: str | None) -> str:
    """The form that narrows the ledger."""
    hidden = f'<input type="hidden" name="account" value="{escape(account)}">' if account is not None else ""
    return f"""<form method="get" action="/ledger" class="filters">
<label>Vendor <select name="vendor">{options(("", *emulator.stands), vendor or "")}</select></label>
<label>Verdict <select name="verdict">{options(("", *VERDICTS), verdict or "")}</select></label>
{hidden}<button>Show</button></form>"""


def entries_table(items: list[dict[str, Any]]) -> str:
    """Ledger entries as a table."""
    if not items:
        return '<p class="quiet">Nothing here.</p>'
    heads = ("seq", "received (UTC)", "vendor", "account", "key", "verdict", "content", "request", "answered")
    return table(heads, [entry_cells(item) for item in items])


def entry_cells(item: dict[str, Any]) -> list[str]:
    """The cells of one entry."""
    key = "<br>".join(escape(f"{name}: {value or '(none)'}") for name, value in item["key"].items())
    remarks = [item["reason"], *item["notes"]]
    if item["repeat_of"] is not None:
        remarks.append(f"repeats {item['repeat_of']}")
    if item["receipt"]:
        remarks.append(f"receipt {item['receipt']}")
    said = "<br>".join(f"<small>{escape(remark)}</small>" for remark in remarks if remark)
    content = escape(json.dumps(item["content"], ensure_ascii=False, indent=1))
    return [
        str(item["seq"]),
        escape(item["at"].replace("T", " ").removesuffix("Z")),
        escape(item["vendor"]),
        escape(item["account"] or "(none)"),
        key,
        f'<span class="verdict {item["verdict"]}">{item["verdict"]}</span>{"<br>" if said else ""}{said}',
        f"<details><summary>show</summary><pre>{content}</pre></details>",
        f"{item['request']}&nbsp;#{item['position'] + 1}",
        escape(item["answered"]),
    ]


def table(heads: Iterable[str], rows: list[list[str]]) -> str:
    """A table; heads are text, cells are markup."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    markup = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide" tabindex="0">{markup}</div>'
