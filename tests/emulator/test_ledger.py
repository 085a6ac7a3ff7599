"""What is kept, how it is read, and that counts stay exact when old entries go."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.emulator.ledger import BLOCK, Ledger, Visit, pack, unpack
from connectors.emulator.vendor import Conversion

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def fill(ledger: Ledger, account: str, number: int, start: int = 0) -> None:
    book = ledger.book("v", account)
    for n in range(start, start + number):
        ledger.arrived(book)
        found = Conversion({"id": n}, {"n": n}, identity=(n,))
        ledger.store(book, [found], Visit(n, time.time(), True, "200"))


def test_pages_walk_through_everything_in_order():
    ledger = Ledger()
    fill(ledger, "a", BLOCK + 300)
    fill(ledger, "b", 200)
    seen, after = [], 0
    while after is not None:
        page = ledger.page(None, None, after, 250)
        seen += [item["seq"] for item in page["items"]]
        after = page["next"]
    assert seen == list(range(1, BLOCK + 501))
    assert [item["seq"] for item in ledger.page("v", "b", 0, 2)["items"]] == [BLOCK + 301, BLOCK + 302]
    assert ledger.page("v", "b", 0, 200)["next"] is None
    assert ledger.page("nobody", None, 0, 10) == {
        "items": [], "next": None, "counts": dict.fromkeys(ledger.counts()["total"], 0),
    }  # fmt: skip


def test_the_newest_come_first_over_blocks_and_accounts():
    ledger = Ledger()
    fill(ledger, "a", BLOCK - 1)
    fill(ledger, "b", 3)
    fill(ledger, "a", 2, start=BLOCK)
    assert [item["seq"] for item in ledger.last(5)] == [BLOCK + 4, BLOCK + 3, BLOCK + 2, BLOCK + 1, BLOCK]
    assert [item["seq"] for item in ledger.last(3, "v", "a")] == [BLOCK + 4, BLOCK + 3, BLOCK - 1]


def test_old_entries_go_but_counts_and_identities_stay():
    ledger = Ledger(keep=2 * BLOCK)
    fill(ledger, "a", 5 * BLOCK)
    kept = ledger.page(None, None, 0, 10 * BLOCK)["items"]
    assert 2 * BLOCK <= len(kept) <= 3 * BLOCK
    assert kept[-1]["seq"] == 5 * BLOCK
    fill(ledger, "a", 1)
    assert ledger.last(1)[0]["repeat_of"] == 1
    assert ledger.counts()["total"].items() >= {"requests": 5001, "effective": 5000, "duplicates": 1}.items()


def test_clearing_one_account_leaves_the_others():
    ledger = Ledger()
    fill(ledger, "a", 3)
    fill(ledger, "b", 2)
    ledger.clear("v", "a")
    assert ledger.counts()["total"]["effective"] == 2
    fill(ledger, "a", 1)
    assert ledger.last(1)[0]["seq"] == 6
    ledger.clear()
    fill(ledger, "a", 1)
    assert [item["seq"] for item in ledger.last(5)] == [1]


@given(st.lists(st.tuples(st.integers(0, 2**60), JSON)))
def test_packing_loses_nothing(entries):
    assert unpack(pack(entries)) == entries


def test_the_ledger_over_the_wire(emulator, client, visit, post, event):
    for n in range(3):
        visit(k="foo", _t=str(1262304000 + n), _d="1")
    post(event(), event(context__id=None))

    page = client.get("/ledger.json", params={"limit": 2}).json()
    assert [item["seq"] for item in page["items"]] == [1, 2]
    rest = client.get("/ledger.json", params={"after": page["next"]}).json()
    assert [item["vendor"] for item in rest["items"]] == ["kissmetrics", "qubit", "qubit"]
    assert rest["next"] is None
    assert page["counts"]["requests"] == 4

    counts = client.get("/ledger/counts.json").json()
    by_account = {(item["vendor"], item["account"]): item for item in counts["items"]}
    assert by_account["kissmetrics", "foo"]["effective"] == 3
    assert by_account["qubit", "acme"].items() >= {"requests": 1, "received": 2, "rejected": 1}.items()
    assert counts["total"]["received"] == 5

    item = page["items"][0]
    assert item["at"].endswith("Z")
    assert set(item) == {
        "seq", "at", "request", "position", "vendor", "account", "key", "content", "verdict", "reason",
        "repeat_of", "notes", "receipt", "answered",
    }  # fmt: skip


def test_an_empty_account_can_be_asked_for(emulator, visit):
    visit(k=None)
    visit(k="foo")
    assert [item["account"] for item in emulator.ledger("kissmetrics", "")] == [""]


@pytest.mark.parametrize("method, path", [("DELETE", "/ledger"), ("POST", "/ledger/clear")])
def test_emptying(emulator, client, visit, method, path):
    visit()
    assert client.request(method, path).json()["items"] == []
    assert emulator.ledger() == []
    visit()
    assert emulator.ledger()[0]["seq"] == 1


@pytest.mark.parametrize("query", ["after=x", "limit=-1", "after=²"])
def test_a_wrong_page_is_refused_in_words(client, query):
    answer = client.get(f"/ledger.json?{query}")
    assert answer.status_code == 400
    assert "whole number" in answer.json()["error"]["message"]
