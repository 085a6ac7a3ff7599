"""Every way of tampering shows, at the first entry that is bad."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.db import connection, transaction
from django.db.transaction import TransactionManagementError
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from offline_portal.audit import canonical, chain
from offline_portal.models import AuditEntry, AuditHead

TABLE = "portal_auditentry"
Tamper = Callable[..., None]


def entries() -> list[AuditEntry]:
    return list(AuditEntry.objects.order_by("seq"))


def rewritten(from_seq: int, actor: str) -> list[str]:
    """Statements that replace an entry and everything after it by entries that fit one another."""
    statements = []
    previous = ""
    for entry in entries():
        if entry.seq >= from_seq:
            entry.previous = previous or entry.previous
            entry.actor = actor if entry.seq == from_seq else entry.actor
            parts = (entry.seq, canonical.moment(entry.at), entry.actor, entry.action, entry.object, entry.detail)
            entry.hash = canonical.entry_hash(*parts, entry.previous)
            statements.append(
                f"UPDATE {TABLE} SET actor = '{entry.actor}', previous = '{entry.previous}', hash = '{entry.hash}'"
                f" WHERE seq = {entry.seq}"
            )
            previous = entry.hash
    return [*statements, f"UPDATE portal_audithead SET hash = '{previous}'"]


def test_an_untouched_log_holds(log: None):
    result = chain.verify()
    last = entries()[-1]
    assert result == chain.Verification(True, 9, None, "", "", 9, last.hash)
    assert chain.verify(head={"seq": 9, "hash": last.hash}).ok
    assert chain.verify(head={"seq": 4, "hash": entries()[3].hash}).ok


def test_an_empty_log_holds(db: None):
    assert chain.verify().ok


def test_a_stranger_recomputes_a_hash_from_the_documentation(log: None):
    entry = entries()[3]
    whole = {
        "seq": entry.seq,
        "at": entry.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "actor": entry.actor,
        "action": entry.action,
        "object": entry.object,
        "detail": json.loads(entry.detail),
    }
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert entry.hash == hashlib.sha256((entry.previous + digest).encode()).hexdigest()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("actor", "'oscar'"),
        ("action", "'send.queueD'"),
        ("object", "'send:55'"),
        ("detail", "replace(detail, '5', '6')"),
        ("detail", "detail || ' '"),
        ("hash", "replace(hash, substr(hash, 1, 1), 'x')"),
        ("previous", "replace(previous, substr(previous, 1, 1), 'x')"),
    ],
)
def test_one_changed_byte_names_its_entry(log: None, tamper: Tamper, column: str, value: str):
    tamper(f"UPDATE {TABLE} SET {column} = {value} WHERE seq = 5")
    result = chain.verify()
    assert (result.ok, result.first_bad, result.code, result.checked) == (False, 5, "changed", 4)
    assert "Entry 5 was changed" in result.reason


def test_a_changed_moment_names_its_entry(log: None, tamper: Tamper):
    if connection.vendor == "postgresql":
        tamper(f"UPDATE {TABLE} SET at = at + interval '1 microsecond' WHERE seq = 5")
    else:
        for change in ("replace(at, ' ', 'T')", "at || '0'", "substr(at, 1, 10)", "'2020-01-01 00:00:00'"):
            tamper(f"UPDATE {TABLE} SET at = {change} WHERE seq = 5")
            assert chain.verify().first_bad == 5
    assert chain.verify().first_bad == 5


def test_a_moment_on_the_full_second_holds(db: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(chain.timezone, "now", lambda: datetime(2026, 1, 1, tzinfo=UTC))
    with transaction.atomic():
        chain.add("portal", "a.b", "c:1", {})
    assert chain.verify().ok


def test_a_clock_set_back_changes_nothing(log: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(chain.timezone, "now", lambda: datetime(2001, 1, 1, tzinfo=UTC))
    with transaction.atomic():
        assert chain.add("portal", "a.b", "c:1", {}).seq == 10
    assert chain.verify().ok


@pytest.mark.parametrize(
    ("statement", "first_bad", "code"),
    [
        (f"DELETE FROM {TABLE} WHERE seq = 9", 9, "cut_off"),
        (f"DELETE FROM {TABLE} WHERE seq >= 8", 8, "cut_off"),
        (f"DELETE FROM {TABLE} WHERE seq = 5", 5, "missing"),
        (f"DELETE FROM {TABLE} WHERE seq = 1", 1, "missing"),
        (f"DELETE FROM {TABLE}", 1, "cut_off"),
        (f"UPDATE {TABLE} SET seq = -1 WHERE seq = 1", -1, "order"),
        (f"UPDATE {TABLE} SET seq = 4611686018427387904 WHERE seq = 9", 9, "missing"),
        ("DELETE FROM portal_audithead", 1, "order"),
        ("UPDATE portal_audithead SET seq = 8", 9, "order"),
        ("UPDATE portal_audithead SET seq = 10", 10, "cut_off"),
        ("UPDATE portal_audithead SET hash = ''", 9, "changed"),
    ],
)
def test_what_is_taken_away_shows(log: None, tamper: Tamper, statement: str, first_bad: int, code: str):
    tamper(statement)
    result = chain.verify()
    assert (result.ok, result.first_bad, result.code) == (False, first_bad, code)
    assert str(abs(first_bad)) in result.reason


def test_two_entries_that_changed_places_show(log: None, tamper: Tamper):
    tamper(
        f"UPDATE {TABLE} SET seq = 100 WHERE seq = 4",
        f"UPDATE {TABLE} SET seq = 4 WHERE seq = 5",
        f"UPDATE {TABLE} SET seq = 5 WHERE seq = 100",
    )
    assert (chain.verify().first_bad, chain.verify().code) == (4, "changed")


def test_an_inserted_entry_shows(log: None, tamper: Tamper):
    moved = [f"UPDATE {TABLE} SET seq = {n + 1} WHERE seq = {n}" for n in (9, 8, 7, 6, 5)]
    columns = "at, actor, action, object, detail, previous, hash"
    tamper(*moved, f"INSERT INTO {TABLE} (seq, {columns}) SELECT 5, {columns} FROM {TABLE} WHERE seq = 4")
    assert chain.verify().first_bad == 5


def test_an_entry_behind_the_end_shows(log: None, tamper: Tamper):
    columns = "at, actor, action, object, detail, previous, hash"
    tamper(f"INSERT INTO {TABLE} (seq, {columns}) SELECT 10, {columns} FROM {TABLE} WHERE seq = 9")
    assert chain.verify().first_bad == 10


def test_one_entry_replaced_by_a_fitting_one_shows(log: None, tamper: Tamper):
    tamper(rewritten(5, "nobody")[0])
    result = chain.verify()
    assert (result.first_bad, result.code) == (6, "order")


def test_a_rewritten_log_holds_alone_and_fails_against_an_older_head(log: None, tamper: Tamper):
    old = {"seq": 7, "hash": entries()[6].hash}
    early = {"seq": 3, "hash": entries()[2].hash}
    tamper(*rewritten(5, "nobody"))
    assert chain.verify().ok
    result = chain.verify(head=old)
    assert (result.ok, result.first_bad, result.code) == (False, 7, "head_differs")
    assert chain.verify(head=early).ok
    assert chain.verify(from_seq=7, head=old).code == "head_differs"


def test_yesterdays_backup_fails_against_todays_head(log: None, tamper: Tamper):
    head = {"seq": 9, "hash": entries()[8].hash}
    sixth = entries()[5].hash
    tamper(f"DELETE FROM {TABLE} WHERE seq > 6", f"UPDATE portal_audithead SET seq = 6, hash = '{sixth}'")
    assert chain.verify().ok
    result = chain.verify(head=head)
    assert (result.ok, result.first_bad, result.code) == (False, 7, "cut_off")


def test_a_part_of_the_log(log: None, tamper: Tamper):
    assert chain.verify(from_seq=4).checked == 5
    assert chain.verify(from_seq=2, until=6).checked == 4
    tamper(f"UPDATE {TABLE} SET actor = 'x' WHERE seq = 3")
    assert chain.verify(from_seq=4).ok
    assert chain.verify(until=2).ok
    assert chain.verify(from_seq=2).first_bad == 3


def test_progress_is_told(log: None):
    told: list[tuple[int, int]] = []
    chain.verify(progress=lambda done, total: told.append((done, total)))
    assert told == [(9, 9)]


def test_entries_added_together_follow_one_another(db: None):
    with transaction.atomic():
        first, second = chain.add_many([("a", "x.y", "o:1", {}), ("b", "x.y", "o:2", {"n": 1})])
        assert chain.add_many([]) == []
    assert (first.seq, second.seq, second.previous) == (1, 2, first.hash)
    assert chain.verify().checked == 2


def test_a_rolled_back_act_leaves_no_entry(log: None):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        chain.add("olivia", "send.queued", "send:1", {})
        raise ZeroDivisionError
    assert len(entries()) == 9
    assert chain.verify().ok


@pytest.mark.django_db(transaction=True)
def test_no_entry_outside_the_transaction_of_its_act():
    with pytest.raises(TransactionManagementError):
        chain.add("olivia", "send.queued", "send:1", {})


def test_a_lost_head_stops_new_entries(log: None, tamper: Tamper):
    AuditHead.objects.all().delete()
    with pytest.raises(chain.ChainBroken), transaction.atomic():
        chain.add("olivia", "send.queued", "send:1", {})


@pytest.mark.parametrize("detail", [{"at": datetime(2026, 1, 1)}, {1: "x"}, {"n": b"x"}, {"n": {1}}, ["x"]])
def test_a_detail_that_is_no_json_is_refused(db: None, detail: object):
    with pytest.raises(TypeError), transaction.atomic():
        chain.add("a", "b", "c", detail)  # type: ignore[arg-type]


@pytest.mark.parametrize("actor", ["", "x" * 151, "two\nlines"])
def test_a_name_that_does_not_fit_is_refused(db: None, actor: str):
    with pytest.raises(ValueError, match="actor"), transaction.atomic():
        chain.add(actor, "b", "c", {})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class TestAnyDetail(TestCase):
    """Whatever JSON an act tells comes back from the database as it was hashed."""

    @given(st.dictionaries(st.text(), _JSON, max_size=4))
    def test_holds(self, detail: dict[str, object]):
        with transaction.atomic():
            chain.add("olivia", "x.y", "o:1", detail)
        assert chain.verify().ok
