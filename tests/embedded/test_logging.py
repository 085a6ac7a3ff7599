"""What a program of the portal writes about itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.embedded.conftest import ROOT

PROGRAM = "import django, logging; django.setup(); logging.getLogger('django.request').warning('Not Found: /nowhere')"


def test_each_line_of_the_log_is_written_once(tmp_path: Path) -> None:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "offline_portal.settings", "PORTAL_DATA": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env={**environment, "DEBUG": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stderr.count("Not Found: /nowhere") == 1, done.stderr
