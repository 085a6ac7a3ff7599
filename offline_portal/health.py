"""Whether the parts of a running portal answer: database, Redis, workers, sweeper."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Worker

from connectors.base import VERSION
from offline_portal import schema
from offline_portal.models import Heartbeat
from offline_portal.trouble import first_line
from offline_portal.worker import QUEUES, SEEN_EVERY

SILENT_AFTER = timedelta(seconds=3 * SEEN_EVERY)
"""A worker that gave no sign of life for so long counts as gone."""
_IMPATIENT = {"socket_timeout": 2, "socket_connect_timeout": 2, "retry": Retry(NoBackoff(), 0)}
_WRITTEN = "portal:health"
"""Written at each look: a Redis that is full, or a replica, answers questions all the same."""
SWEEPER = "sweeper"
"""The Heartbeat that each pass of the sweeper renews."""


def health() -> dict[str, Any]:
    """The facts of `GET /health`: database, redis, workers, sweeper, version. Never raises."""
    database, sweeper = _database_and_sweeper()
    redis_state, workers = _redis_and_workers()
    return {
        "database": database,
        "redis": redis_state,
        "workers": workers,
        "sweeper": sweeper,
        "version": VERSION,
    }


def is_healthy(facts: dict[str, Any]) -> bool:
    """Whether nothing is down: both stores answer, the sweeper passes, each queue has a living worker."""
    stores = facts["database"] == facts["redis"] == "ok"
    manned = all(any(_listens(worker, queue) for worker in facts["workers"]) for queue in QUEUES)
    return stores and facts["sweeper"]["ok"] and manned


def has_worker(queue: str) -> bool:
    """Whether a living worker listens to `queue`; False too when Redis does not answer."""
    return any(_listens(worker, queue) for worker in _redis_and_workers()[1])


def _listens(worker: dict[str, Any], queue: str) -> bool:
    return worker["name"].startswith(f"{queue}-") and worker["state"] != "silent"


def _database_and_sweeper() -> tuple[str, dict[str, Any]]:
    try:
        misfit = schema.misfit()
        seen = Heartbeat.objects.filter(name=SWEEPER).values_list("at", flat=True).first()
    except DatabaseError as error:
        connection.close()
        return f"does not answer ({type(error).__name__})", {"ok": False, "last_pass": None}
    longest = timedelta(seconds=max(60, 3 * settings.PORTAL_SWEEP_EVERY))
    fresh = seen is not None and abs(timezone.now() - seen) < longest
    return misfit or "ok", {"ok": fresh, "last_pass": _iso(seen)}


def _redis_and_workers() -> tuple[str, list[dict[str, Any]]]:
    if not settings.REDIS_URL:
        return "REDIS_URL is not set", []
    try:
        with redis.Redis.from_url(settings.REDIS_URL, decode_responses=True, **_IMPATIENT) as client:
            client.set(_WRITTEN, 1, ex=60)
            keys = sorted(client.smembers(Worker.redis_workers_keys))
            with client.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.hgetall(key)
                found = zip(keys, pipeline.execute(), strict=True)
    except redis.ResponseError as error:
        return f"takes no writes ({first_line(error)[:100]})", []
    except (redis.RedisError, OSError) as error:
        return f"does not answer ({type(error).__name__})", []
    alive = ((key, facts) for key, facts in found if "last_heartbeat" in facts and "death" not in facts)
    return "ok", [_worker(key, facts) for key, facts in alive]


def _worker(key: str, facts: dict[str, str]) -> dict[str, Any]:
    seen = parse_datetime(facts["last_heartbeat"])
    silent = seen is None or timezone.now() - seen > SILENT_AFTER
    return {
        "name": key.removeprefix(Worker.redis_worker_namespace_prefix),
        "pid": int(facts.get("pid") or 0),
        "host": facts.get("hostname", ""),
        "state": "silent" if silent else facts.get("state", "started"),
        "last_seen": _iso(seen),
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None
