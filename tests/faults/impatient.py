"""The portal's settings, but a lock is waited for one second instead of thirty."""

from offline_portal.settings import *  # noqa: F403
from offline_portal.settings import DATABASES, STORAGES

# Nothing has been collected here, whatever DEBUG says.
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"]["timeout"] = 1
else:
    DATABASES["default"]["OPTIONS"]["options"] = "-c lock_timeout=1s -c idle_in_transaction_session_timeout=3s"
