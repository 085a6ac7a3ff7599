"""A repeated call is answered as the first one was, and done once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from offline_portal.api import destinations as calls
from offline_portal.models import Destination, IdempotencyKey
from tests.api.conftest import Caller, error_of


def body(name: str = "Shop") -> dict[str, Any]:
    return {"name": name, "connector": "kissmetrics", "secrets": {"api_key": "key-0815-3f9a"}}


@pytest.mark.django_db
def test_the_first_answer_comes_again(adam: Caller) -> None:
    first = adam("POST", "/destinations", body(), key="one")
    again = adam("POST", "/destinations", dict(reversed(body().items())), key="one")
    assert (first.status_code, again.status_code, first.content) == (201, 201, again.content)
    assert "Idempotency-Replayed" not in first and again["Idempotency-Replayed"] == "true"
    assert Destination.objects.count() == 1
    assert "key-0815" not in str(IdempotencyKey.objects.values().get())


@pytest.mark.django_db
def test_refusals_are_first_answers_too(adam: Caller) -> None:
    assert adam.error("POST", "/destinations", body(""), key="one")[0] == 422
    assert adam.error("POST", "/destinations", body(""), key="one")[1] == "invalid"
    assert adam.error("POST", "/destinations", body(), key="one")[1] == "idempotency_key_reused"


@pytest.mark.django_db
def test_another_body_another_call_another_person(adam: Caller, people: dict) -> None:
    made = adam.json("POST", "/destinations", body(), 201, key="one")
    assert adam.error("POST", "/destinations", body("Other"), key="one")[:2] == (422, "idempotency_key_reused")
    assert adam.error("PATCH", f"/destinations/{made['id']}", body(), key="one")[1] == "idempotency_key_reused"
    people["outsider"].groups.set(people["adam"].groups.all())
    assert Caller(people["outsider"]).json("POST", "/destinations", body("Other"), 201, key="one")
    assert adam("GET", "/destinations", key="one").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["x" * 201, "naïve", "a\tb"])
def test_a_key_that_is_none_is_400(adam: Caller, key: str) -> None:
    assert adam.error("POST", "/destinations", body(), key=key)[:2] == (400, "bad_idempotency_key")


@pytest.mark.django_db
def test_our_own_failure_frees_the_key(adam: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(calls, "destination_shape", lambda _: 1 / 0)
        assert adam.error("POST", "/destinations", body("First"), key="one")[0] == 500
    adam.json("POST", "/destinations", body("Second"), 201, key="one")


@pytest.mark.django_db
def test_a_replay_needs_the_role_still(adam: Caller, people: dict) -> None:
    adam.json("POST", "/destinations", body(), 201, key="one")
    people["adam"].groups.clear()
    assert adam.error("POST", "/destinations", body(), key="one")[0] == 403


@pytest.mark.django_db
def test_an_answer_is_kept_for_a_day(adam: Caller) -> None:
    adam.json("POST", "/destinations", body(), 201, key="one")
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=25))
    adam.json("POST", "/destinations", body("Later"), 201, key="one")


@pytest.mark.django_db
def test_while_the_first_call_runs_the_second_is_409(adam: Caller, people: dict) -> None:
    adam.json("POST", "/destinations", body(), 201, key="one")
    IdempotencyKey.objects.update(status=None, answer="")
    assert adam.error("POST", "/destinations", body(), key="one")[:2] == (409, "still_running")
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(minutes=11))
    assert adam.error("POST", "/destinations", body(), key="one")[:2] == (422, "invalid")


@pytest.mark.django_db(transaction=True)
def test_twenty_calls_at_once_do_it_once(people: dict) -> None:
    callers = [Caller(people["adam"]) for _ in range(20)]

    def call(caller: Caller) -> Any:
        try:
            return caller("POST", "/destinations", body(), key="one")
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(call, callers))
    assert Destination.objects.count() == 1
    done = {answer.content for answer in answers if answer.status_code == 201}
    assert len(done) == 1
    for answer in answers:
        assert answer.status_code == 201 or error_of(answer)[:2] == (409, "still_running")
