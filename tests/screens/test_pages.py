"""Every page, for every role: who gets in, and that a careful reviewer finds nothing."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client

from offline_portal import saved_mappings
from offline_portal.delivery import release
from offline_portal.models import AuditEntry, Delivery, Send
from tests.screens.conftest import Page, sample

ROLES = {"olivia": "ops", "adam": "admin", "audrey": "auditor"}
EVERYONE, OPS, ADMIN = {"ops", "admin", "auditor"}, {"ops"}, {"admin"}
AUDIT = {"auditor", "admin"}


@pytest.fixture
def everything(road, people) -> dict[str, int]:
    """A finished send, one that is checked, one that is a draft, and a saved mapping."""
    place = road.destination("qubit")
    done = road.deliver(road.check(road.upload(sample("qubit")), place))
    again = sample("qubit").replace("C-20481", "C-99999")
    checked = road.check(road.upload(again, "again.csv"), place)
    from offline_portal import checks

    olivia = people["olivia"]
    draft = checks.draft(road.upload("Email,Event\na@example.com,Purchased\n", "draft.csv"), olivia)
    place.require_approval = True
    place.save()
    asked = release.queue(road.check(road.upload(sample("qubit").replace("C-20", "D-30"), "asked.csv"), place), olivia)
    mapping = saved_mappings.save("Shop", "qubit", done.mapping, people["olivia"])
    first = Delivery.objects.filter(send=done, status="accepted").earliest("line")
    problem = Delivery.objects.filter(send=checked, verdict="problem").earliest("line")
    return {
        "place": place.pk,
        "done": done.pk,
        "checked": checked.pk,
        "draft": draft.pk,
        "asked": asked.pk,
        "mapping": mapping.pk,
        "row": first.pk,
        "problem": problem.pk,
        "person": people["olivia"].pk,
    }


PAGES: list[tuple[str, set[str]]] = [
    ("/", EVERYONE),
    ("/health-line", EVERYONE),
    ("/sends/", EVERYONE),
    ("/sends/?status=finished&q=sales", EVERYONE),
    ("/sends/?day=2026-13-40&destination=x&after=x", EVERYONE),
    ("/sends/new", OPS),
    ("/sends/{draft}/file", OPS),
    ("/sends/{draft}/recognised", OPS),
    ("/sends/{draft}/reading", OPS),
    ("/sends/{draft}/columns", OPS),
    ("/sends/{draft}/columns?to={place}", OPS),
    ("/sends/{checked}/columns", OPS),
    ("/sends/{checked}/check", OPS),
    ("/sends/{checked}/check?show=ready", OPS),
    ("/sends/{checked}/check?show=duplicate", OPS),
    ("/sends/{checked}/check?show=excluded", OPS),
    ("/sends/{checked}/check?show=problem&code=missing&column=x", OPS),
    ("/sends/{checked}/send", OPS),
    ("/sends/{checked}/summary", EVERYONE),
    ("/sends/{checked}/when?at=2031-05-06T07:08", OPS),
    ("/sends/{asked}", EVERYONE),
    ("/sends/{asked}/history", EVERYONE),
    ("/sends/{checked}/problems.xlsx", OPS),
    ("/sends/{done}", EVERYONE),
    ("/sends/{done}?status=unknown", EVERYONE),
    ("/sends/{done}?verdict=problem", EVERYONE),
    ("/sends/{done}/requests", EVERYONE),
    ("/sends/{done}/history", EVERYONE),
    ("/sends/{done}/not-accepted.xlsx", OPS),
    ("/rows/{row}", EVERYONE),
    ("/rows/{problem}", EVERYONE),
    ("/audit/", EVERYONE),
    ("/audit/?q=C-20481", EVERYONE),
    ("/audit/?q=nobody", EVERYONE),
    ("/audit/?q=C-20481&cursor=nonsense", EVERYONE),
    ("/audit/?action=login&actor=olivia&from=2026-01-01&to=x", EVERYONE),
    ("/audit/export.zip?action=login&from=x", AUDIT),
    ("/sends/{done}/evidence.zip", AUDIT),
    ("/sends/{draft}/evidence.zip", AUDIT),
    ("/destinations/", EVERYONE),
    ("/destinations/{place}", EVERYONE),
    ("/destinations/new", ADMIN),
    ("/destinations/new?connector=kissmetrics", ADMIN),
    ("/destinations/{place}/change", ADMIN),
    ("/mappings/", EVERYONE),
    ("/mappings/{mapping}", EVERYONE),
    ("/health/", ADMIN),
    ("/people/", ADMIN),
    ("/people/new", ADMIN),
    ("/people/{person}", ADMIN),
    ("/tokens/", EVERYONE),
    ("/help/statuses", EVERYONE),
    ("/templates/qubit.xlsx", EVERYONE),
    ("/samples/qubit.csv", EVERYONE),
    ("/samples/kissmetrics.xlsx", EVERYONE),
]


def test_every_page_opens_for_its_roles_and_is_well_made(everything, browser: Callable[[str], Client]):
    faults = []
    for name, role in ROLES.items():
        client = browser(name)
        for pattern, roles in PAGES:
            address = pattern.format(**everything)
            answer = client.get(address)
            wanted = 200 if role in roles else 403
            if answer.status_code != wanted:
                faults.append(f"{name} {address}: {answer.status_code}")
            whole = answer.headers["Content-Type"].startswith("text/html") and answer.content.startswith(
                b"<!DOCTYPE"
            )
            if whole:
                faults += [f"{name} {address}: {fault}" for fault in Page(answer.content.decode()).faults]
                assert answer.headers["Content-Security-Policy"].count("unsafe") == 0
    assert faults == []


def test_a_page_that_a_role_may_not_open_is_logged(everything, browser):
    answer = browser("audrey").get("/sends/new")
    assert answer.status_code == 403
    assert "This page is for marketing ops." in answer.content.decode()
    assert AuditEntry.objects.filter(action="access.refused", actor="audrey").count() == 1


def test_strangers_are_led_to_the_sign_in_page(everything, client):
    for pattern, _roles in PAGES:
        address = pattern.format(**everything)
        answer = client.get(address)
        assert answer.status_code == 302 and answer.url.startswith("/account/login/?next="), address
    page = client.get("/account/login/").content.decode()
    assert Page(page).faults == [] and "sign up" not in page.lower()


def test_the_outsider_sees_the_way_out_and_nothing_else(everything, browser):
    outsider = browser("outsider")
    assert outsider.get("/").status_code == 403
    assert outsider.get("/sends/{done}".format(**everything)).status_code == 403


def test_every_address_of_the_screens_is_in_this_list(everything):
    posted = {
        "send-row",
        "send-row-exclude",
        "send-act",
        "send-decide",
        "send-retry",
        "row-resolve",
        "audit-verify",
        "destination-act",
        "theme",
        "send-live",
        "person-act",
        "person-token",
        "token-revoke",
        "first-password",
        "style",
    }
    from django.urls import resolve

    seen = {resolve(pattern.format(**everything).partition("?")[0]).url_name for pattern, _roles in PAGES}
    module = importlib.import_module("offline_portal.screens.urls")
    ours = {pattern.name for pattern in module.urlpatterns}
    assert ours - seen - posted == set()


def test_error_pages_have_the_look_and_an_id_to_quote(browser):
    for address, status in (("/nothing/here", 404), ("/rows/424242", 404), ("/sends/424242", 404)):
        answer = browser("olivia").get(address)
        page = answer.content.decode()
        assert answer.status_code == status and "id to quote" in page and Page(page).faults == []


def test_our_own_fault_shows_no_traceback(browser, monkeypatch):
    from offline_portal.screens import sends

    monkeypatch.setattr(sends.listing, "sends", lambda *_: 1 / 0)
    client = browser("olivia")
    client.raise_request_exception = False
    answer = client.get("/sends/")
    page = answer.content.decode()
    assert answer.status_code == 500 and "id to quote" in page
    assert "ZeroDivisionError" not in page and "Traceback" not in page


def test_a_form_without_its_token_is_told_plainly(people):
    client = Client(enforce_csrf_checks=True)
    client.force_login(people["olivia"])
    answer = client.post("/theme", {"theme": "dark"})
    assert answer.status_code == 403 and "open for too long" in answer.content.decode()


def test_static_files_are_named_by_the_pages_and_there():
    folder = Path(__file__).parents[2]
    sprite = (folder / "static/icons.svg").read_text()
    used = {
        part.split('"')[1]
        for path in (folder / "templates").rglob("*.html")
        for part in path.read_text().split("{% icon ")[1:]
        if part.startswith('"')
    }
    assert used and all(f'id="{name}"' in sprite for name in used)
    from offline_portal.screens import tones

    looks = [*tones.SENDS.values(), *tones.ROWS.values(), *tones.UPLOADS.values()]
    assert all(f'id="{look.icon}"' in sprite and look.word for look in looks)
    assert {*Send.Status.values} == {*tones.SENDS} and {*Delivery.Status.values, *Delivery.Verdict.values} <= {
        *tones.ROWS
    }
