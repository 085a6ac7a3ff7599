"""Whether one of the portal's programs does its work: `python healthy.py web|intake|delivery|sweeper`.

For health checks of containers and service managers: exit code 0 or 1, one line why. It asks the web server at
HEALTH_URL (else http://127.0.0.1:PORT/api/v1/health) and needs nothing but Python.
"""

import json
import os
import socket
import sys
import urllib.error
import urllib.request

PARTS = ("web", "intake", "delivery", "sweeper")


def facts() -> dict:
    """What the portal says of itself, well (200) or not (503). Raises OSError, ValueError."""
    address = os.environ.get("HEALTH_URL") or f"http://127.0.0.1:{os.environ.get('PORT') or 8000}/api/v1/health"
    host = os.environ.get("ALLOWED_HOSTS", "").split(",")[0].strip() or "localhost"
    request = urllib.request.Request(address, headers={"Host": host, "X-Forwarded-Proto": "https"})  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=8) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as answer:
        return json.load(answer)


def wrong(part: str) -> str:
    """What is wrong with this part; empty when nothing is."""
    try:
        found = facts()
    except (OSError, ValueError) as why:
        return f"the web server does not answer: {why}"
    if part == "web":
        return "" if found["database"] == "ok" else f"the database {found['database']}"
    if part == "sweeper":
        return "" if found["sweeper"]["ok"] else f"no pass since {found['sweeper']['last_pass']}"
    here = [one for one in found["workers"] if one["host"] == socket.gethostname() and one["state"] != "silent"]
    return "" if any(one["name"].startswith(f"{part}-") for one in here) else f"no living {part} worker on this machine"


if __name__ == "__main__":
    if sys.argv[1:] not in [[part] for part in PARTS]:
        sys.exit(f"Name one of: {', '.join(PARTS)}.")
    sys.exit(wrong(sys.argv[1]) or 0)
