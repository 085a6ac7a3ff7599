"""A second person's yes or no to a Send."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from offline_portal.models.send import Send


class Approval(models.Model):
    """Asked for when a Send is queued to a destination that demands it; good for exactly what was asked.

    `digest` covers all that decides what would leave: rows, edits, mapping, settings and keys. Once any of it has
    changed, the approval is void.
    """

    class Decision(models.TextChoices):
        APPROVED = "approved", "Approved"
        REJECTED = "rejected", "Rejected"
        VOID = "void", "Void"

    send = models.ForeignKey(Send, models.CASCADE, related_name="approvals")
    digest = models.CharField(max_length=64)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(auto_now_add=True)
    decision = models.CharField(max_length=10, choices=Decision, default="", blank=True)
    """Empty while it is awaited."""
    reason = models.TextField(default="", blank=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["send"], condition=Q(decision=""), name="approval_awaited_once"),
        ]
