"""KISSmetrics answers everyone alike; what it really thinks stands in the ledger."""

import httpx
import pytest

SEED = "/kissmetrics/e?_k=foo&_n=Purchased&_p=bob%40bob.com&Billed+amount=5000"


def test_the_example_of_the_document(emulator, client):
    answer = client.get(SEED)

    assert (answer.status_code, answer.headers["Content-Type"], len(answer.content)) == (200, "image/gif", 43)
    assert answer.content.startswith(b"GIF89a")
    [entry] = emulator.ledger("kissmetrics", "foo")
    assert entry["verdict"] == "effective"
    assert entry["key"].items() >= {"person": "bob@bob.com", "event": "Purchased"}.items()
    assert entry["content"]["properties"] == {"Billed amount": "5000"}
    assert entry["content"]["timed"] is False
    assert entry["notes"] == []


def test_a_time_counts_only_with_d(emulator, visit):
    visit(_t="1262304000", _d="1")
    visit(_t="1262304000")
    visit(_t="1262304000", _d="0")
    visit(_d="1")

    first, *others = emulator.ledger("kissmetrics")
    assert (first["key"]["time"], first["content"]["timed"]) == (1262304000, True)
    for other in others:
        assert other["key"]["time"] > 1262304000
        assert "the time of receipt counts" in other["notes"][0]
        assert other["verdict"] == "effective"


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"k": None}, "missing _k"),
        ({"n": None}, "missing _n"),
        ({"p": None}, "missing _p"),
        ({"k": "", "n": "", "p": ""}, "missing _k, _n, _p"),
        ({"_t": "1230767999", "_d": "1"}, "_t lies before 2009-01-01"),
        ({"_t": "-5", "_d": "1"}, "_t lies before 2009-01-01"),
        ({"_t": "1262304000000", "_d": "1"}, "_t is in milliseconds, it must be in seconds"),
        ({"_t": "9" * 400, "_d": "1"}, "_t is in milliseconds, it must be in seconds"),
        ({"_t": "1262304000.5", "_d": "1"}, "_t is not a whole number of seconds"),
        ({"_t": "2010-01-01", "_d": "1"}, "_t is not a whole number of seconds"),
        ({"n": "x" * 256}, "_n is longer than 255 characters"),
        ({"p": "x" * 256}, "_p is longer than 255 characters"),
    ],
)
def test_what_a_real_vendor_loses_in_silence(emulator, visit, parameters, reason):
    assert visit(**parameters).status_code == 200

    [entry] = emulator.ledger("kissmetrics")
    assert (entry["verdict"], entry["reason"]) == ("dropped", reason)
    assert emulator.counts("kissmetrics").items() >= {"received": 1, "dropped": 1, "effective": 0}.items()


@pytest.mark.parametrize("time", ["1230768000", "99999999999"])
def test_the_edges_of_time_are_kept(emulator, visit, time):
    visit(_t=time, _d="1")
    assert emulator.ledger("kissmetrics")[0]["verdict"] == "effective"


def test_a_repeat_is_ignored_when_everything_is_the_same(emulator, visit):
    visit(_t="1262304000", _d="1", Amount="5")
    visit(_t="1262304000", _d="1", Amount="5")
    visit(_t="1262304000", _d="1", Amount="6")
    visit(_t="1262304001", _d="1", Amount="5")
    visit(_t="1262304000", _d="1", Amount="5", p="eve@bob.com")
    visit(_t="1262304000", _d="1", amount="5", n="purchased")

    entries = emulator.ledger("kissmetrics")
    assert [entry["verdict"] for entry in entries] == [
        "effective", "duplicate", "effective", "effective", "effective", "duplicate",
    ]  # fmt: skip
    assert [entry["repeat_of"] for entry in entries] == [None, 1, None, None, None, 1]


def test_the_old_rule_does_not_look_at_properties(emulator, visit):
    emulator.set("kissmetrics", duplicate_rule="old")
    visit(_t="1262304000", _d="1", Amount="5")
    visit(_t="1262304000", _d="1", Amount="6")

    assert [entry["verdict"] for entry in emulator.ledger("kissmetrics")] == ["effective", "duplicate"]
    assert emulator.counts("kissmetrics")["faulted"] == 0


def test_an_event_without_a_time_of_its_own_counts_each_time(emulator, visit):
    visit()
    visit()
    assert emulator.counts("kissmetrics", "foo")["effective"] == 2


def test_a_dropped_event_is_no_original_of_a_repeat(emulator, visit):
    visit(_t="1230767999", _d="1")
    visit(_t="1230767999", _d="1")
    assert [entry["verdict"] for entry in emulator.ledger("kissmetrics")] == ["dropped", "dropped"]


def test_accounts_do_not_see_each_other(emulator, visit):
    visit(k="foo", _t="1262304000", _d="1")
    visit(k="bar", _t="1262304000", _d="1")
    assert [entry["verdict"] for entry in emulator.ledger("kissmetrics")] == ["effective", "effective"]
    assert [entry["account"] for entry in emulator.ledger("kissmetrics", "bar")] == ["bar"]


def test_commas_and_colons_become_spaces_in_names_only(emulator, client):
    client.get("/kissmetrics/e?_k=f&_p=a%2Cb&_n=Sold%3A+all%2Cnow&Paid%2Cin%3A=1%2C5%3A0")
    content = emulator.ledger("kissmetrics")[0]["content"]
    assert (content["event"], content["person"]) == ("Sold  all now", "a,b")
    assert content["properties"] == {"Paid in ": "1,5:0"}


def test_utf8_and_plus_signs_arrive_as_meant(emulator, client):
    client.get("/kissmetrics/e?_k=f&_p=j%C3%BCrgen%2Bshop%40example.com&_n=Gekauft&Stra%C3%9Fe=a+b%2Bc")
    content = emulator.ledger("kissmetrics")[0]["content"]
    assert content["person"] == "jürgen+shop@example.com"
    assert content["properties"] == {"Straße": "a b+c"}


@pytest.mark.parametrize(
    ("query", "note"),
    [
        ("_k=f&_n=x&_p=bob@bob.com", "@ is not percent-encoded"),
        ("_k=f&_n=x&_p=b&a=1&a=2", "a parameter is given more than once"),
        ("_k=f&_n=x&_p=b&_z=1", "names with a leading _"),
        ("_k=f&_n=x&_p=b&a=" + "v" * 513, "longer than 512"),
        ("_k=f&_n=x&_p=b&" + "a" * 256 + "=1", "1 to 255 characters"),
    ],
)
def test_oddities_are_noted_but_kept(emulator, client, query, note):
    client.get(f"/kissmetrics/e?{query}")
    [entry] = emulator.ledger("kissmetrics")
    assert entry["verdict"] == "effective"
    assert note in " ".join(entry["notes"])


def test_bytes_that_are_no_utf8_are_lost(emulator, client):
    client.get("/kissmetrics/e?_k=f&_n=x&_p=%FF")
    assert emulator.ledger("kissmetrics")[0]["reason"] == "the query is not percent-encoded UTF-8"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/e/", 404), ("GET", "/E", 404), ("GET", "/s", 404), ("GET", "", 404), ("POST", "/e", 405)],
)
def test_only_the_documented_road_is_open(emulator, client: httpx.Client, method, path, status):
    answer = client.request(method, f"/kissmetrics{path}?_k=foo&_n=x&_p=y")
    assert answer.status_code == status
    assert answer.headers["Emulator-Reason"]
    assert emulator.ledger("kissmetrics") == []
    assert emulator.counts("kissmetrics", "foo")["refused"] == 1
