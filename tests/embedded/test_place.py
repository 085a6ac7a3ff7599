"""One run a data folder, one program a port."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from offline_portal.embedded.place import Lock, Taken, check_port, join


def test_a_second_run_is_refused_by_name(tmp_path: Path) -> None:
    with Lock(tmp_path), pytest.raises(Taken, match=rf"{tmp_path} \(process {os.getpid()}\)"):
        Lock(tmp_path).__enter__()
    with Lock(tmp_path):
        assert (tmp_path / "run.lock").read_text() == f"{os.getpid()}\n"


def test_a_lock_of_a_program_that_is_gone_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "run.lock").write_text("999999\n")
    with Lock(tmp_path):
        pass


def test_a_command_beside_a_run_learns_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBUG", "1")
    monkeypatch.setenv("PORTAL_DEMO", "1")
    monkeypatch.setenv("SECRET_KEY", "not to be written down")
    with Lock(tmp_path):
        monkeypatch.delenv("DEBUG")
        monkeypatch.setenv("PORTAL_DEMO", "0")
        join(tmp_path)
        assert os.environ["DEBUG"] == "1"
        assert os.environ["PORTAL_DEMO"] == "0", "what is set here counts more"
        assert "not to be" not in "".join(path.read_text() for path in tmp_path.iterdir())


def test_what_a_run_that_is_over_has_left_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run.lock").write_text("999999")
    (tmp_path / "run.json").write_text('{"DEBUG": "1"}')
    monkeypatch.delenv("DEBUG")
    join(tmp_path)
    join(tmp_path / "missing")
    assert "DEBUG" not in os.environ


def test_a_port_in_use_is_said_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(Taken, match=f"PORT={port + 1} make run"):
            check_port("127.0.0.1", port, "PORT")
    check_port("127.0.0.1", port, "PORT")


def test_an_address_of_another_machine_is_said_so() -> None:
    with pytest.raises(Taken, match="is not an address of this machine"):
        check_port("192.0.2.1", 8000, "PORT")
