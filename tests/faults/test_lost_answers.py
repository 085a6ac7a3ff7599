"""A call with a key is carried out once, also where its web server, or the database, is lost before the answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings, settings
from django.contrib.auth.models import User
from django.db import OperationalError
from django.utils import timezone

from offline_portal import destinations
from offline_portal.intake import store
from offline_portal.models import Destination, IdempotencyKey, Send, Upload
from tests.api.conftest import Caller, error_of
from tests.conftest import Road
from tests.delivery.test_road import KISS
from tests.faults.programs import Programs, Web, until

SHOP = {"name": "Shop", "connector": "kissmetrics", "secrets": {"api_key": "key-0815-3f9a"}}


def upload(web: Web) -> tuple[int, Any]:
    parts = f'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n{KISS}\r\n--x--\r\n'
    kind = {"Content_Type": "multipart/form-data; boundary=x", "Idempotency_Key": "one"}
    return web.call("POST", "/api/v1/uploads", parts.encode(), **kind)


def age(seconds: float | None = None) -> None:
    """As if the calls had begun so long ago, else for longer than anybody waits for them."""
    longest = settings.PORTAL_LEASE + 1 if seconds is None else seconds
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(seconds=longest))


def test_what_a_killed_web_server_made_is_told_to_whoever_calls_again(road: Road, programs: Programs) -> None:
    dying = programs.web("tests.faults.dying_web:application", DEBUG="1").sign_in(road.olivia)
    assert upload(dying) == (0, "") and Upload.objects.count() == 1
    web = programs.web(DEBUG="1").sign_in(road.olivia)
    until(lambda: upload(web)[0] != 409, "the first call is given up", said=programs.said)
    assert (upload(web)[0], Upload.objects.count()) == (201, 1)

    store.read(Upload.objects.get().pk)
    place = road.destination("kissmetrics")
    wanted = {"upload": str(Upload.objects.get().pk), "destination": str(place.pk), "mapping": "auto"}
    dying = programs.web("tests.faults.dying_web:application", DEBUG="1").sign_in(road.olivia)
    assert dying.api("POST", "/sends", wanted, Idempotency_Key="two") == (0, None)
    again = until(lambda: _unless_it_runs(web, wanted), "the first call is given up", said=programs.said)
    assert (again[0], again[1]["id"]) == (201, str(Send.objects.get().pk))
    assert web.api("POST", "/sends", wanted, Idempotency_Key="two") == again


def _unless_it_runs(web: Web, wanted: dict[str, str]) -> tuple[int, Any] | None:
    found = web.api("POST", "/sends", wanted, Idempotency_Key="two")
    return None if found[0] == 409 else found


@pytest.mark.django_db
def test_a_call_that_died_before_it_did_anything_is_made_anew(people: dict[str, User]) -> None:
    adam = Caller(people["adam"])
    adam.json("POST", "/destinations", SHOP, 201, key="one")
    Destination.objects.update(name="Another shop")
    IdempotencyKey.objects.update(status=None, answer="")
    assert adam.error("POST", "/destinations", SHOP, key="one")[:2] == (409, "still_running")
    age()
    adam.json("POST", "/destinations", SHOP, 201, key="one")
    assert Destination.objects.count() == 2


@pytest.mark.django_db
def test_a_call_that_was_only_slow_does_nothing_once_another_has_taken_its_place(
    people: dict[str, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    adam, create, answers = Caller(people["adam"]), destinations.create, []

    def slowly(*arguments: Any, **named: Any) -> Destination:
        monkeypatch.undo()
        age()
        answers.append(Caller(people["adam"])("POST", "/destinations", SHOP | {"name": "Shop"}, key="one"))
        Destination.objects.update(name="So that the name would be free")
        return create(*arguments, **named)

    monkeypatch.setattr(destinations, "create", slowly)
    first = adam("POST", "/destinations", SHOP, key="one")
    assert error_of(first)[:2] == (409, "still_running")
    assert (answers[0].status_code, Destination.objects.count()) == (201, 1)
    assert adam.json("POST", "/destinations", SHOP, 201, key="one") == answers[0].json()


@pytest.mark.django_db
def test_what_was_done_although_we_answered_503_is_told_to_whoever_calls_again(
    people: dict[str, User], monkeypatch: pytest.MonkeyPatch, settings: LazySettings
) -> None:
    adam, create = Caller(people["adam"]), destinations.create

    def cut_off(*arguments: Any, **named: Any) -> Destination:
        """The connection breaks between COMMIT and its answer."""
        create(*arguments, **named)
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patch:
        patch.setattr(destinations, "create", cut_off)
        assert adam.error("POST", "/destinations", SHOP, key="one")[:2] == (503, "unavailable")
    made = adam.json("POST", "/destinations", SHOP, 201, key="one")
    assert made["id"] == str(Destination.objects.get().pk)
