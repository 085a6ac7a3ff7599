"""The RQ worker of the portal: one queue, JSON, no scheduler, no job time-out; Redis may go and come."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import threading
from typing import Any

import django_rq
from django.conf import settings
from django.db import connections
from redis.exceptions import RedisError
from rq import Queue, Worker, worker_registration
from rq.exceptions import DeserializationError, StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer

from offline_portal import schema, wake
from offline_portal.delivery import stopping
from offline_portal.lifeline import end_with
from offline_portal.trouble import DATABASE_TROUBLE

log = logging.getLogger(__name__)

QUEUES = ("delivery", "intake")
SEEN_EVERY = 10
"""Seconds between two signs of life, idle or busy."""
MISFIT_PAUSE = 5.0
"""Seconds until a worker looks again whether the tables are its own version's."""


def work(queue: str) -> None:
    """Work on `queue` until SIGTERM or SIGINT; waits for Redis for as long as it is away."""
    logging.getLogger("rq.worker").addFilter(_is_not_about_redis)
    ended = threading.Event()
    while not ended.is_set():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        if why := _misfit():
            log.error("not listening on %s: %s", queue, why)
            ended.wait(MISFIT_PAUSE)
            continue
        try:
            worker = PortalWorker(queue, ended)
            log.info("listening on %s", queue)
            worker.work(logging_level="WARNING")
        except (RedisError, OSError) as error:
            log.warning("Redis is away (%s), trying again", type(error).__name__)
        ended.wait(1)


def _misfit() -> str:
    """Why this program must not touch the database; empty where it may, or where the database is away."""
    try:
        return schema.misfit()
    except DATABASE_TROUBLE:
        return ""
    finally:
        connections.close_all()


class PortalWorker(Worker):
    """A forking worker whose work-horse hears of SIGTERM and whose signs of life survive an emptied Redis."""

    max_connection_wait_time = 5.0

    def __init__(self, queue: str, ended: threading.Event) -> None:
        connection = django_rq.get_connection(queue)
        super().__init__(
            [Queue(queue, connection=connection, serializer=JSONSerializer)],
            name=f"{queue}-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}",
            connection=connection, serializer=JSONSerializer, log_job_description=False,
            worker_ttl=SEEN_EVERY + 15, job_monitoring_interval=SEEN_EVERY,
        )  # fmt: skip
        self._ended = ended

    def subscribe(self) -> None:
        """Not: the portal uses none of the commands that come through Redis (kill, stop)."""

    def check_for_suspension(self, burst: bool) -> None:
        """Also leaves when the signal to end came before RQ listened for it, or when the tables are another version's.

        Such a worker must not take wake-ups away from those that fit.
        """
        if self._ended.is_set() or _misfit():
            raise StopRequested
        super().check_for_suspension(burst)

    def request_stop(self, signum: int, frame: Any) -> None:
        """Finish what is under way, then end."""
        self._ended.set()
        super().request_stop(signum, frame)

    def handle_warm_shutdown_request(self) -> None:
        """Tell the work-horse, which ends as soon as it can."""
        if self.horse_pid:
            os.kill(self.horse_pid, signal.SIGTERM)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Also registers again when Redis has forgotten this worker."""
        super().heartbeat(timeout, pipeline)
        if pipeline is None and not self.connection.sismember(self.redis_workers_keys, self.key):
            with self.connection.pipeline() as again:
                again.hset(self.key, mapping={**self.serialize(), "state": self.get_state()})
                worker_registration.register(self, again)
                again.expire(self.key, self.worker_ttl + 60)
                again.execute()

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Have a work-horse do it, if it is the portal's: a name in Redis must not decide what code runs here."""
        if _is_ours(job):
            super().execute_job(job, queue)
            return
        log.error("Job %s is not one of the portal's; it was refused", job.id)
        queue.intermediate_queue.remove(job.id)
        job.delete(remove_from_queue=False)

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Fork with the database closed, and with SIGTERM held back until both sides are ready for it."""
        wake.load()
        connections.close_all()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        super().fork_work_horse(job, queue)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def setup_work_horse_signals(self) -> None:
        """In the work-horse: SIGTERM, or the death of the worker, asks the work to end early."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        stopping.listen()
        end_with(self.pid or 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def monitor_work_horse(self, job: Job, queue: Queue) -> None:
        """Never leave a living work-horse alone because Redis went away while it worked."""
        try:
            super().monitor_work_horse(job, queue)
        except RedisError:
            self.wait_for_horse()
            raise

    def perform_job(self, job: Job, queue: Queue) -> bool:
        """Without a time-out: an alarm between a request and its answer would lose the answer."""
        job.timeout = -1
        return super().perform_job(job, queue)

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """In one line where Redis went away before or after the work: what it knows of a job matters to nobody."""
        if isinstance(exc_info[1], RedisError):
            log.warning("Redis is away (%s) in the middle of job %s", type(exc_info[1]).__name__, job.id)
            return
        super().handle_exception(job, *exc_info)


def _is_ours(job: Job) -> bool:
    callbacks = (job._success_callback_name, job._failure_callback_name, job._stopped_callback_name)
    try:
        return job.func_name in settings.PORTAL_JOBS and job.instance is None and not any(callbacks)
    except (DeserializationError, TypeError):
        return False


def _is_not_about_redis(entry: logging.LogRecord) -> bool:
    """Whether it is more than the traceback of a Redis that is away, which `work` says in one line."""
    return not (entry.exc_info and isinstance(entry.exc_info[1], RedisError | ConnectionError))
