"""The audit log, access by token, and what keeps the workers awake."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class AuditEntry(models.Model):
    """Who did what to which object, when. Insert-only by trigger; each entry carries the hash of the one before."""

    seq = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    actor = models.CharField(max_length=150)
    action = models.CharField(max_length=60)
    object = models.CharField(max_length=60)
    detail = models.TextField()
    previous = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        indexes = [
            models.Index(fields=["action", "seq"], name="audit_by_action"),
            models.Index(fields=["actor", "seq"], name="audit_by_actor"),
            models.Index(fields=["object", "seq"], name="audit_by_object"),
            models.Index(fields=["at", "seq"], name="audit_by_time"),
        ]


class AuditHead(models.Model):
    """The end of the chain: one row, locked last by everyone who adds an entry."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    seq = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64, default="0" * 64)


class Token(models.Model):
    """A person's key for scripts. Only its digest is kept."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="tokens")
    digest = models.CharField(max_length=64, unique=True)
    hint = models.CharField(max_length=12)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)


class IdempotencyKey(models.Model):
    """The first answer to an unsafe call, for 24 hours.

    `status` is NULL while that call still runs; `answer` is then what it has done something to, such as `send:12`.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    key = models.CharField(max_length=200)
    call = models.CharField(max_length=300)
    body_digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    answer = models.TextField(default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="idempotency_key_once")]


class Wakeup(models.Model):
    """A job that lies in Redis or is about to; deleted when a worker starts it.

    Counted by the sweeper, so that a Redis that lost everything is noticed from the database alone.
    """

    queue = models.CharField(max_length=20)
    work = models.CharField(max_length=60)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["queue", "work"], name="wakeup_outstanding")]


class Heartbeat(models.Model):
    """When something that should always run (the sweeper) was last seen."""

    name = models.CharField(max_length=60, primary_key=True)
    at = models.DateTimeField()
    detail = models.JSONField(default=dict)
