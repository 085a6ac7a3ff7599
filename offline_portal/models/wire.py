"""What went over the wire: batches, attempts, answers, outcomes.

Attempt, Answer and Outcome are insert-only by trigger. What may have to be erased one day (requests and answers
themselves) lies in RequestCopy and AnswerCopy, of which the others keep salted digests.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from offline_portal.models.claim import Claimed
from offline_portal.models.destination import Destination
from offline_portal.models.send import Delivery, Send


class Batch(Claimed):
    """Deliveries claimed together by one worker; it may take several requests."""

    id = models.BigAutoField(primary_key=True)
    send = models.ForeignKey(Send, models.CASCADE, related_name="batches")
    destination = models.ForeignKey(Destination, models.CASCADE, db_index=False, related_name="+")
    number = models.PositiveIntegerField()
    rows = models.PositiveIntegerField()
    name = models.CharField(max_length=200, default="", db_default="")
    """Of its file, where the vendor takes files: fixed here, so that every retry writes the same one."""
    done = models.BooleanField(default=False)
    due_at = models.DateTimeField()
    tries = models.PositiveSmallIntegerField(default=0)
    """Pauses in a row without any row settled: the back-off grows with it."""
    next_part = models.PositiveIntegerField(default=1)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["send", "number"], name="batch_number_once")]
        indexes = [models.Index(fields=["destination", "due_at"], name="batch_due", condition=Q(done=False))]


class Attempt(models.Model):
    """One request on the wire; inserted before its bytes leave."""

    id = models.BigAutoField(primary_key=True)
    batch = models.ForeignKey(Batch, models.CASCADE, db_constraint=False)
    fence = models.PositiveIntegerField()
    worker = models.CharField(max_length=100)
    version = models.CharField(max_length=20)
    started_at = models.DateTimeField()
    deliveries = models.TextField()
    """JSON list of delivery ids, in the order of the request."""
    request_digest = models.BinaryField(max_length=32)
    readback = models.BooleanField(null=True)
    """Whether it only looked up what the vendor has stored; NULL: it did not, it carried rows."""


class RequestCopy(models.Model):
    """The redacted request of an Attempt. A body over 64 kB is not kept: it is rebuilt from the payloads."""

    attempt = models.OneToOneField(Attempt, models.CASCADE, primary_key=True, db_constraint=False, related_name="copy")
    salt = models.BinaryField(max_length=16)
    method = models.CharField(max_length=10)
    url = models.TextField()
    headers = models.TextField()
    body = models.TextField(null=True)
    size = models.PositiveIntegerField()


class AnswerCopy(models.Model):
    """The redacted answer; short answers that repeat (a vendor's constant GIF) are kept once a Batch."""

    id = models.BigAutoField(primary_key=True)
    salt = models.BinaryField(max_length=16)
    headers = models.TextField()
    body = models.TextField()
    truncated = models.BooleanField(default=False)
    size = models.PositiveIntegerField()


class Answer(models.Model):
    """What came back for an Attempt, or that nothing did."""

    attempt = models.OneToOneField(
        Attempt, models.CASCADE, primary_key=True, db_constraint=False, related_name="answer"
    )
    ended_at = models.DateTimeField()
    status = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=300, default="", db_default="")
    """Empty when an answer came; else what happened on the wire."""
    vendor_date = models.CharField(max_length=40, default="", db_default="")
    copy = models.ForeignKey(AnswerCopy, models.DO_NOTHING, null=True, db_index=False, db_constraint=False)
    copy_digest = models.BinaryField(max_length=32, null=True)


class Outcome(models.Model):
    """What one Attempt said about one Delivery; added, never overwritten."""

    id = models.BigAutoField(primary_key=True)
    attempt = models.ForeignKey(Attempt, models.CASCADE, db_index=False, db_constraint=False)
    delivery = models.ForeignKey(Delivery, models.CASCADE, db_constraint=False, related_name="outcomes")
    status = models.CharField(max_length=10)
    evidence = models.CharField(max_length=10, default="")
    code = models.CharField(max_length=60, default="")
    message = models.CharField(max_length=500, default="")
    receipt = models.CharField(max_length=200, null=True)
