#!/usr/bin/env python
"""Django's command line for Offline Portal."""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "offline_portal.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    from offline_portal.embedded import place
    from offline_portal.environment import REQUIRED_IN_PRODUCTION

    if sys.argv[1:2] == ["inspect"]:
        # It reads a file and stores nothing: nobody should need keys for that.
        for name in REQUIRED_IN_PRODUCTION:
            os.environ.setdefault(name, "not used by inspect")
    place.join(Path(os.environ.get("PORTAL_DATA", "").strip() or Path(__file__).parent / "var"))
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as why:
        print(why, file=sys.stderr)
        sys.exit(2)
