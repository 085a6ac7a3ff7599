"""The pace over real worker processes, read off the vendor's own ledger: never faster than allowed, hardly slower."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime

import pytest

from offline_portal.models import Attempt, Delivery, Destination, Send
from tests.conftest import Road
from tests.faults.vendor_workers import PATIENCE, until, workers

RATES = (5, 40, 200)
SECONDS = 8
"""How long a send takes at its rate: the window of 5 s moves through it."""
MEASURED_AGAIN = 4
SENDS = 4
"""To each destination, so that four workers have a Batch each."""


def files(road: Road, where: Destination, rate: int, first: int) -> Iterator[Send]:
    rows = rate * SECONDS // SENDS
    for number in range(first, first + SENDS):
        lines = "".join(
            f"person{n}@example.com,Purchased,2026-10-{number + 1:02} {n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}\n"
            for n in range(rows)
        )
        yield road.check(road.upload(f"Email,Event,Date\n{lines}", f"{rate}-{number}.csv"), where)


def times(road: Road, account: str) -> list[float]:
    """When the vendor got each request, in order."""
    return sorted(datetime.fromisoformat(entry["at"]).timestamp() for entry in road.emulator.ledger(account=account))


def most_in_a_window(moments: list[float], window: float = 5.0) -> int:
    return max(bisect_left(moments, first + window) - index for index, first in enumerate(moments))


@pytest.mark.parametrize("many", [1, 2, 4])
def test_any_number_of_workers_keeps_the_rates_and_uses_them(road: Road, redis_url: str, many: int) -> None:
    where = {
        rate: road.destination("kissmetrics", f"at {rate} a second", {"rate": rate}, api_key=f"key-at-{rate}")
        for rate in RATES
    }
    best, too_fast = dict.fromkeys(RATES, 0.0), 0
    with workers(many, redis_url) as started:
        for measured in range(MEASURED_AGAIN):
            road.emulator.clear()
            sends = [send for rate in RATES for send in files(road, where[rate], rate, measured * SENDS)]
            for send in sends:
                road.queue(send)
            until(lambda: not Send.objects.exclude(status="finished").exists(), PATIENCE + 3 * SECONDS)
            found = {rate: times(road, f"key-at-{rate}") for rate in RATES}
            assert {rate: len(moments) for rate, moments in found.items()} == {rate: rate * SECONDS for rate in RATES}
            most = {rate: most_in_a_window(moments) / (5 * rate) for rate, moments in found.items()}
            if max(most.values()) > 1.05:
                # A vendor that stood still for a moment gets what was sent meanwhile at once; but not each time.
                too_fast += 1
                assert too_fast < 2, f"{most}, {many} workers"
                continue
            for rate, moments in found.items():
                best[rate] = max(best[rate], (len(moments) - 1) / (moments[-1] - moments[0]) / rate)
            took_part = set(Attempt.objects.values_list("worker", flat=True))
            if min(best.values()) >= 0.9 and len(took_part) >= many:
                break
        # A machine that others keep busy may be slow once.
        assert min(best.values()) >= 0.9, best
        assert len(took_part) >= many
        assert all(worker.poll() is None for worker in started)
    assert set(Delivery.objects.values_list("status", "attempt_count")) == {("accepted", 1)}
