"""What auditors take away over the API: a zip, logged, and for auditors and admins only (see test_roles)."""

from __future__ import annotations

import pytest

from offline_portal.models import AuditEntry
from tests.api.conftest import Caller
from tests.audit.packages import unpacked, verify

pytestmark = pytest.mark.django_db


def test_the_log_as_a_zip(audrey: Caller, tmp_path) -> None:
    answer = audrey("GET", "/audit/export?action=token.made&from=2020-01-01")
    assert answer.status_code == 200 and answer["Content-Type"] == "application/zip"
    assert answer["Content-Disposition"].startswith('attachment; filename="audit-')
    assert answer["Cache-Control"] == "no-store"
    code, said = verify(unpacked(answer.streaming_content, tmp_path / "zip"))
    made = AuditEntry.objects.filter(action="token.made").count()
    assert code == 0 and f"It holds: {made} entries" in said, said
    last = AuditEntry.objects.latest("seq")
    assert (last.actor, last.action) == ("audrey", "audit.exported") and '"action":"token.made"' in last.detail


def test_what_cannot_be_understood_exports_nothing(audrey: Caller) -> None:
    assert audrey.error("GET", "/audit/export?from=yesterday")[0] in (400, 422)
    assert audrey.error("GET", "/sends/999999/evidence")[0] == 404
    assert not AuditEntry.objects.filter(action="audit.exported").exists()
