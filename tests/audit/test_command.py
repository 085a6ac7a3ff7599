"""manage.py verify_audit as a person runs it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from offline_portal.models import AuditEntry

Tamper = Callable[..., None]


def run(*arguments: str) -> tuple[int, str, str]:
    """(exit code, standard output, standard error)"""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("verify_audit", *arguments, stdout=out, stderr=err)
    except SystemExit as exit_:
        return int(str(exit_.code)), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def test_a_sound_log(log: None):
    code, out, err = run()
    assert (code, err) == (0, "")
    assert out.startswith("The audit log holds: 9 entries")


def test_a_changed_log(log: None, tamper: Tamper):
    tamper("UPDATE portal_auditentry SET actor = 'x' WHERE seq = 3")
    code, out, err = run()
    assert (code, out) == (1, "")
    assert "Entry 3 was changed" in err and "2 entries checked" in err


def test_json(log: None, tamper: Tamper):
    code, out, _err = run("--json")
    found: dict[str, Any] = json.loads(out)
    assert (code, found["ok"], found["checked"], found["first_bad"], found["head_seq"]) == (0, True, 9, None, 9)
    tamper("DELETE FROM portal_auditentry WHERE seq = 4")
    code, out, _err = run("--json")
    found = json.loads(out)
    assert (code, found["ok"], found["first_bad"], found["code"]) == (1, False, 4, "missing")


def test_an_exported_head(log: None, tmp_path: Path):
    head = tmp_path / "head.json"
    head.write_text(json.dumps({"seq": 9, "hash": AuditEntry.objects.get(seq=9).hash, "signature": "…"}))
    assert run("--head", str(head))[0] == 0
    head.write_text(json.dumps({"seq": 12, "hash": "0" * 64}))
    code, _out, err = run("--head", str(head))
    assert code == 1 and "the exported head stands at entry 12" in err


@pytest.mark.parametrize("text", ["", "[]", '{"seq": "x", "hash": 1}', '{"seq": 1}'])
def test_a_head_that_is_none(db: None, tmp_path: Path, text: str):
    head = tmp_path / "head.json"
    head.write_text(text)
    with pytest.raises(CommandError, match="no exported head"):
        run("--head", str(head))
    with pytest.raises(CommandError, match="cannot be read"):
        run("--head", str(tmp_path / "absent"))
