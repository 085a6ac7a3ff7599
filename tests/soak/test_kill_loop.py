"""Some twenty kills at seeded moments, among other faults: afterwards four counts agree, row by row."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

import pytest

KILLS = 20
SECONDS = 40


@pytest.mark.parametrize(("workers", "seed"), [(1, "1"), (4, "4")])
def test_kills_lose_nothing_double_nothing_and_guess_nothing(
    run: Callable[..., str], workers: int, seed: str
) -> None:
    said = run(
        "tests.soak", "--short", f"--seconds={SECONDS}", f"--kills={KILLS}", f"--workers={workers}",
        f"--seed={os.environ.get('SOAK_SEED') or seed}",
    )  # fmt: skip
    hit = re.search(r"^Hit: (\d+) kills", said, re.MULTILINE)
    assert hit and int(hit[1]) >= KILLS * 3 // 4, said
    assert "0 disagreements" in said
