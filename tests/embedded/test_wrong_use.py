"""What a command says to arguments that it cannot understand, and where there is no database yet."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.embedded.conftest import ROOT


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["token"], "The following arguments are required: username. See: manage.py token --help\n"),
        (["worker"], "The following arguments are required: queue. See: manage.py worker --help\n"),
        (["verify_audit", "--what"], "Unrecognized arguments: --what. See: manage.py verify_audit --help\n"),
        (["person"], "The following arguments are required: username. See: manage.py person --help\n"),
        (
            ["token", "olivia"],
            "The database cannot be used (no such table: auth_user). "
            "Start the portal once, or run: manage.py migrate\n",
        ),
    ],
)
def test_what_is_wrong_is_one_line_without_usage_or_traceback(tmp_path: Path, arguments: list[str], told: str) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, text=True, capture_output=True, timeout=60,
        env={**os.environ, "PORTAL_DATA": str(tmp_path), "DATABASE_URL": "", "REDIS_URL": "", "DEBUG": "1"},
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", told)
