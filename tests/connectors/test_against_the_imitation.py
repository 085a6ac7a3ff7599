"""Connectors and the imitated vendors were written apart from the same documents: here they must agree."""

import json
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import all_connectors
from connectors.base import Connector, Payload, Response
from connectors.emulator.vendor import Call, Judgement
from connectors.emulator.vendors import discover
from offline_portal import mapping
from offline_portal.checking import compile_plan

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
SECRETS = {"kissmetrics": {"api_key": "a key/1"}, "qubit": {"tracking_id": "a b/ü"}}
CONNECTORS = [connector for connector in all_connectors().values() if connector.slug in SECRETS]
each = pytest.mark.parametrize("connector", CONNECTORS, ids=lambda connector: connector.slug)


def judged(connector: Connector, payloads: list[Payload], settings: dict) -> tuple[Judgement, list]:
    """What the imitation makes of the request, and what the connector makes of its answer."""
    vendor = discover()[connector.slug]
    settings = {"base_url": "https://vendor.example"} | settings
    request = connector.build(payloads, settings, SECRETS[connector.slug])
    parts = urlsplit(request.url)
    call = Call(request.method, parts.path, parts.query, request.headers, request.body, NOW.timestamp())
    account = vendor.account(call)
    assert account in SECRETS[connector.slug].values()
    judgement = vendor.judge(call, account, {})
    answer = judgement.answer
    return judgement, connector.read(Response(answer.status, answer.headers, answer.body), payloads)


def payload(connector: Connector, values: dict) -> Payload:
    return Payload(values, connector.wire_key(values, lambda digits: "f" * digits))


@each
def test_every_good_row_of_the_sample_counts_at_the_vendor(connector: Connector):
    header, *rows = (list(row) for row in connector.sample)
    plan = compile_plan(connector, mapping.auto(connector, header, rows), header, {}, "Europe/London", NOW)
    payloads = [payload(connector, values) for row in rows if (values := plan.check(row).values)]
    for start in range(0, len(payloads), connector.rows_a_request):
        together = payloads[start : start + connector.rows_a_request]
        judgement, outcomes = judged(connector, together, {})
        assert [conversion.verdict for conversion in judgement.conversions] == ["effective"] * len(together)
        assert [outcome.accepted for outcome in outcomes] == [True] * len(together)


def test_the_imitation_reads_back_what_kissmetrics_was_told():
    values = {
        "identity": "tom+x@ü.example",
        "event": "Sold & paid",
        "timestamp": "2026-01-01T00:00:00Z",
        "property:A=b": "1 & 2%",
    }
    judgement, _ = judged(all_connectors()["kissmetrics"], [Payload(values)], {})
    content = judgement.conversions[0].content
    assert content["person"] == "tom+x@ü.example" and content["event"] == "Sold & paid"
    assert (content["time"], content["timed"]) == (1767225600, True)
    assert content["properties"] == {"A=b": "1 & 2%"}


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300) | st.sampled_from(["", "1,000", "_x", "a:b,c"])
cells = st.fixed_dictionaries(
    {
        "who": texts,
        "what": texts,
        "when": st.datetimes(datetime(1990, 1, 1), datetime(9000, 1, 1)).map(str) | texts,
        "amount": st.decimals(-100000, 100000, places=2).map(str) | texts,
        "currency": st.sampled_from(["EUR", "usd", "XXX"]) | texts,
        "note": texts,
    }
)
MAPPINGS = {
    "kissmetrics": {
        "identity": {"column": "who"},
        "event": {"column": "what"},
        "timestamp": {"column": "when"},
        "property:Billed amount": {"column": "amount"},
        "property:Note": {"column": "note"},
    },
    "qubit": {
        "visitor_id": {"column": "who"},
        "timestamp": {"column": "when"},
        "value": {"column": "amount"},
        "currency": {"column": "currency"},
        "transaction_id": {"column": "what"},
        "url": {"column": "note"},
    },
}
VERTICALS = st.sampled_from(["ecommerce", "egaming", "publisher", "logistics", "travel", "finance"])


@each
@given(rows=st.lists(cells, min_size=1, max_size=4), vertical=VERTICALS, namespace=st.sampled_from(["", "some.co"]))
def test_what_the_portal_calls_ready_the_vendor_does_not_lose(connector: Connector, rows, vertical, namespace):
    settings = {"vertical": vertical, "namespace": namespace}
    plan = compile_plan(connector, MAPPINGS[connector.slug], list(rows[0]), settings, "Europe/Berlin", NOW)
    ready = [values for row in rows if (values := plan.check(list(row.values())).values)]
    for start in range(0, len(ready), connector.rows_a_request):
        together = [payload(connector, values) for values in ready[start : start + connector.rows_a_request]]
        judgement, outcomes = judged(connector, together, settings)
        for conversion, outcome in zip(judgement.conversions, outcomes, strict=True):
            assert (conversion.verdict, outcome.accepted) == ("effective", True), conversion.reason


def test_a_qubit_event_arrives_digit_by_digit():
    values = {"visitor_id": "v", "timestamp": "2026-01-01T00:00:00.007Z", "value": "9.90", "currency": "EUR",
              "type": "some.co.trPackageTransactionSummary"}  # fmt: skip
    request = all_connectors()["qubit"].build([Payload(values, "k" * 32)], {"source": "s@1"}, {"tracking_id": "t"})
    [event] = json.loads(request.body, parse_float=str)["events"]
    assert event == {
        "context": {"id": "v"},
        "meta": {"type": "some.co.trPackageTransactionSummary", "ts": 1767225600007, "source": "s@1"},
        "package": {"total": {"value": "9.90", "currency": "EUR"}},
        "transaction": {"id": "k" * 32},
    }
