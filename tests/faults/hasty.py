"""The portal's settings with short shifts and deadlines: a wake-up is taken for lost after twenty seconds."""

from offline_portal.settings import *  # noqa: F403
from offline_portal.settings import STORAGES

# Nothing has been collected here, whatever DEBUG says.
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
PORTAL_SHIFT_SECONDS = 8
PORTAL_REQUEST_DEADLINE = 8
