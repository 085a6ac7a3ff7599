"""The plan of faults: the same from the same seed, and with everything in it."""

from __future__ import annotations

from collections import Counter

from tests.soak import plan
from tests.soak.plan import SHORT
from tests.soak.vendors import VENDORS


def test_the_same_seed_gives_the_same_plan_and_another_one_another() -> None:
    one = plan.make(7, 60, 20, SHORT, True)
    assert one == plan.make(7, 60, 20, SHORT, True)
    assert one != plan.make(8, 60, 20, SHORT, True)
    assert [fault.at for fault in one] == sorted(fault.at for fault in one)
    assert all(0 <= fault.at <= 60 for fault in one)


def test_a_long_run_has_every_fault_in_it_and_postgres_its_own() -> None:
    names = {fault.name for fault in plan.make(1, 600, 100, SHORT, True)}
    wanted = {*plan.KILLS, *plan.STORES, *plan.POSTGRES, *(f"look_{name}" for name in plan.LOOKS)}
    assert names >= wanted | {f"vendor_{name}" for name in plan.VENDOR} | {f"person_{name}" for name in plan.PEOPLE}
    assert not {*plan.POSTGRES} & {fault.name for fault in plan.make(1, 600, 100, SHORT, False)}


def test_there_are_as_many_kills_as_wanted_and_stops_outlast_the_lease() -> None:
    faults = plan.make(3, 40, 20, SHORT, False)
    assert sum(fault.name in plan.KILLS for fault in faults) == 20
    assert all(fault.seconds > SHORT.lease for fault in faults if fault.name == "stop_worker")


def test_every_fault_of_a_vendor_is_known_to_every_vendor() -> None:
    for vendor in VENDORS:
        for name in plan.VENDOR:
            assert vendor.switches(name, 1) != dict(vendor.calm), (vendor.name, name)


def test_a_vendor_refuses_some_requests_or_single_events_and_long_enough_for_single_rows() -> None:
    refusals = {vendor.name: [vendor.switches("refuses", target) for target in range(1_000)] for vendor in VENDORS}
    assert {switches["fail_every"] for switches in refusals["Qubit"]} == set(range(1, 31))
    assert {switches["status"]["value"] for switches in refusals["Tracify orders"]} == {400, 422}
    refusing = [fault for fault in plan.make(3, 600, 100, SHORT, False) if fault.name == "vendor_refuses"]
    assert refusing and all(fault.seconds >= plan.REFUSED_FOR[0] for fault in refusing if fault.at < 590)


def test_every_fault_of_looking_is_known_to_the_vendor_that_is_looked_at() -> None:
    [vendor] = (vendor for vendor in VENDORS if vendor.shows)
    for name in plan.LOOKS:
        assert vendor.switches_of_looks(name, 1) != dict(vendor.calm), name


def test_rows_of_kameleoon_are_conversions_of_their_own_some_of_them_alike_for_the_vendor() -> None:
    [vendor] = (vendor for vendor in VENDORS if vendor.shows)
    lines = [line for number in (20, 21) for line in vendor.file(number).splitlines()[1:]]
    cells = [line.split(",") for line in lines]
    assert len({tuple(cell[:4]) for cell in cells}) == len(lines) == 240
    shown = Counter(tuple(cell[:3]) for cell in cells)
    assert set(shown.values()) == {4}, "two of each file"
