"""How things look: light and dark, the viewer's zone and numbers, statuses, the picture on the home page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.test import RequestFactory
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from offline_portal.screens import chart, home, pieces, tones, viewer


def test_the_look_is_kept_in_a_cookie_and_set_by_the_server(people, olivia):
    answer = olivia.post("/theme", {"theme": "dark", "next": "/sends/?q=a"})
    assert answer.url == "/sends/?q=a" and 'data-theme="dark"' in olivia.get("/sends/").content.decode()
    olivia.post("/theme", {"theme": "system"})
    assert "data-theme=" not in olivia.get("/sends/").content.decode().partition(">")[2].partition("<head>")[0]
    olivia.cookies["theme"] = '"><script>'
    assert (
        "<script>&" not in olivia.get("/sends/").content.decode()
        and viewer.theme(olivia.get("/").wsgi_request) == ""
    )


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_the_switch_never_leads_elsewhere(people, olivia, elsewhere):
    assert olivia.post("/theme", {"theme": "dark", "next": elsewhere}).url == "/"


@pytest.mark.parametrize(
    ("language", "written"), [("en-GB,en", "4,960"), ("de-DE,de;q=0.9", "4.960"), ("xx", "4,960"), ("", "4,960")]
)
def test_numbers_are_written_as_the_viewer_writes_them(road, browser, language, written):
    from offline_portal.models import Send

    send = road.check(road.upload("Email,Event\na@example.com,Purchased\n"), road.destination("kissmetrics"))
    Send.objects.filter(pk=send.pk).update(total=4960, ready=4960)
    page = browser("audrey").get(f"/sends/{send.pk}", headers={"Accept-Language": language}).content.decode()
    assert f"{written} of {written} rows ready" in page


@given(st.integers(-(10**15), 10**15))
def test_grouping_changes_no_digit(number):
    assert viewer.grouped(number).replace(",", "") == str(number)


def test_decimals_are_kept_exactly():
    assert (
        viewer.grouped("1234.50") == "1,234.50" and viewer.grouped("-0.10") == "-0.10" and viewer.grouped("") == ""
    )


def test_times_stand_in_the_viewers_zone_with_the_zone_on_hover():
    moment = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    shown = {}
    view = viewer.Viewer(lambda request: shown.setdefault(request.path, pieces.moment(moment)))
    for path, cookie in (("/berlin", "Europe/Berlin"), ("/nonsense", "../../etc/passwd"), ("/none", "")):
        request = RequestFactory().get(path)
        request.COOKIES["zone"] = cookie
        view(request)
    assert "25 Oct" in shown["/berlin"] and "02:30:00 Europe/Berlin" in shown["/berlin"]
    assert "00:30" in shown["/nonsense"] and "UTC" in shown["/none"]


@pytest.mark.parametrize(
    ("seconds", "words"), [(3, "just now"), (61, "1 minute ago"), (7300, "2 hours ago"), (90_000, "1 day ago")]
)
def test_how_long_ago(seconds, words):
    assert f">{words}<" in pieces.ago(timezone.now() - timedelta(seconds=seconds))


def test_every_status_has_tone_icon_and_word():
    for status in [*tones.ROWS, *tones.GRADES]:
        kind = {"evidence": status} if status in tones.GRADES else {}
        shown = pieces.pill("accepted" if kind else status, **kind)
        assert shown["look"].word and shown["look"].icon and shown["look"].tone
    assert pieces.pill("brand_new")["look"].word == "Brand new"


def test_sizes_are_words():
    assert [pieces.size(number) for number in (0, 999, 1500, 204_800_000, 3_200_000_000)] == [
        "0 bytes", "999 bytes", "1.5 kB", "205 MB", "3.2 GB",
    ]  # fmt: skip


def test_the_picture_stacks_each_day_to_its_sum():
    today = timezone.localdate()
    days = {today: {"accepted": 60, "rejected": 20}, today - timedelta(days=3): {"unknown": 7}}
    drawn = chart.drawn(days, 30)
    assert len(drawn["columns"]) == 30 and drawn["total"] == 87 and len(drawn["labels"]) == 5
    last = drawn["columns"][-1]
    assert [part.fill for part in last.parts] == ["good", "bad"] and "60 accepted, 20 rejected" in last.words
    assert sum(part.height for part in last.parts) == pytest.approx(chart.HEIGHT * 80 / 80)
    assert [rule.label for rule in drawn["rules"]] == ["80", "40", "0"]


@given(st.integers(1, 10**9))
def test_the_scale_is_round_and_high_enough(most):
    top = chart._round_up(most)
    assert most <= top <= 10 * most + 2 and top % 2 == 0


def test_home_tells_what_needs_whom(road, browser):
    place = road.destination("kissmetrics")
    road.check(road.upload("Email,Event\n,Purchased\nb@example.com,Purchased\n", "mine.csv"), place)
    assert "1 rows with problems in mine.csv" in browser("olivia").get("/").content.decode()
    assert "mine.csv" not in browser("oscar").get("/").content.decode().partition("Latest sends")[0]
    assert home.DAYS == 30


def test_an_empty_portal_teaches(people, olivia):
    page = olivia.get("/").content.decode()
    assert "Nothing was sent yet" in page and "/samples/kissmetrics.xlsx" in page
