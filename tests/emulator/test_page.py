"""The pages: built from declarations, safe to look at, forms that work without script."""

import json
import re

import pytest

BROWSER = {"Accept": "text/html"}


def test_the_first_page_shows_vendors_counts_entries_and_switches(emulator, client, visit):
    visit()
    emulator.set("qubit", status=503, times=2)
    page = client.get("/").text
    for word in ("KISSmetrics", "Qubit", "bob@bob.com", "effective", "status = 503, times 2, met 0"):
        assert word in page
    for switch in client.get("/switches.json").json()["qubit"]["declared"]:
        assert f'id="qubit-{switch["name"]}"' in page


def test_the_ledger_page_narrows(emulator, client, visit, post, event):
    visit()
    visit(n=None)
    post(event())
    page = client.get("/ledger", params={"vendor": "kissmetrics", "verdict": "dropped"}).text
    assert "missing _n" in page
    assert "unique-id" not in page
    assert page.count('<span class="verdict') == 1


def test_nothing_in_a_page_runs_or_comes_from_elsewhere(client, post, visit, event):
    visit(p="<script>alert(1)</script>", k='"><img src=x>')
    post(event(transaction__id="<b>"), account="%3Ci%3E")
    lone = json.dumps({"events": [event(transaction__id="<b>\ud800")]})
    client.post("/qubit/events/a", content=lone, headers={"Content-Type": "application/json"})
    for path in ("/", "/ledger", "/?error=<script>x</script>", "/ledger?vendor=<u>&account=<u>&verdict=<u>"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert not re.search(r"<(script|img|i|b|u)>", answer.text), path
        assert "style=" not in answer.text
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_the_style_is_served_for_light_and_dark(client):
    answer = client.get("/emulator.css")
    assert answer.headers["Content-Type"].startswith("text/css")
    assert "prefers-color-scheme: dark" in answer.text


def test_switches_set_and_turned_off_by_form(emulator, client, visit):
    fields = {"status": "503", "store": "true", "delay_ms": "", "times": "1", "account": "", "button": "set"}
    answer = client.post("/switches/kissmetrics", data=fields, headers=BROWSER)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert (visit().status_code, visit().status_code) == (503, 200)
    assert emulator.counts("kissmetrics")["effective"] == 2
    client.post("/switches/kissmetrics", data={"button": "off"}, headers=BROWSER)
    assert client.get("/switches/kissmetrics").json()["all"] == {}


def test_a_wrong_value_in_the_form_is_told_on_the_page(client):
    answer = client.post("/switches/qubit", data={"status": "9"}, headers=BROWSER, follow_redirects=True)
    assert "Qubit: status: &#x27;9&#x27; is not a whole number from 200 to 599" in answer.text


def test_the_ledger_is_emptied_by_form(emulator, client, visit):
    visit()
    assert client.post("/ledger/clear", headers=BROWSER).status_code == 303
    assert emulator.counts()["requests"] == 0


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
def test_another_sites_page_changes_nothing(emulator, client, visit, origin):
    visit()
    assert client.post("/ledger/clear", headers={"Origin": origin}).status_code == 403
    assert emulator.counts()["requests"] == 1
    assert client.post("/ledger/clear", headers={"Origin": emulator.url}).status_code == 200


@pytest.mark.parametrize("path", ["/nothing", "/e", "/switches/none", "/%00"])
def test_unknown_addresses(client, path):
    assert client.get(path).status_code == 404


def test_get_changes_nothing(client, emulator, visit):
    visit()
    assert client.get("/ledger/clear").status_code == 404
    assert emulator.counts()["requests"] == 1
