"""The audit: one row found by what is in hand, the log and its filters, the chain."""

from __future__ import annotations

import pytest
from django.db import connection

from offline_portal.models import AuditEntry, Delivery
from tests.screens.conftest import sample


@pytest.fixture
def row(road) -> Delivery:
    send = road.deliver(road.check(road.upload(sample("qubit"), "october.csv"), road.destination("qubit")))
    return Delivery.objects.get(send=send, line=2)


@pytest.mark.parametrize("text", ["C-20481", " c-20481 ", "6o2diu81w9o-0irxltk5b-u9t1cv4", "october.csv line 2"])
def test_a_row_is_found_by_what_is_in_hand(row, browser, text):
    page = browser("audrey").get("/audit/", {"q": text}).content.decode()
    assert "1 row for" in page and f'href="/rows/{row.pk}"' in page
    table = page.partition("<tbody>")[2]
    assert "6o2diu81w9o" not in table


def test_by_receipt_and_by_file_name(row, browser):
    client = browser("audrey")
    assert f'href="/rows/{row.pk}"' in client.get("/audit/", {"q": row.receipt}).content.decode()
    assert "october.csv, line 2" in client.get("/audit/", {"q": "octob"}).content.decode()


def test_what_was_never_sent_is_told_so(row, browser):
    page = browser("audrey").get("/audit/", {"q": "nobody@example.com"}).content.decode()
    assert "No row for" in page and "Nothing was ever sent with exactly this" in page


def test_marketing_ops_search_but_do_not_read_the_log(row, olivia, browser):
    assert "Check the chain now" not in olivia.get("/audit/").content.decode()
    assert olivia.post("/audit/verify").status_code == 403
    assert "Check the chain now" in browser("adam").get("/audit/").content.decode()


def test_filters(row, browser):
    client = browser("audrey")
    day = AuditEntry.objects.latest("seq").at.date().isoformat()
    listed = {
        query: [entry.action for entry in client.get(f"/audit/?{query}").context["entries"]]
        for query in ("action=send.checked", "actor=olivia", f"object=send:{row.send_id}", f"from={day}&to={day}",
                      "to=2001-01-01")
    }  # fmt: skip
    assert set(listed["action=send.checked"]) == {"send.checked"} and "upload.accepted" in listed["actor=olivia"]
    assert "send.queueing" in listed[f"object=send:{row.send_id}"] and listed[f"from={day}&to={day}"]
    assert listed["to=2001-01-01"] == []


def test_the_chain_is_checked_on_demand_and_a_change_shows(row, browser):
    client = browser("audrey")
    assert "The chain holds" in client.post("/audit/verify", follow=True).content.decode()
    if connection.vendor != "sqlite":
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE '%auditentry'")
        triggers = cursor.fetchall()
        for name, _sql in triggers:
            cursor.execute(f'DROP TRIGGER "{name}"')
        cursor.execute("UPDATE portal_auditentry SET actor = 'mallory' WHERE action = 'send.checked'")
        for _name, sql in triggers:
            cursor.execute(sql)
    assert "The chain does not hold" in client.post("/audit/verify", follow=True).content.decode()
