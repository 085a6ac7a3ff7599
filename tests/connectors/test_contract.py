"""What every connector promises, tested over all that are found; the vendors' cases are the JSON files beside."""

import json
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

import connectors.base
from connectors import all_connectors
from connectors.base import Connector, ConnectorError, Field, Outcome, Payload, Request, Response
from connectors.by_file import FileConnector, Frame
from offline_portal import mapping
from offline_portal.checking import compile_plan
from offline_portal.mapping.names import plain

FOLDER = Path(__file__).parent
CONNECTORS = list(all_connectors().values())
CASES = {connector.slug: json.loads((FOLDER / f"{connector.slug}.json").read_text()) for connector in CONNECTORS}
NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
TYPES = {
    "text", "email", "url", "number", "integer", "money", "currency", "timestamp", "boolean", "choice", "secret",
}  # fmt: skip

each = pytest.mark.parametrize("connector", CONNECTORS, ids=lambda connector: connector.slug)


def cases(part: str):
    found = [(connector, case) for connector in CONNECTORS for case in CASES[connector.slug].get(part, [])]
    names = [f"{connector.slug}: {case['name']}" for connector, case in found]
    return pytest.mark.parametrize(("connector", "case"), found, ids=names)


def settings_of(connector: Connector, case: dict | None = None) -> dict:
    return CASES[connector.slug]["settings"] | ((case or {}).get("settings") or {})


def secrets_of(connector: Connector, case: dict | None = None) -> dict:
    return CASES[connector.slug]["secrets"] | ((case or {}).get("secrets") or {})


def payloads_of(case: dict) -> list[Payload]:
    return [Payload(one["values"], one.get("wire_key")) for one in case["payloads"]]


# What is declared


@each
def test_a_connector_declares_everything_that_screens_need(connector: Connector):
    assert connector.slug and connector.name and connector.docs.startswith("https://")
    assert connector.rows_a_request >= 1 and connector.bytes_a_request > 0 and connector.default_rate > 0
    keys = [setting.key for setting in connector.settings]
    if connector.transport == "file":
        assert {"protocol", "host", "path", "filename", "timezone"} <= set(keys) and len(keys) == len(set(keys))
    else:
        assert connector.default_base_url.startswith("https://")
        assert {"base_url", "rate", "timezone"} <= set(keys) and len(keys) == len(set(keys))
    for declared in (connector.fields, connector.secrets):
        assert len({field.key for field in declared}) == len(declared)


@each
def test_every_field_speaks_to_a_marketer(connector: Connector):
    for field in connector.fields:
        assert field.type in TYPES - {"secret"} and field.label and field.example, field.key
        assert field.help.endswith("."), field.key
    for field in (*connector.own_settings, *connector.secrets):
        assert field.help.endswith(".") and field.label, field.key
    assert all(secret.type == "secret" for secret in connector.secrets)
    assert all(field.choices for field in (*connector.fields, *connector.settings) if field.type == "choice")


@each
def test_an_example_is_a_value_of_its_own_field(connector: Connector):
    mapping.validate({key_of(field): {"value": field.example} for field in connector.fields}, connector, [])


@each
def test_required_fields_are_found_in_four_languages(connector: Connector):
    for field in connector.fields:
        if field.required is True:
            assert len(field.aliases) >= 12, field.key


@each
def test_no_header_means_two_fields(connector: Connector):
    fields = [{plain(name) for name in (field.key, field.label, *field.aliases)} for field in connector.fields]
    names = [name for field in fields for name in field]
    assert {name for name in names if names.count(name) > 1} == set()


@each
def test_a_connector_has_a_person_or_a_reference_to_search_for(connector: Connector):
    assert {"person", "reference"} & {field.role for field in connector.fields}


def key_of(field: Field) -> str:
    return field.key.replace("*", "1")


# What is sent


def built(connector: Connector, case: dict) -> Request:
    parts = payloads_of(case), settings_of(connector, case), secrets_of(connector, case)
    if isinstance(connector, FileConnector):
        return connector.build_file(*parts, Frame(**case.get("frame", {})))
    return connector.build(*parts)


@cases("build")
def test_the_request_is_exactly_this(connector: Connector, case: dict):
    request = built(connector, case)
    wanted = case["request"]
    assert (request.method, request.url) == (wanted["method"], wanted["url"])
    if "headers" in wanted:
        assert dict(request.headers) == wanted["headers"]
    if "body" in wanted:
        assert request.body.decode() == wanted["body"]


@cases("build")
def test_the_same_payloads_make_the_same_bytes(connector: Connector, case: dict):
    first, second = (
        connector.build(payloads_of(case), settings_of(connector, case), secrets_of(connector, case)) for _ in "ab"
    )
    assert first == second


@cases("build")
def test_secrets_are_named_so_that_they_can_be_masked(connector: Connector, case: dict):
    marked = {key: f"s3cret/{number}=" for number, key in enumerate(secrets_of(connector, case))}
    request = connector.build(payloads_of(case), settings_of(connector, case), marked)
    assert leaks(request) == []


@each
def test_the_probe_leaks_nothing_and_stores_nothing(connector: Connector):
    marked = {key: f"s3cret/{number}=" for number, key in enumerate(secrets_of(connector))}
    request = connector.probe(settings_of(connector), marked)
    if request is not None:
        assert leaks(request) == []
        assert request.url.startswith(settings_of(connector)["base_url"])


def leaks(request: Request) -> list[str]:
    """Where a secret would still stand after `secret_texts` are taken out."""
    parts = [request.url, request.body.decode("utf-8", "replace"), *request.headers.values()]
    for secret in request.secret_texts:
        for written in (secret, quote(secret, safe=""), quote_plus(secret)):
            parts = [part.replace(written, "") for part in parts]
    return [part for part in parts if "s3cret" in part]


# What is read


@cases("read")
def test_the_answer_means_exactly_this(connector: Connector, case: dict):
    body = json.dumps(case["json"]) if "json" in case else case["body"]
    response = Response(case["status"], case.get("headers", {}), body.encode())
    payloads = [Payload({})] * case["rows"]
    if "raises" in case:
        with pytest.raises(getattr(connectors.base, case["raises"])) as raised:
            connector.read(response, payloads)
        assert getattr(raised.value, "status", None) == case.get("answered", getattr(raised.value, "status", None))
        return
    wanted = [Outcome(**{**one, "warnings": tuple(one.get("warnings", ()))}) for one in case["outcomes"]]
    assert connector.read(response, payloads) == wanted


WORDS = st.sampled_from(["results", "status", "error", "message", "warnings", "eventId", "success", "failed"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(), inner, max_size=4),
    max_leaves=12,
)
ANSWERS = st.one_of(
    st.binary(max_size=200),
    JSON.map(json.dumps).map(str.encode),
    st.lists(st.dictionaries(WORDS, WORDS | JSON), max_size=3).map(
        lambda found: json.dumps({"results": found}).encode()
    ),
    st.just(b"[" * 100_000),
)


@each
@given(status=st.integers(100, 599), body=ANSWERS, rows=st.integers(1, 3))
def test_any_answer_gives_one_outcome_a_row_or_one_of_our_errors(connector: Connector, status, body, rows):
    try:
        outcomes = connector.read(Response(status, {}, body), [Payload({})] * rows)
    except ConnectorError:
        return
    assert 200 <= status < 300
    assert len(outcomes) == rows
    for outcome in outcomes:
        assert bool(outcome.evidence) == outcome.accepted
        assert outcome.accepted or outcome.message
        for text in (outcome.receipt or "", outcome.code, outcome.message, *outcome.warnings):
            assert len(text) <= 500 and text.isprintable()


@each
def test_the_evidence_is_the_best_one_at_most(connector: Connector):
    order = ["delivered", "batch", "row", "confirmed"]
    for case in CASES[connector.slug]["read"]:
        for outcome in case.get("outcomes", []):
            assert order.index(outcome.get("evidence", "delivered")) <= order.index(connector.best_evidence)


@cases("probes")
def test_the_probe_is_explained(connector: Connector, case: dict):
    works, sentence = connector.describe_probe(Response(case["status"], {}, b""))
    assert works == case["works"]
    assert sentence.endswith(".")


# What is judged


@cases("check")
def test_the_row_is_judged_so(connector: Connector, case: dict):
    columns = list(case["cells"])
    mapping.validate(case["mapping"], connector, columns)
    plan = compile_plan(connector, case["mapping"], columns, settings_of(connector, case), "UTC", NOW)
    values, problems, warnings = plan.check(list(case["cells"].values()))
    assert [(one["field"], one["code"]) for one in problems] == [tuple(pair) for pair in case.get("problems", [])]
    assert [(one["field"], one["code"]) for one in warnings] == [tuple(pair) for pair in case.get("warnings", [])]
    assert values == case.get("values")


@cases("keys")
def test_repeats_are_told_apart_so(connector: Connector, case: dict):
    values, numbers = case["values"], count()
    if "duplicate_key" in case:
        assert connector.duplicate_key(values) == case["duplicate_key"]
        assert connector.similar_key(values) == case["similar_key"]
    if "wire_key" in case:
        assert connector.wire_key(values, lambda digits: "0" * digits if next(numbers) == 0 else "") == case["wire_key"]
    assert connector.harmless_to_repeat(values, settings_of(connector, case)) == case["harmless_to_repeat"]


@cases("identifiers")
def test_a_row_is_found_by(connector: Connector, case: dict):
    assert [list(pair) for pair in connector.identifiers(case["values"])] == case["identifiers"]


@cases("settings_issues")
def test_settings_are_looked_at(connector: Connector, case: dict):
    issues = connector.check_settings(settings_of(connector) | case["settings"])
    assert [[issue.field, issue.code] for issue in issues] == case["issues"]


@each
def test_keys_that_the_vendor_does_not_know_cannot_be_mapped(connector: Connector):
    required = {key_of(field): {"value": field.example} for field in connector.fields if field.required is True}
    for key in CASES[connector.slug]["bad_keys"]:
        with pytest.raises(mapping.MappingInvalid) as raised:
            mapping.validate({**required, key: {"value": "x"}}, connector)
        assert list(raised.value.fields) == [key]


# What is offered to try


@each
def test_the_sample_maps_itself_and_its_bad_rows_are_the_bad_ones(connector: Connector):
    header, *rows = (list(row) for row in connector.sample)
    assert 20 <= len(rows) <= 30 and all(len(row) == len(header) for row in rows)
    chosen = mapping.auto(connector, header, rows, None, settings_of(connector))
    mapping.validate(chosen, connector, header)
    assert {source["column"] for source in chosen.values()} == set(header)
    plan = compile_plan(connector, chosen, header, settings_of(connector), "UTC", NOW)
    judged = {line: plan.check(row) for line, row in enumerate(rows, 2)}
    wanted = CASES[connector.slug]["sample"]
    assert [line for line, (values, _, _) in judged.items() if values is None] == wanted["problem_lines"]
    assert [line for line, (values, _, told) in judged.items() if values and told] == wanted["warned_lines"]
    problems = {line: judged[line].problems for line in wanted["problem_lines"]}
    assert len({tuple(problem["code"] for problem in told) for told in problems.values()}) >= 3
    assert all(problem["column"] in header for told in problems.values() for problem in told), "each names its cell"


@each
def test_every_good_row_of_the_sample_can_be_sent(connector: Connector):
    header, *rows = (list(row) for row in connector.sample)
    chosen = mapping.auto(connector, header, rows)
    plan = compile_plan(connector, chosen, header, settings_of(connector), "UTC", NOW)
    good = [values for row in rows if (values := plan.check(row).values)]
    keys = [connector.duplicate_key(values) for values in good]
    assert len({str(key) for key in keys if key}) == len([key for key in keys if key]), "a sample has no duplicates"
    payloads = [Payload(values, connector.wire_key(values, lambda digits: "0" * digits)) for values in good]
    for start in range(0, len(payloads), connector.rows_a_request):
        together = payloads[start : start + connector.rows_a_request]
        request = connector.build(together, settings_of(connector), secrets_of(connector))
        assert len(request.body) <= connector.bytes_a_request
