"""Destinations: what they may be, their secrets, their versions, and the log of every change."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.conf import LazySettings

from connectors.emulator.testing import Emulator
from offline_portal import secrets
from offline_portal.models import AuditEntry, Destination, DestinationSettings, Send, Upload
from tests.api.conftest import Caller

pytestmark = pytest.mark.django_db
KEY = "live-key-0815-3f9a"


def body(**changes: Any) -> dict[str, Any]:
    whole = {"name": "Shop", "connector": "kissmetrics", "secrets": {"api_key": KEY}}
    return whole | changes


def test_a_destination_is_made_with_defaults_and_hides_its_secret(adam: Caller, audrey: Caller) -> None:
    made = adam.json("POST", "/destinations", body(settings={"rate": 2.5}), 201)
    assert made == {
        "id": made["id"], "name": "Shop", "connector": "kissmetrics",
        "settings": {"base_url": "https://trk.kissmetrics.com", "rate": 2.5},
        "secrets": {"api_key": {"set": True, "hint": "…3f9a"}},
        "live": False, "paused": False, "reason": None, "waits_until": None,
        "require_approval": False, "retention_days": None,
    }  # fmt: skip
    assert audrey.json("GET", f"/destinations/{made['id']}") == made
    assert audrey.json("GET", "/destinations") == {"items": [made], "next": None}
    assert secrets.unseal(Destination.objects.get()) == {"api_key": KEY}


def test_no_secret_reaches_the_log(adam: Caller) -> None:
    made = adam.json("POST", "/destinations", body(), 201)
    adam.json("PATCH", f"/destinations/{made['id']}", {"secrets": {"api_key": "another-key-77"}})
    told = "".join(AuditEntry.objects.values_list("detail", flat=True))
    assert KEY not in told and "another-key-77" not in told
    acts = list(
        AuditEntry.objects.filter(object=f"destination:{made['id']}").order_by("seq").values_list("action", flat=True)
    )
    assert acts == ["destination.created", "secret.changed", "secret.changed"]
    assert secrets.unseal(Destination.objects.get()) == {"api_key": "another-key-77"}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"), ({"name": "x" * 121}, "name"), ({"name": "a\nb"}, "name"),
        ({"connector": "nobody"}, "connector"), ({"retention_days": 0}, "retention_days"),
        ({"settings": {"colour": "red"}}, "settings.colour"), ({"secrets": {}}, "secrets.api_key"),
        ({"secrets": {"api_key": "  "}}, "secrets.api_key"), ({"secrets": {"api_key": KEY, "pin": "1"}}, "secrets.pin"),
        *(({"settings": {"rate": rate}}, "settings.rate") for rate in (0, -1, 5000.5, 1e12, "many", True, [], "1e400")),
        *(({"settings": {"timezone": zone}}, "settings.timezone") for zone in ("Mars", "../etc/passwd", "CEST", 1)),
        *(
            ({"settings": {"base_url": url}}, "settings.base_url")
            for url in (
                "trk.example.com", "ftp://example.com", "https://", "https://u:p@example.com",
                "https://example.com/?a=1", "https://example.com/#a", "https://example.com:99999",
                "https://exa mple.com", "https://[::1", "javascript:x", 7,
            )
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_named(adam: Caller, changes: dict[str, Any], field: str) -> None:
    status, code, fields = adam.error("POST", "/destinations", body(**changes))
    assert (status, code, set(fields)) == (422, "invalid", {field})
    assert not Destination.objects.exists()


@pytest.mark.parametrize(
    "url",
    ["https://vendor.example.com", "https://vendor.example.com:8443/some/prefix", "http://localhost:8900/kissmetrics"],
)
def test_addresses_that_are_taken(adam: Caller, url: str) -> None:
    assert adam.json("POST", "/destinations", body(settings={"base_url": url}), 201)["settings"]["base_url"] == url


@pytest.mark.parametrize(
    ("connector", "url", "taken"),
    [
        ("kissmetrics", "https://trk.kissmetrics.io", True), ("kissmetrics", "http://trk.kissmetrics.io", True),
        ("qubit", "http://offline.example.com", False), ("kissmetrics", "https://127.0.0.1", False),
        ("kissmetrics", "https://10.1.2.3:8443", False), ("kissmetrics", "https://[::1]", False),
        ("kissmetrics", "https://169.254.169.254", False), ("kissmetrics", "https://localhost", False),
        ("kissmetrics", "https://a.localhost.", False), ("kissmetrics", "https://[::ffff:10.0.0.1]", False),
        ("kissmetrics", "https://2130706433", False),
    ],
)  # fmt: skip
def test_only_public_addresses_unless_told_otherwise(
    adam: Caller, settings: LazySettings, connector: str, url: str, taken: bool
) -> None:
    settings.PORTAL_ALLOW_PRIVATE_DESTINATIONS = False
    secret = {"kissmetrics": "api_key", "qubit": "tracking_id"}[connector]
    whole = body(connector=connector, settings={"base_url": url}, secrets={secret: KEY})
    if taken:
        adam.json("POST", "/destinations", whole, 201)
    else:
        assert set(adam.error("POST", "/destinations", whole)[2]) == {"settings.base_url"}


def test_names_are_unique_among_the_living(adam: Caller) -> None:
    first = adam.json("POST", "/destinations", body(), 201)
    assert set(adam.error("POST", "/destinations", body())[2]) == {"name"}
    other = adam.json("POST", "/destinations", body(name="Other"), 201)
    assert adam.error("PATCH", f"/destinations/{other['id']}", {"name": "Shop"})[0] == 422
    adam.json("DELETE", f"/destinations/{first['id']}", status=204)
    assert adam.error("GET", f"/destinations/{first['id']}")[0] == 404
    adam.json("PATCH", f"/destinations/{other['id']}", {"name": "Shop"})
    assert [one["name"] for one in adam.json("GET", "/destinations")["items"]] == ["Shop"]


def test_settings_are_merged_and_every_change_is_a_version(adam: Caller) -> None:
    made = adam.json("POST", "/destinations", body(settings={"timezone": "Europe/Berlin"}), 201)
    where = f"/destinations/{made['id']}"
    changed = adam.json("PATCH", where, {"settings": {"rate": 7}})
    assert changed["settings"] == {"base_url": "https://trk.kissmetrics.com", "rate": 7, "timezone": "Europe/Berlin"}
    back = adam.json("PATCH", where, {"settings": {"rate": None, "timezone": ""}})
    assert back["settings"] == {"base_url": "https://trk.kissmetrics.com", "rate": 10}
    adam.json("PATCH", where, {"settings": {"rate": 10}})
    assert list(DestinationSettings.objects.order_by("version").values_list("version", flat=True)) == [1, 2, 3]
    entry = AuditEntry.objects.filter(action="destination.changed").order_by("seq").first()
    assert json.loads(entry.detail) == {"changed": {"settings.rate": [10, 7]}}  # type: ignore[union-attr]


def test_pausing_gives_a_reason_and_opening_takes_it_away(adam: Caller) -> None:
    made = adam.json("POST", "/destinations", body(), 201)
    where = f"/destinations/{made['id']}"
    paused = adam.json("PATCH", where, {"paused": True})
    assert (paused["paused"], paused["reason"]) == (True, "Paused by adam.")
    assert adam.json("PATCH", where, {"paused": True, "reason": "New key on Monday"})["reason"] == "New key on Monday"
    opened = adam.json("PATCH", where, {"paused": False})
    assert (opened["paused"], opened["reason"]) == (False, None)
    acts = list(
        AuditEntry.objects.filter(action__startswith="destination.").order_by("seq").values_list("action", flat=True)
    )
    assert acts == ["destination.created", "destination.paused", "destination.opened"]


def test_a_destination_with_an_unfinished_send_stays(adam: Caller, people: dict) -> None:
    made = adam.json("POST", "/destinations", body(), 201)
    upload = Upload.objects.create(filename="a.csv", bytes=1, format="csv", created_by=people["olivia"])
    send = Send.objects.create(
        upload=upload, destination_id=int(made["id"]), status=Send.Status.PAUSED, created_by=people["olivia"]
    )
    assert adam.error("DELETE", f"/destinations/{made['id']}")[:2] == (409, "sends_unfinished")
    Send.objects.filter(pk=send.pk).update(status=Send.Status.CANCELLED)
    adam.json("DELETE", f"/destinations/{made['id']}", status=204)
    assert adam.error("DELETE", f"/destinations/{made['id']}")[0] == 404


def test_the_connection_test_says_what_came_of_it(adam: Caller, emulator: Emulator) -> None:
    made = adam.json("POST", "/destinations", body(settings={"base_url": emulator.base_url("kissmetrics")}), 201)
    answer = adam.json("POST", f"/destinations/{made['id']}/test")
    assert answer["ok"] is True and answer["message"]
    adam.json("PATCH", f"/destinations/{made['id']}", {"settings": {"base_url": "http://127.0.0.1:1"}})
    assert adam.json("POST", f"/destinations/{made['id']}/test")["ok"] is False
    assert AuditEntry.objects.filter(action="destination.tested").count() == 2


def test_connectors_declare_what_a_form_needs(audrey: Caller) -> None:
    answer = audrey.json("GET", "/connectors")
    kissmetrics = next(one for one in answer["items"] if one["slug"] == "kissmetrics")
    assert set(kissmetrics) == {"slug", "name", "docs", "settings", "secrets", "fields"}
    assert [field["key"] for field in kissmetrics["fields"]] == ["identity", "event", "timestamp", "property:*"]
    assert {"base_url", "rate", "timezone"} == {field["key"] for field in kissmetrics["settings"]}
    expected = {"key", "label", "type", "required", "help", "aliases", "choices", "personal", "example"}
    assert all(set(field) == expected for field in kissmetrics["fields"] + kissmetrics["secrets"])
