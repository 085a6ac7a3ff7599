"""Programs on the test's own stores; and what must hold after every fault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Road
from tests.faults.programs import Programs


@pytest.fixture
def programs(road: Road, redis_url: str, tmp_path: Path) -> Iterator[Programs]:
    """Workers, sweepers and web servers on the test's database and Redis; none outlives the test."""
    found = Programs(tmp_path, redis_url)
    yield found
    found.end()
