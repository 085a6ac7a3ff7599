"""What is taken away of the log verifies without the portal, and every change of it shows."""

from __future__ import annotations

import csv
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from offline_portal.audit import canonical, chain, export, signing, verification
from offline_portal.audit.stranger import verify as stranger
from offline_portal.models import AuditEntry
from tests.audit.packages import change, unpacked, verify
from tests.audit.test_chain import rewritten

Tamper = Callable[..., None]


@pytest.fixture
def folder(log: None, tmp_path: Path) -> Path:
    """Entries 4 to 6 of nine, and what it takes to verify them; entry 10 says that they were taken away."""
    found = AuditEntry.objects.filter(seq__gte=4, seq__lte=6)
    return unpacked(export.of_log(found, {"object": "send:5"}, "audrey"), tmp_path / "export")


def test_it_verifies_itself_and_that_it_was_taken_is_logged(folder: Path) -> None:
    code, said = verify(folder)
    assert (code, "It holds: 3 entries, in a chain from entry 4 to 10" in said) == (0, True), said
    assert signing.public_key() in said
    entry = AuditEntry.objects.get(seq=10)
    assert (entry.actor, entry.action, json.loads(entry.detail)) == ("audrey", "audit.exported", {"object": "send:5"})
    shown = [json.loads(line) for line in (folder / "chain.jsonl").read_text().splitlines()]
    assert [type(line) for line in shown[1:]] == [dict] * 3 + [str] * 4, "of the others no more than a digest"


def test_the_key_that_signed_it_can_be_asked_for(folder: Path) -> None:
    assert verify(folder, "--key", signing.public_key())[0] == 0
    code, said = verify(folder, "--key", "0" * 64)
    assert code == 1 and "head.json is signed with another key" in said


def test_nothing_chosen_is_an_export_too(log: None, tmp_path: Path) -> None:
    folder = unpacked(export.of_log(AuditEntry.objects.none(), {}, "audrey"), tmp_path / "export")
    assert verify(folder)[0] == 0


@pytest.mark.parametrize("name", ["head.json", "manifest.json"])
def test_a_signature_has_one_spelling(folder: Path, name: str) -> None:
    path = folder / name
    signature = json.loads(path.read_text())["signature"]
    path.write_text(path.read_text().replace(signature, signature.upper()))
    code, said = verify(folder)
    assert code == 1 and f"{name} was changed" in said


FILES = ("head.json", "manifest.json", "chain.jsonl", "entries.csv", "README.txt", "verify.py")


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte_shows(folder: Path, name: str) -> None:
    path, seed = folder / name, random.randrange(10**9)
    whole, chance = path.read_bytes(), random.Random(seed)
    # Of the program only what it says of itself: another byte could make it say that all is well.
    most = 500 if name == "verify.py" else len(whole)
    for _once in range(6):
        place = chance.randrange(most)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << chance.randrange(7))]) + whole[place + 1 :])
        assert verify(folder)[0] == 1, (seed, place)
    path.write_bytes(whole[:-1])
    assert verify(folder)[0] == 1
    path.unlink()
    assert verify(folder)[0] != 0


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (lambda lines: lines[2].update(actor="oscar"), "entry 5 was changed"),
        (lambda lines: lines[2]["detail"].update(rows=6), "entry 5 was changed"),
        (lambda lines: lines.pop(2), "entry 5 is missing"),
        (lambda lines: lines.insert(2, lines[1]), "entry 5 is missing"),
        (lambda lines: lines.insert(2, "0" * 64), "entry 6 is missing"),
        (lambda lines: lines.__setitem__(slice(1, 3), [lines[2], lines[1]]), "entry 4 is missing"),
        (lambda lines: lines.__setitem__(2, "0" * 64), "entry 6 does not follow"),
        (lambda lines: lines.__setitem__(5, "0" * 64), "entry 10 is not the one in the head"),
        (lambda lines: lines.pop(), "entry 10 is missing"),
        (lambda lines: lines.append("0" * 64), "entry 11 stands behind the head"),
        (lambda lines: lines.pop(0), "does not say behind which entry it begins"),
        (lambda lines: lines[0].update(hash="0" * 64), "entry 4 does not follow"),
    ],
)
def test_it_says_where_the_chain_does_not_hold(folder: Path, how: Callable[[list[Any]], object], words: str) -> None:
    change(folder / "chain.jsonl", how)
    code, said = verify(folder)
    assert code == 1 and words in said, said


def test_a_rewritten_log_shows_against_an_older_head(folder: Path, tmp_path: Path, tamper: Tamper) -> None:
    older = str(shutil.copy(folder / "head.json", tmp_path / "older.json"))
    assert verify(folder, "--head", older)[0] == 0
    later = unpacked(export.of_log(AuditEntry.objects.filter(seq=4), {}, "audrey"), tmp_path / "later")
    assert verify(later, "--head", older)[0] == 0
    code, said = verify(folder, "--head", str(later / "head.json"))
    assert code == 1 and "all from 11 on was cut off" in said
    tamper(*rewritten(5, "oscar"))
    forged = unpacked(export.of_log(AuditEntry.objects.filter(seq__gte=4), {}, "audrey"), tmp_path / "forged")
    assert verify(forged)[0] == 0, "alone it cannot be told from a true one"
    code, said = verify(forged, "--head", older)
    assert code == 1 and "entry 10 is not the one in the older head" in said
    too_late = unpacked(export.of_log(AuditEntry.objects.filter(seq=12), {}, "audrey"), tmp_path / "too_late")
    code, said = verify(too_late, "--head", older)
    assert code == 1 and "cannot be compared" in said


def test_a_log_that_does_not_hold_gives_an_export_that_does_not(log: None, tmp_path: Path, tamper: Tamper) -> None:
    tamper("UPDATE portal_auditentry SET actor = 'oscar', detail = '{' WHERE seq = 5")
    folder = unpacked(export.of_log(AuditEntry.objects.all(), {}, "audrey"), tmp_path / "export")
    code, said = verify(folder)
    assert code == 1 and "entry 5 was changed" in said


def test_verify_audit_takes_the_head(folder: Path, tamper: Tamper, capsys: pytest.CaptureFixture[str]) -> None:
    head = folder / "head.json"
    call_command("verify_audit", "--head", str(head))
    assert "holds" in capsys.readouterr().out
    forged = json.loads(head.read_text())
    head.write_text(json.dumps(forged | {"seq": 4}))
    with pytest.raises(CommandError, match="its signature does not hold"):
        call_command("verify_audit", "--head", str(head))
    head.write_text(json.dumps(forged))
    tamper(*rewritten(5, "oscar"))
    with pytest.raises(SystemExit):
        call_command("verify_audit", "--head", str(head))


def test_no_cell_of_the_table_is_a_formula() -> None:
    cells = ["=1+1", "+49 30 1", "-5", "@x", "\tx", "＝1", "plain", 'a "quoted", one', None, 7]
    [line] = export.table([cells])
    [read] = csv.reader([line])
    assert read == ["'=1+1", "'+49 30 1", "'-5", "'@x", "'\tx", "'＝1", "plain", 'a "quoted", one', "", "7"]


def test_memory_stays_flat(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    monkeypatch.setattr(export, "_AT_ONCE", 500)
    monkeypatch.setattr(verification, "_ENTRIES_AT_ONCE", 500)

    def taken(entries: int) -> int:
        from django.db import transaction

        with transaction.atomic():
            chain.add_many(("olivia", "send.queued", "send:1", {"rows": n}) for n in range(entries))
        tracemalloc.start()
        for _piece in export.of_log(AuditEntry.objects.all(), {}, "audrey"):
            pass
        _now, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few = taken(2_000)
    assert taken(8_000) < 1.5 * few


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.data())
def test_the_strangers_ed25519_agrees_with_cryptography(seed: bytes, message: bytes, data: st.DataObject) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)
    assert stranger.signature_holds(public, signature, message)
    parts = [bytearray(public), bytearray(signature), bytearray(message or b"x")]
    part = parts[data.draw(st.integers(0, 2))]
    part[data.draw(st.integers(0, len(part) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert stranger.signature_holds(*map(bytes, parts)) == holds(*map(bytes, parts))


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=64, max_size=64))
def test_it_takes_no_nonsense(public: bytes, signature: bytes) -> None:
    """Not even with a key of small order, by which anything would be signed."""
    assert not stranger.signature_holds(public, signature, b"x")


def test_a_signature_has_one_form_only() -> None:
    key = Ed25519PrivateKey.generate()
    public, signature = key.public_key().public_bytes_raw(), key.sign(b"x")
    other = (int.from_bytes(signature[32:], "little") + stranger.ORDER).to_bytes(32, "little")
    assert not stranger.signature_holds(public, signature[:32] + other, b"x")
    assert not stranger.signature_holds(public, signature[:63], b"x")
    assert not stranger.signature_holds(public[:31], signature, b"x")


def holds(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.booleans() | st.none(), max_size=5))
def test_both_spell_canonical_json_alike(value: dict[str, Any]) -> None:
    assert stranger.canonical(value) == canonical.canonical(value).encode("utf-8", "surrogatepass")
