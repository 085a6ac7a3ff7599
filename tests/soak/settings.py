"""The settings of the portal's programs under the soak: as shipped, but for what the environment cannot say."""

from __future__ import annotations

import os

from offline_portal.settings import *  # noqa: F403
from offline_portal.settings import DATABASES, INSTALLED_APPS, PORTAL_DATA

if seconds := os.environ.get("SOAK_SHIFT_SECONDS"):
    PORTAL_SHIFT_SECONDS = float(seconds)
if (seconds := os.environ.get("SOAK_SQLITE_SECONDS")) and DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"]["timeout"] = float(seconds)
STATIC_ROOT = PORTAL_DATA / "static"
if os.environ.get("SOAK_POINTS"):
    INSTALLED_APPS += ["tests.soak.points.Points"]
