"""The portal's settings with shifts of seconds, so that a lost wake-up is taken for lost soon too."""

from offline_portal.settings import *  # noqa: F403
from offline_portal.settings import STORAGES

# Nothing has been collected here, whatever DEBUG says.
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
PORTAL_SHIFT_SECONDS = 8
