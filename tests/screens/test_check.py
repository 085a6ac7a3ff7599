"""Step 4: what is wrong is told by kind, stays true while rows are mended, and costs the database little."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from offline_portal import listing, problem_kinds
from offline_portal.models import Delivery, Send

HTMX = {"HX-Request": "true"}
HEADER = "Visitor ID,Date,Amount,Currency,Order number\n"


@pytest.fixture
def send(road) -> Send:
    """Lines 2 to 6: two without a visitor, two with a bad currency, one of them with both faults; one is ready."""
    rows = (
        ",2026-11-02 09:00:00,1.00,EUR,A-1\n"
        "v-2,2026-11-02 09:00:00,1.00,euros,A-2\n"
        ",2026-11-02 09:00:00,1.00,euros,A-3\n"
        "v-4,2026-11-02 09:00:00,1.00,EUR,A-4\n"
    )
    return road.check(road.upload(HEADER + rows), road.destination("qubit"))


def mend(client: Client, send: Send, line: int, cells: dict[str, str], **where: str) -> str:
    answer = client.post(f"/sends/{send.pk}/check/{line}", cells | where, headers=HTMX)
    assert answer.status_code == 200
    return answer.content.decode()


def test_kinds_are_counted_by_rows_and_told_in_the_words_of_the_first(send):
    kinds = {(kind.code, kind.column): kind for kind in problem_kinds.counted(send)}
    assert {key: kind.rows for key, kind in kinds.items()} == {
        ("missing", "Visitor ID"): 2, ("not_a_currency", "Currency"): 2
    }  # fmt: skip
    assert kinds["missing", "Visitor ID"].message.startswith("Visitor id is empty")


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        (("missing", "Visitor ID"), [2, 4]),
        (("not_a_currency", "Currency"), [3, 4]),
        (("missing", "visitor id"), []),
        (("missing", "Currency"), []),
        (("%", "'"), []),
    ],
)
def test_the_rows_of_a_kind(send, kind, lines):
    assert [row.line for row in listing.send_rows(send, "problem", None, 50, kind).items] == lines


def test_the_rows_of_a_kind_come_page_by_page(send):
    first = listing.send_rows(send, "problem", None, 1, ("missing", "Visitor ID"))
    second = listing.send_rows(send, "problem", first.next, 1, ("missing", "Visitor ID"))
    assert [row.line for row in first.items + second.items] == [2, 4] and second.next is None


def test_problems_of_no_column_are_a_kind_too(send):
    note = '[{"field":"","column":null,"code":"url_long","message":"“It’s” too long."}]'
    Delivery.objects.filter(send=send, line=2).update(problems=note)
    kinds = {(kind.code, kind.column): kind.message for kind in problem_kinds.counted(send)}
    assert kinds["url_long", ""] == "“It’s” too long."
    assert [row.line for row in listing.send_rows(send, "problem", None, 50, ("url_long", "")).items] == [2]


def test_what_is_wrong_follows_each_row_that_is_mended(send, olivia):
    page = mend(olivia, send, 2, {"cell:0": "v-1"}, show="problem")
    assert '<div id="wrong" hx-swap-oob="true">' in page
    assert page.count("1 row</span>") == 1 and page.count("2 rows</span>") == 1
    page = mend(olivia, send, 3, {"cell:3": "EUR"}, show="problem")
    assert page.count("1 row</span>") == 2
    page = mend(olivia, send, 4, {"cell:0": "v-3", "cell:3": "EUR"}, show="problem")
    assert '<div id="wrong" hx-swap-oob="true"></div>' in page and "The rows with problems" not in page


def test_a_mended_row_leaves_the_person_where_they_were(send, olivia):
    where = {"show": "problem", "code": "not_a_currency", "column": "Currency", "after": "2"}
    page = olivia.get(f"/sends/{send.pk}/check", where).content.decode()
    for name, text in where.items():
        assert f'<input type="hidden" name="{name}" value="{text}">' in page
    answer = olivia.post(f"/sends/{send.pk}/check/3", where | {"cell:3": "EUR"})
    assert answer.url == f"/sends/{send.pk}/check?show=problem&code=not_a_currency&column=Currency&after=2"
    page = mend(olivia, send, 4, {"cell:3": "EUR"}, **where)
    assert "All rows with problems" in page, "the list knows which kind is shown"


@pytest.mark.parametrize("query", ["show=problem", "show=problem&code=missing&column=Visitor+ID"])
def test_a_page_costs_the_same_whatever_stands_on_it(road, olivia, query):
    place = road.destination("qubit")
    costs = []
    for rows in (2, 40):
        text = HEADER + "".join(f",2026-11-02 09:00:00,{row}.00,EUR,A-{row}\n" for row in range(rows))
        send = road.check(road.upload(text, f"{rows}.csv"), place)
        with CaptureQueriesContext(connection) as asked:
            page = olivia.get(f"/sends/{send.pk}/check?{query}").content.decode()
        assert page.count('<tr id="row-') == rows
        costs.append(len(asked))
    assert costs[0] == costs[1]
