"""Uploads and their rows."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from offline_portal.models.claim import Claimed


class Upload(Claimed):
    """One file a person gave us. Its rows are read by a worker and never changed afterwards."""

    class Status(models.TextChoices):
        READING = "reading", "Reading"
        READY = "ready", "Ready"
        REFUSED = "refused", "Refused"

    filename = models.CharField(max_length=255)
    sha256 = models.CharField(max_length=64, db_index=True)
    bytes = models.BigIntegerField()
    file = models.FileField(upload_to="uploads/", max_length=255)
    status = models.CharField(max_length=10, choices=Status, default=Status.READING)
    reason = models.TextField(default="", blank=True)
    options = models.JSONField(default=dict)
    """What the person asked for: sheet, header_line, encoding, delimiter."""
    format = models.CharField(max_length=10)
    encoding = models.CharField(max_length=30, default="", blank=True)
    delimiter = models.CharField(max_length=3, default="", blank=True)
    quote = models.CharField(max_length=1, default="", blank=True)
    sheet = models.CharField(max_length=255, default="", blank=True)
    sheets = models.JSONField(default=list)
    header_line = models.PositiveIntegerField(default=1)
    columns = models.JSONField(default=list)
    problems = models.JSONField(default=list)
    """Problems of the whole file and the first ones of its rows, as the API shows them."""
    sample = models.JSONField(default=list)
    """The first rows, [[line, [cell, …]], …]: there before the worker has read the file."""
    rows = models.PositiveIntegerField(default=0)
    """Rows stored so far; all of them once `status` is ready."""
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="uploads")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["status", "id"], name="upload_reading", condition=models.Q(status="reading"))]

    def __str__(self) -> str:
        return self.filename


class Row(models.Model):
    """One data line of an Upload. `line` is the number the person sees in the spreadsheet."""

    id = models.BigAutoField(primary_key=True)
    upload = models.ForeignKey(Upload, models.CASCADE, db_index=False, db_constraint=False, related_name="row_set")
    line = models.PositiveIntegerField()
    cells = models.TextField()
    """JSON list of texts, one a column of the Upload."""
    problems = models.TextField(null=True)
    """JSON list of what intake found wrong with this line; NULL for nothing."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["upload", "line"], name="row_once_a_line")]
