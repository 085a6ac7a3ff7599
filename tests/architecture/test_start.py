"""What the programs load before they do anything: each second of it is waited for at every start."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.embedded.conftest import ROOT

LOADED = """
import sys
import django
django.setup()
from django.core.management import load_command_class
load_command_class("offline_portal", sys.argv[1])
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.mark.parametrize("command", ["worker", "sweeper", "deliver"])
def test_a_program_without_pages_loads_nothing_of_the_api_nor_of_the_other_database(command: str) -> None:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "offline_portal.settings", "DATABASE_URL": ""}
    done = subprocess.run(
        [sys.executable, "-c", LOADED, command], cwd=ROOT, env=environment, text=True, capture_output=True, timeout=60
    )
    loaded = set(done.stdout.split())
    assert "django" in loaded, done.stderr
    assert not loaded & {"ninja", "pydantic", "psycopg"}
