"""Ownership of work that a worker may die in the middle of."""

from __future__ import annotations

from django.db import models


class Claimed(models.Model):
    """A row that one worker at a time works on.

    Whoever claims it raises `fence` by one and sets `lease_until`; every later write carries the fence in its WHERE
    and gives up when it changes no row. So a worker that lost its claim can do no harm, and an early expiry neither.
    """

    fence = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    worker = models.CharField(max_length=100, default="")

    class Meta:
        abstract = True
