"""Sends, their deliveries, and the keys under which a delivery is found again."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from offline_portal.models.claim import Claimed
from offline_portal.models.destination import Destination, DestinationSettings, Mapping
from offline_portal.models.upload import Upload

_VERDICTS = F("unchecked") + F("ready") + F("problem") + F("duplicate") + F("excluded")
_STATUSES = (
    F("queued") + F("sending") + F("accepted") + F("rejected") + F("unknown") + F("failed") + F("cancelled")
)


class Send(Claimed):
    """One Upload on its way to one Destination with one Mapping.

    The counters are kept by the transactions that change deliveries (by the number of rows really changed), and the
    database itself refuses counters that do not add up.
    """

    class Status(models.TextChoices):
        DRAFT = "draft", "Draft"
        CHECKING = "checking", "Checking"
        CHECKED = "checked", "Checked"
        AWAITING_APPROVAL = "awaiting_approval", "Awaiting approval"
        SCHEDULED = "scheduled", "Scheduled"
        QUEUEING = "queueing", "Queueing"
        QUEUED = "queued", "Queued"
        SENDING = "sending", "Sending"
        PAUSED = "paused", "Paused"
        FINISHED = "finished", "Finished"
        CANCELLED = "cancelled", "Cancelled"
        FAILED = "failed", "Failed"

    upload = models.ForeignKey(Upload, models.PROTECT, related_name="sends")
    destination = models.ForeignKey(Destination, models.PROTECT, null=True, related_name="sends")
    settings_version = models.ForeignKey(DestinationSettings, models.PROTECT, null=True, related_name="+")
    """The version of the destination's settings that it was checked with, and is sent with."""
    mapping = models.JSONField(default=dict)
    saved_mapping = models.ForeignKey(Mapping, models.PROTECT, null=True, related_name="+")
    duplicates = models.CharField(max_length=4, choices=[("skip", "Leave out"), ("send", "Send")], default="skip")
    status = models.CharField(max_length=20, choices=Status, default=Status.DRAFT)
    reason = models.TextField(default="", blank=True)
    held = models.BooleanField(default=False)
    """Paused because its destination is, not by a person: goes on by itself once that is open again."""
    generation = models.PositiveIntegerField(default=0)
    """Which pass of checking the deliveries belong to; older generations are swept away."""
    reached_line = models.PositiveIntegerField(default=0)
    """How far the running pass (checking, then queueing) has come; it resumes behind this line."""

    total = models.PositiveIntegerField(default=0)
    unchecked = models.PositiveIntegerField(default=0)
    ready = models.PositiveIntegerField(default=0)
    problem = models.PositiveIntegerField(default=0)
    duplicate = models.PositiveIntegerField(default=0)
    excluded = models.PositiveIntegerField(default=0)
    queued = models.PositiveIntegerField(default=0)
    sending = models.PositiveIntegerField(default=0)
    accepted = models.PositiveIntegerField(default=0)
    rejected = models.PositiveIntegerField(default=0)
    unknown = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    cancelled = models.PositiveIntegerField(default=0)

    readback_looking = models.PositiveIntegerField(default=0, db_default=0)
    readback_confirmed = models.PositiveIntegerField(default=0, db_default=0)
    readback_not_found = models.PositiveIntegerField(default=0, db_default=0)
    readback_not_available = models.PositiveIntegerField(default=0, db_default=0)
    """Rows by the state of their Readback; kept as the counters above."""
    readback_refused = models.BooleanField(default=False, db_default=False)
    """The vendor lets nobody look: nothing of this Send is looked up any more."""

    again = models.CharField(max_length=40, default="", db_default="", blank=True)
    """The statuses, with commas between them, whose rows are being queued again; empty: none."""
    again_behind = models.IntegerField(default=-1, db_default=-1)
    """The last line that was looked at for that."""

    served = models.BigIntegerField(default=0)
    """When a worker last took a Batch of it, as a running number: the least recently served goes first."""
    refusals_in_a_row = models.PositiveSmallIntegerField(default=0)
    refusal_words = models.CharField(max_length=500, default="", blank=True)

    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="sends")
    queued_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    queued_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    scheduled_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(total=_VERDICTS), name="send_verdicts_add_up"),
            models.CheckConstraint(
                condition=Q(ready=_STATUSES)
                | Q(queued=0, sending=0, accepted=0, rejected=0, unknown=0, failed=0, cancelled=0),
                name="send_statuses_add_up",
            ),
        ]
        indexes = [
            models.Index(
                fields=["status", "destination"],
                name="send_alive",
                condition=Q(status__in=["checking", "queueing", "scheduled", "queued", "sending", "paused"]),
            )
        ]


class Edit(models.Model):
    """A person's change of one cell, or of one row's place in or out, within one Send. The last one counts."""

    send = models.ForeignKey(Send, models.CASCADE, related_name="edits")
    line = models.PositiveIntegerField()
    column = models.CharField(max_length=500, null=True)
    """NULL: the edit leaves the row out (`excluded`) or takes it back in."""
    text = models.TextField(default="")
    excluded = models.BooleanField(default=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["send", "line", "id"], name="edit_by_line")]


class Delivery(models.Model):
    """One Row on its way to one Destination: made at check, one per (send, line)."""

    class Verdict(models.TextChoices):
        READY = "ready", "Ready"
        PROBLEM = "problem", "Problem"
        DUPLICATE = "duplicate", "Duplicate"
        EXCLUDED = "excluded", "Left out"

    class Status(models.TextChoices):
        QUEUED = "queued", "Queued"
        SENDING = "sending", "Sending"
        ACCEPTED = "accepted", "Accepted"
        REJECTED = "rejected", "Rejected"
        UNKNOWN = "unknown", "Unknown"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    id = models.BigAutoField(primary_key=True)
    send = models.ForeignKey(Send, models.CASCADE, db_index=False, db_constraint=False, related_name="deliveries")
    generation = models.PositiveIntegerField(default=1)
    line = models.PositiveIntegerField()
    verdict = models.CharField(max_length=10, choices=Verdict)
    problems = models.TextField(null=True)
    """JSON list of {field, column, code, message}; NULL for none."""
    warnings = models.TextField(null=True)
    payload = models.TextField(null=True)
    """JSON object of cleaned values by field key; NULL unless the row could be sent."""
    duplicate_key = models.BinaryField(max_length=16, null=True)
    similar_key = models.BinaryField(max_length=16, null=True)
    duplicate_of = models.BigIntegerField(null=True)
    """The earlier delivery of the same conversion."""
    similar_line = models.PositiveIntegerField(null=True)
    """The earlier line of this file that the vendor may mistake for this one."""

    status = models.CharField(max_length=10, choices=Status, null=True)
    evidence = models.CharField(max_length=10, default="", db_default="", blank=True)
    wire_key = models.CharField(max_length=200, null=True)
    batch = models.ForeignKey(
        "Batch", models.SET_NULL, null=True, db_index=False, db_constraint=False, related_name="deliveries"
    )
    part = models.PositiveIntegerField(default=0, db_default=0)
    """After a refused request was split: only rows of one part share the next request."""
    tries = models.PositiveSmallIntegerField(default=0, db_default=0)
    attempt_count = models.PositiveIntegerField(default=0, db_default=0)
    receipt = models.CharField(max_length=200, null=True)
    code = models.CharField(max_length=60, default="", db_default="", blank=True)
    message = models.CharField(max_length=500, default="", db_default="", blank=True)
    resolved = models.CharField(max_length=10, default="", db_default="", blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["send", "generation", "line"], name="delivery_once_a_line"),
        ]
        indexes = [
            models.Index(
                fields=["send", "generation", "verdict", "line"],
                name="delivery_not_ready",
                condition=~Q(verdict="ready"),
            ),
            models.Index(fields=["batch"], name="delivery_by_batch", condition=Q(batch__isnull=False)),
            models.Index(fields=["receipt"], name="delivery_by_receipt", condition=Q(receipt__isnull=False)),
            models.Index(
                fields=["send", "status", "line"],
                name="delivery_not_accepted",
                condition=Q(status__in=["rejected", "unknown", "failed", "cancelled"]),
            ),
        ]


class SentKey(models.Model):
    """A conversion that is queued, sending, accepted or unknown at a destination.

    Claimed by insert-or-ignore when a Send is queued. `forced` ones were sent as duplicates by a person's decision:
    they stand beside the first claim, so that releasing one does not release the other.
    """

    id = models.BigAutoField(primary_key=True)
    destination = models.ForeignKey(Destination, models.CASCADE, db_index=False, db_constraint=False)
    key = models.BinaryField(max_length=16)
    delivery = models.ForeignKey(Delivery, models.CASCADE, db_constraint=False)
    forced = models.BooleanField(default=False, db_default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["destination", "key"], condition=Q(forced=False), name="sent_once"),
        ]
        indexes = [
            models.Index(fields=["destination", "key"], name="sent_forced", condition=Q(forced=True)),
        ]


class Identifier(models.Model):
    """A keyed digest of an order id, an e-mail, a visitor id, …: what search finds."""

    id = models.BigAutoField(primary_key=True)
    digest = models.BinaryField(max_length=16)
    delivery = models.ForeignKey(Delivery, models.CASCADE, db_index=False, db_constraint=False)

    class Meta:
        indexes = [models.Index(fields=["digest", "delivery"], name="identifier_search")]
