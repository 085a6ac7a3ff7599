"""The database itself refuses to change what was written."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.db.models.signals import post_migrate

from offline_portal.audit import triggers
from offline_portal.models import AuditEntry, Heartbeat, Outcome

from .conftest import AT


def refused(statement: str) -> None:
    with pytest.raises(DatabaseError, match="insert-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize("table", ["portal_attempt", "portal_answer", "portal_outcome", "portal_auditentry"])
def test_no_table_of_evidence_can_be_changed(group: list[int], table: str):
    column = {"portal_auditentry": "actor", "portal_answer": "error"}.get(table)
    refused(f"UPDATE {table} SET {column or ('worker' if table == 'portal_attempt' else 'code')} = 'x'")
    refused(f"DELETE FROM {table}")
    if connection.vendor == "postgresql":
        refused(f"TRUNCATE {table} CASCADE")
    else:
        refused(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")


def test_the_orm_is_refused_too(group: list[int]):
    for act in (Outcome.objects.all().delete, lambda: AuditEntry.objects.update(actor="x")):
        with pytest.raises(DatabaseError, match="insert-only"), transaction.atomic():
            act()


def test_a_missing_trigger_is_named_and_made_again(db: None):
    assert triggers.missing() == []
    assert triggers.check_triggers(databases=["default"]) == []
    name = "portal_outcome_no_" + ("change" if connection.vendor == "postgresql" else "update")
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER {name}" + (" ON portal_outcome" if connection.vendor == "postgresql" else ""))
    assert triggers.missing() == [name]
    (warning,) = triggers.check_triggers(databases=["default"])
    assert name in warning.msg and warning.id == "portal.W003"
    post_migrate.send(apps.get_app_config("portal"), app_config=apps.get_app_config("portal"), using="default")
    assert triggers.missing() == []


def test_a_sleeping_trigger_counts_as_missing(db: None):
    if connection.vendor != "postgresql":
        pytest.skip("triggers of SQLite cannot be put to sleep")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE portal_outcome DISABLE TRIGGER portal_outcome_no_change")
    assert triggers.missing() == ["portal_outcome_no_change"]
    triggers.install()
    assert triggers.missing() == []


def test_installing_twice_changes_nothing(db: None):
    triggers.install()
    assert triggers.missing() == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("_time", [1, 2])
def test_a_test_database_is_emptied_all_the_same(_time: int):
    assert Outcome.objects.count() == 0
    Outcome.objects.create(attempt_id=1, delivery_id=1, status="accepted")
    Heartbeat.objects.create(name="x", at=AT)
    assert triggers.missing() == []


@pytest.mark.django_db(transaction=True)
def test_migrating_again_keeps_the_triggers():
    triggers.remove()
    call_command("migrate", verbosity=0)
    assert triggers.missing() == []
