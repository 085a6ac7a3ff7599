"""The files of deploy/ agree with each other and with the portal. Docker itself is not needed here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import get_commands

from offline_portal.environment import REQUIRED_IN_PRODUCTION
from offline_portal.worker import QUEUES

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = (DEPLOY / "compose.yaml").read_text()
EXAMPLE = dict(re.findall(r"^([A-Z_]+)=(.*)$", (DEPLOY / "env.example").read_text(), re.MULTILINE))


def test_the_example_asks_for_every_key_and_password_and_holds_none() -> None:
    asked = {*REQUIRED_IN_PRODUCTION, *re.findall(r"\$\{(\w+):\?", COMPOSE)}
    assert asked == {name for name, value in EXAMPLE.items() if not value}


def test_every_variable_of_the_example_is_read_by_somebody() -> None:
    readme = (ROOT / "README.md").read_text()
    unknown = [name for name in EXAMPLE if f"`{name}`" not in readme and f"${{{name}" not in COMPOSE]
    assert unknown == []


def test_the_commands_of_the_services_exist() -> None:
    used = re.findall(r'"manage\.py", "(\w+)"', COMPOSE)
    assert sorted(used) == ["migrate", "sweeper", "worker", "worker"] and set(used) <= set(get_commands())
    assert set(re.findall(r'"worker", "(\w+)"', COMPOSE)) == set(QUEUES)
    checked = re.findall(r'"deploy/healthy\.py", "(\w+)"', COMPOSE)
    assert sorted(checked) == ["delivery", "intake", "sweeper", "web"]


def test_everything_that_the_image_copies_is_there_and_let_in() -> None:
    copied = re.findall(r"^COPY (\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    let_in = re.findall(r"^!(\S+)", (DEPLOY / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    assert sorted(copied) == sorted(let_in) and all((ROOT / name).exists() for name in copied)


def test_only_the_proxy_reaches_the_web_server() -> None:
    published = re.findall(r"ports: \[(.+)\]", COMPOSE)
    assert published == ['"127.0.0.1:${PORT:-8000}:8000"']
    proxy = (DEPLOY / "nginx.conf").read_text()
    assert "proxy_set_header X-Forwarded-Proto $scheme;" in proxy and "return 301 https://" in proxy


@pytest.mark.parametrize("part", ["", "everything"])
def test_the_health_check_names_its_parts(part: str, monkeypatch) -> None:
    import runpy
    import sys

    monkeypatch.setattr(sys, "argv", ["healthy.py", *([part] if part else [])])
    with pytest.raises(SystemExit, match="web, intake, delivery, sweeper"):
        runpy.run_path(str(DEPLOY / "healthy.py"), run_name="__main__")


def test_a_silent_web_server_is_unhealthy(monkeypatch) -> None:
    import runpy

    monkeypatch.setenv("HEALTH_URL", "http://127.0.0.1:9/api/v1/health")
    assert "does not answer" in runpy.run_path(str(DEPLOY / "healthy.py"))["wrong"]("web")
