"""A worker dies between any two steps of sending: what its rows become, for a vendor with a key and one without."""

from __future__ import annotations

from collections.abc import Callable

from tests.soak.points import POINTS


def test_a_death_at_each_point_leaves_what_can_be_known(run: Callable[..., str]) -> None:
    said = run("tests.soak.fixed_points")
    for vendor in ("Tracify orders", "Qubit"):
        for point in POINTS:
            assert f"{point:<16} {vendor:<16} " in said
    assert "WRONG" not in said
