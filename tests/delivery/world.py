"""What games with imaginary vendors are played on: a file for each vendor, its account, and people."""

from __future__ import annotations

from dataclasses import dataclass, field

from redis import Redis

from offline_portal.models import Batch, Destination, Send, Upload, Wakeup
from tests.conftest import Road

KISS = "Email,Event,Date\n" + "".join(f"p{n}@example.com,Bought,{'2026-11-01' * (n % 2)}\n" for n in range(6))
"""Every second event has no time of its own, and so counts each time it comes."""
KAMELEOON = "Visitor code,Goal ID,Revenue,Date\n" + "".join(f"v{n},1,5.00,2026-11-01 09:0{n}:00\n" for n in range(6))
QUBIT = "Visitor ID,Date,Amount,Currency,Order number\n" + "".join(
    f"v{n},2026-11-01,5.00,EUR,{'BAD' if n == 3 else 'T'}-{n}\n" for n in range(6)
)
SOLD = [*(("purchase", f"T-{n}") for n in range(4)), ("purchase", "BAD-4"), ("pageview", "")]
TRACIFY = "Type,Date,Email,IP,User agent,Order ID,Amount,Currency\n" + "".join(
    f"{kind},2026-11-01 09:00:0{n},p{n}@example.com,192.0.2.{n + 1},Mozilla/5.0,{id},{5 if id else ''},"
    f"{'EUR' if id else ''}\n"
    for n, (kind, id) in enumerate(SOLD)
)
FILES = {"kissmetrics": KISS, "kameleoon": KAMELEOON, "qubit": QUBIT, "tracify": TRACIFY}
REFUSED = ("BAD-3", "BAD-4")
SITE = {
    "kameleoon": {"site_code": "f17c21u1ag", "identifier": "visitorCode"},
    "qubit": {"vertical": "ecommerce", "source": "portal@1.0"},
    "tracify": {"customer_site_id": "00000000-0000-0000-0000-000000000000", "origin": "https://www.example.com",
                "url": "https://www.example.com/offline"},
}  # fmt: skip
SECRETS = {"kissmetrics": {"api_key": "key-1"}, "qubit": {"tracking_id": "acme"}, "tracify": {"token": "token-1"}}


@dataclass
class World:
    """What all examples share: the people, a file for each vendor, a Redis."""

    road: Road
    redis: Redis
    uploads: dict[str, Upload] = field(default_factory=dict)
    healed: int = 0

    def forget_the_last_example(self) -> None:
        """Nothing of an example that failed half-way may be claimed in the next one."""
        self.redis.flushdb()
        Wakeup.objects.all().delete()
        Batch.objects.filter(done=False).update(done=True, lease_until=None)
        Send.objects.exclude(status="finished").update(status="finished")

    def new_destination(self, slug: str) -> Destination:
        number = Destination.objects.count()
        values = {"base_url": "http://127.0.0.1/vendor", **SITE.get(slug, {})}
        return self.road.destination(slug, f"{slug} {number}", values, **SECRETS.get(slug, {}))
