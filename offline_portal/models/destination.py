"""Destinations, their settings and secrets, and saved mappings."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone


class Destination(models.Model):
    """One configured account at a vendor."""

    name = models.CharField(max_length=120)
    connector = models.SlugField(max_length=40)
    live = models.BooleanField(default=False)
    """Whether real conversions count there; False is a test account."""
    paused = models.BooleanField(default=False)
    reason = models.TextField(default="", blank=True)
    """Why it is paused, for a person."""
    waits_until = models.DateTimeField(null=True)
    """The vendor asked us to wait (429, 503), or gives no usable answer: nothing is sent before."""
    failures = models.PositiveSmallIntegerField(default=0)
    """Claims in a row that ended without one usable answer; while above 0, one request at a time probes."""
    require_approval = models.BooleanField(default=False)
    retention_days = models.PositiveIntegerField(null=True)
    archived_at = models.DateTimeField(null=True)
    current = models.ForeignKey("DestinationSettings", models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name"], condition=Q(archived_at=None), name="destination_name_once")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def waits(self) -> datetime | None:
        """Until when nothing is sent, if that is ahead: the vendor asked for it or, with `failures`, is in trouble."""
        return self.waits_until if self.waits_until and self.waits_until > timezone.now() else None

    @property
    def settings(self) -> dict[str, Any]:
        """The settings in force, by key."""
        return self.current.values if self.current else {}


class DestinationSettings(models.Model):
    """One version of a destination's settings; a Send keeps the version it was queued with."""

    destination = models.ForeignKey(Destination, models.CASCADE, related_name="versions")
    version = models.PositiveIntegerField()
    values = models.JSONField(default=dict)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["destination", "version"], name="settings_version_once")]


class DestinationSecret(models.Model):
    """One secret, encrypted and bound to its destination; only `hint` is ever shown."""

    destination = models.ForeignKey(Destination, models.CASCADE, related_name="secret_set")
    key = models.CharField(max_length=60)
    ciphertext = models.TextField()
    hint = models.CharField(max_length=12)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["destination", "key"], name="secret_once_a_key")]


class Mapping(models.Model):
    """A saved way to read spreadsheets for one connector: {field key: Source}. A change is a new version."""

    name = models.CharField(max_length=120)
    connector = models.SlugField(max_length=40)
    version = models.PositiveIntegerField(default=1)
    fields = models.JSONField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connector", "name", "version"], name="mapping_version_once")]

    def __str__(self) -> str:
        return self.name
