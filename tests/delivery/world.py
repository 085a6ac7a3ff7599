"""What games with imaginary vendors are played on: a file for each vendor, its account, and people."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone
from redis import Redis

from offline_portal.models import Batch, Destination, Readback, Reader, Send, Upload, Wakeup
from tests.conftest import Road

KISS = "Email,Event,Date\n" + "".join(f"p{n}@example.com,Bought,{'2026-11-01' * (n % 2)}\n" for n in range(6))
"""Every second event has no time of its own, and so counts each time it comes."""
KAMELEOON = """Visitor code,Goal ID,Revenue,Refund,Date
v0,36151,5.00,,2026-11-01 09:00:00
v1,36151,5.00,,2026-11-01 09:01:00
v0,36151,5.00,,2026-11-01 09:02:00
v0,361517,5.00,,2026-11-01 09:03:00
v1,36151,5.00,yes,2026-11-01 09:04:00
v2,36151,5.00,,2026-11-01 09:05:00
"""
"""The vendor gets no time: the first and the third it cannot tell apart, nor a look what it has stored of them."""
MORE = "".join(KAMELEOON.splitlines(keepends=True)[:4]).replace(" 09:", " 10:")
"""Other conversions that are just like these."""
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
SECOND_FILES = {"kameleoon": MORE}
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
    """What all examples share: the people, files for each vendor, a Redis."""

    road: Road
    redis: Redis
    uploads: dict[str, list[Upload]] = field(default_factory=dict)
    healed: int = 0

    def take_in_the_files(self) -> None:
        """One for each vendor, and a second one where there is any."""
        for slug, text in FILES.items():
            texts = [text, *([SECOND_FILES[slug]] if slug in SECOND_FILES else [])]
            self.uploads[slug] = [self.road.upload(text, f"{slug}.csv") for text in texts]

    def forget_the_last_example(self) -> None:
        """Nothing of an example that failed half-way may be claimed in the next one."""
        self.redis.flushdb()
        Wakeup.objects.all().delete()
        Batch.objects.filter(done=False).update(done=True, lease_until=None)
        Send.objects.exclude(status="finished").update(status="finished")
        Readback.objects.filter(due_at__isnull=False).update(state="stopped", due_at=None, attempt=None)
        Reader.objects.all().delete()
        Destination.objects.filter(archived_at=None).update(archived_at=timezone.now())

    def new_destination(self, slug: str, **settings: Any) -> Destination:
        """An account at a vendor."""
        number = Destination.objects.count()
        values = {"base_url": "http://127.0.0.1/vendor", **SITE.get(slug, {}), **settings}
        return self.road.destination(slug, f"{slug} {number}", values, **SECRETS.get(slug, {}))
