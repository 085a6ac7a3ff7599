"""The evidence of a send that was read back tells of the looks too, and verifies."""

from __future__ import annotations

import json
from pathlib import Path

from offline_portal.audit import evidence
from tests.audit.packages import unpacked, verify
from tests.conftest import Road
from tests.delivery.looking import looks, settled, tallies, verified, visits_end
from tests.delivery.test_kameleoon_road import visitors


def test_looks_are_part_of_the_evidence(road: Road, tmp_path: Path) -> None:
    send = road.deliver(road.check(road.upload(visitors(3)), verified(road, readback_after=0.02)), 1)
    visits_end(road)
    send = settled(road, send)
    assert tallies(send) == {"confirmed": 3} and looks()
    folder = unpacked(evidence.of_send(send, "audrey"), tmp_path / "evidence")
    code, said = verify(folder)
    assert code == 0, said
    groups = [json.loads(line) for line in (folder / "attempts.jsonl").read_text().splitlines()]
    assert sum(len(group["attempts"]) for group in groups) == 1 + looks()
