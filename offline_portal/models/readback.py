"""Looking up at a vendor what it has stored of the rows that were sent there."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from offline_portal.models.claim import Claimed
from offline_portal.models.destination import Destination
from offline_portal.models.send import Delivery, Send


class Readback(models.Model):
    """One Delivery that is looked for, or was. It is due as long as it is `looking`, and only then."""

    class State(models.TextChoices):
        LOOKING = "looking", "Still looking"
        CONFIRMED = "confirmed", "Confirmed"
        NOT_FOUND = "not_found", "Not found"
        NOT_AVAILABLE = "not_available", "Not available"
        STOPPED = "stopped", "Stopped"

    delivery = models.OneToOneField(
        Delivery, models.CASCADE, primary_key=True, db_constraint=False, related_name="readback"
    )
    send = models.ForeignKey(Send, models.CASCADE, db_index=False, related_name="readbacks")
    destination = models.ForeignKey(Destination, models.CASCADE, db_index=False, related_name="+")
    group = models.BinaryField(max_length=16)
    """Keyed digest of what one request shows, such as a visitor: rows of one group of a Send share it."""
    rank = models.PositiveSmallIntegerField(default=1, db_default=1)
    """0 for an unknown row, which comes first and is looked up in any case; 1 for an accepted one."""
    state = models.CharField(max_length=13, choices=State, default=State.LOOKING, db_default=State.LOOKING.value)
    due_at = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0, db_default=0)
    """Looks that brought an answer."""
    failures = models.PositiveSmallIntegerField(default=0, db_default=0)
    """Looks that brought none."""
    attempt = models.BigIntegerField(null=True)
    """The Attempt that is on the wire for it."""
    sighting = models.BinaryField(max_length=16, null=True)
    """Keyed digest of the stored conversion that this row is: no other row of the destination can be it."""

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state="looking", due_at__isnull=False) | ~Q(state="looking") & Q(due_at=None),
                name="readback_due_while_looking",
            ),
            models.UniqueConstraint(
                fields=["destination", "sighting"], condition=Q(sighting__isnull=False), name="sighting_once"
            ),
        ]
        indexes = [
            models.Index(
                fields=["destination", "rank", "due_at"], name="readback_due", condition=Q(due_at__isnull=False)
            ),
            models.Index(fields=["send", "group"], name="readback_group", condition=Q(due_at__isnull=False)),
            models.Index(
                fields=["destination", "attempt"], name="readback_flying", condition=Q(attempt__isnull=False)
            ),
            models.Index(
                fields=["send", "state", "delivery"],
                name="readback_in_vain",
                condition=Q(state__in=["not_found", "not_available"]),
            ),
        ]


class Reader(Claimed):
    """Who looks at a Destination: one worker at a time, at a fifth of the pace."""

    destination = models.OneToOneField(Destination, models.CASCADE, primary_key=True, related_name="reader")
    waits_until = models.DateTimeField(null=True)
    """Nobody looks before: the vendor asked for that, or the last looks went unanswered."""
    failures = models.PositiveSmallIntegerField(default=0)
    """Turns in a row without a usable answer: the pause grows with it."""
    refused = models.CharField(max_length=500, default="", blank=True)
    """Why the vendor lets nobody look, in words for a person, until it lets somebody look again."""
    refused_at = models.DateTimeField(null=True)
