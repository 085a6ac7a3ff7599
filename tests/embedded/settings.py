"""The portal's settings for a worker that also runs the jobs of these tests."""

from offline_portal.settings import *  # noqa: F403
from offline_portal.settings import PORTAL_JOBS as OURS

PORTAL_JOBS = OURS | {f"tests.embedded.jobs.{name}" for name in ("note", "slow", "until_stopped")}
