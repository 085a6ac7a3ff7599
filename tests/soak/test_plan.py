"""The plan of faults: the same from the same seed, and with everything in it."""

from __future__ import annotations

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
    wanted = {*plan.KILLS, *plan.STORES, *plan.POSTGRES}
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
