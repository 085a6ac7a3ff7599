"""What `GET /health` tells, with each part up and down."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone
from redis import Redis

from offline_portal.health import has_worker, health, is_healthy
from offline_portal.models import Heartbeat


def sign(url: str, queue: str, ago: float = 0, **more: str) -> None:
    """A worker's sign of life, as RQ keeps it."""
    seen = timezone.now() - timedelta(seconds=ago)
    with Redis.from_url(url) as client:
        client.sadd("rq:workers", f"rq:worker:{queue}-host-7")
        facts = {"last_heartbeat": seen.isoformat(), "pid": "7", "hostname": "host", "state": "idle", **more}
        client.hset(f"rq:worker:{queue}-host-7", mapping=facts)


@pytest.fixture
def all_up(db: None, redis_url: str) -> str:
    Heartbeat.objects.create(name="sweeper", at=timezone.now())
    sign(redis_url, "intake")
    sign(redis_url, "delivery")
    return redis_url


def test_with_everything_up_it_is_200(all_up: str, client: Client) -> None:
    answer = client.get("/api/v1/health")
    facts = answer.json()
    assert answer.status_code == 200
    assert facts["database"] == facts["redis"] == "ok"
    assert facts["sweeper"]["ok"] is True
    assert [(worker["name"], worker["pid"], worker["host"], worker["state"]) for worker in facts["workers"]] == [
        ("delivery-host-7", 7, "host", "idle"), ("intake-host-7", 7, "host", "idle"),
    ]


@pytest.mark.parametrize("queue", ["intake", "delivery"])
def test_a_queue_whose_worker_is_silent_is_down(all_up: str, client: Client, queue: str) -> None:
    sign(all_up, queue, ago=31)
    assert not has_worker(queue)
    answer = client.get("/api/v1/health")
    assert answer.status_code == 503
    assert "silent" in {worker["state"] for worker in answer.json()["workers"]}


def test_a_worker_that_said_farewell_is_not_listed(all_up: str) -> None:
    sign(all_up, "intake", death="2026-01-01")
    assert [worker["name"] for worker in health()["workers"]] == ["delivery-host-7"]


@pytest.mark.parametrize("ago", [None, 3600])
def test_a_sweeper_that_does_not_pass_is_down(all_up: str, ago: int | None) -> None:
    Heartbeat.objects.all().delete()
    if ago:
        Heartbeat.objects.create(name="sweeper", at=timezone.now() - timedelta(seconds=ago))
    facts = health()
    assert facts["sweeper"]["ok"] is False
    assert not is_healthy(facts)


def test_a_redis_that_is_away_is_told_at_once(all_up: str, client: Client, settings: LazySettings) -> None:
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    answer = client.get("/api/v1/health")
    assert answer.status_code == 503
    assert answer.json()["redis"] == "does not answer (ConnectionError)"


def test_a_worker_that_redis_half_forgot_does_no_harm(all_up: str) -> None:
    with Redis.from_url(all_up) as client:
        client.sadd("rq:workers", "rq:worker:delivery-gone-1")
        client.hset("rq:worker:delivery-half-2", "last_heartbeat", timezone.now().isoformat())
        client.sadd("rq:workers", "rq:worker:delivery-half-2")
    assert is_healthy(health())
