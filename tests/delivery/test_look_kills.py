"""Workers killed in the middle of looking, while another one works and two sweepers pass."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import LazySettings
from django.db import connections

from offline_portal.delivery import sweep
from offline_portal.models import Answer, Attempt, Delivery, Outcome, Readback, Reader, Send
from tests.conftest import Road
from tests.delivery.looking import tallies
from tests.delivery.test_kameleoon_road import visitors, where
from tests.faults.vendor_workers import until, workers

KILLS = 3
ROWS = 60


@contextmanager
def another_sweeper() -> Iterator[None]:
    """A second one, beside that of `until`."""
    over = threading.Event()

    def passes() -> None:
        while not over.wait(0.7):
            sweep.one_pass()
        connections.close_all()

    sweeper = threading.Thread(target=passes)
    sweeper.start()
    try:
        yield
    finally:
        over.set()
        sweeper.join()


def test_a_worker_killed_in_mid_look_harms_no_row(road: Road, redis_url: str, settings: LazySettings) -> None:
    settings.PORTAL_LEASE, settings.PORTAL_RETRY_BASE = 4, 0.2
    quick = {"PORTAL_LEASE": "4", "PORTAL_RETRY_BASE": "0.2", "PORTAL_RETRY_LIMIT": "8"}
    place = where(road, verify=True, readback_after=0, readback_every=0.02, readback_tries=500, rate=20)
    send = road.deliver(road.check(road.upload(visitors(ROWS)), place), 0.5)
    assert (send.accepted, road.emulator.counts("kameleoon")["effective"]) == (ROWS, ROWS)
    road.emulator.change("kameleoon", clock_ahead=31, delay_ms=700)
    killed: set[int] = set()

    def one_dies() -> bool:
        """Whoever has looks on the wire is killed, at whatever point it is."""
        reader = Reader.objects.exclude(worker="").filter(lease_until__isnull=False).first()
        pid = int(reader.worker.rpartition(":")[2]) if reader else os.getpid()
        if pid in killed | {os.getpid()} or not Readback.objects.filter(attempt__isnull=False).exists():
            return False
        os.kill(pid, signal.SIGKILL)
        killed.add(pid)
        return True

    with another_sweeper(), workers(2, redis_url, **quick) as started:
        for number in range(KILLS):
            until(one_dies)
            if number == 0:
                started[0].kill()
        road.emulator.change("kameleoon", delay_ms=None)
        until(lambda: Send.objects.get(pk=send.pk).readback_looking == 0)
    send.refresh_from_db()
    assert tallies(send) == {"confirmed": ROWS}
    assert set(Delivery.objects.values_list("evidence", "attempt_count")) == {("confirmed", 1)}
    assert Answer.objects.count() == Attempt.objects.count()
    stopped = Answer.objects.filter(error__startswith="The worker stopped")
    assert stopped.count() >= KILLS - 1 and all(answer.attempt.readback for answer in stopped)
    assert Outcome.objects.filter(evidence="confirmed").count() == ROWS, "each row once"
    assert road.emulator.counts("kameleoon")["effective"] == ROWS
