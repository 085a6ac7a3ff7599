"""Who may import whom: the order of the stages, kept by reading the imports."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PORTAL = "offline_portal"

LOW = {"models", "bulk", "claims", "wake", "schema", "compact_json", "collector", "trouble"}
"""The floor that every stage stands on: records, bulk writes, claims, wake-ups, whether the tables fit, a database in
trouble, and two that are there for speed."""
STAGES = {"intake", "mapping", "checking", "checks", "delivery", "audit", "secrets", "redaction", "destinations"}
OUTSIDE = {"access", "listing", "health", "screens", "api", "management", "embedded"}

ALLOWED: dict[str, set[str]] = {
    "models": set(),
    "bulk": {"models", "bulk_backends"},
    "bulk_backends": set(),
    "compact_json": set(),
    "claims": {"models"},
    "collector": set(),
    "schema": {"migrations"},
    "wake": {"models", "schema", "collector", "trouble"},
    "trouble": set(),
    "mapping": {"checking"},
    "checking": set(),
    "redaction": set(),
    "secrets": {"models", "audit"},
    "audit": {"models", "bulk", "redaction", "compact_json"},
    "intake": LOW | {"audit"},
    "checks": LOW | {"audit", "mapping", "checking"},
    "delivery": LOW | {"audit", "checks", "redaction", "secrets"},
    "access": {"models", "audit"},
    "people": {"models", "audit", "access"},
    "destinations": {"models", "audit", "secrets", "delivery", "destination_rules"},
    "destination_rules": {"models"},
}
CONNECTORS_FOR: dict[str, set[str]] = {
    "mapping": {"base"}, "checking": {"base"}, "redaction": {"base"}, "checks": {"", "base"},
    "delivery": {"", "base", "by_file", "http", "files", "readback"}, "secrets": set(), "models": set(), "bulk": set(),
    "intake": set(),
    "audit": {""}, "access": set(), "destinations": {"", "base"}, "destination_rules": {"", "base", "addresses"},
    "screens": {"", "base"}, "api": {"", "base"}, "management": {"", "base", "emulator"}, "listing": {"", "base"},
    "embedded": {"", "base", "emulator"},
}  # fmt: skip
NOT_A_VENDOR = {
    "__init__", "addresses", "base", "by_file", "file_settings", "files", "ftp", "headers", "http", "normalize",
    "oauth", "readback", "sftp",
}  # fmt: skip


def modules(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*.py")) if "migrations" not in path.parts]


def imported(path: Path) -> set[str]:
    """Full names of everything that a module imports, relative imports resolved."""
    package = list(path.relative_to(ROOT).with_suffix("").parts)
    if package[-1] == "__init__":
        package.append("")
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: -node.level]) if node.level else ""
            source = ".".join(part for part in (base, node.module or "") if part)
            names.update(f"{source}.{alias.name}" for alias in node.names)
    return names


def stage_of(path: Path) -> str:
    return path.relative_to(ROOT / PORTAL).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(ROOT / PORTAL), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_stage_imports_only_the_stages_below_it(path: Path) -> None:
    stage = stage_of(path)
    if stage not in ALLOWED:
        return
    used = {name.split(".")[1] for name in imported(path) if name.startswith(f"{PORTAL}.")}
    assert used - {stage} <= ALLOWED[stage]


@pytest.mark.parametrize("path", modules(ROOT / PORTAL), ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_names_a_vendor_and_only_delivery_opens_a_door(path: Path) -> None:
    stage = stage_of(path)
    used = {name.removeprefix("connectors").strip(".").split(".")[0] for name in imported(path)
            if name == "connectors" or name.startswith("connectors.")}
    used = {"" if name in ("get", "all_connectors") else name for name in used}
    assert used <= CONNECTORS_FOR.get(stage, {"", "base"})


@pytest.mark.parametrize("path", sorted((ROOT / "connectors").glob("*.py")), ids=lambda path: path.stem)
def test_a_connector_knows_neither_django_nor_the_network(path: Path) -> None:
    names = imported(path)
    assert not {name for name in names if name.split(".")[0] in ("django", PORTAL, "redis", "rq")}
    if path.stem not in NOT_A_VENDOR:
        ours = {name.split(".")[1] for name in names if name.startswith("connectors.")}
        halves = {name for name in ours if name.startswith(f"{path.stem}_")}
        assert ours - halves <= {"base", "by_file", "headers", "normalize", "oauth", "readback"}
        assert not {name.split(".")[0] for name in names} & {"httpx", "aiohttp", "socket", "requests", "ftplib"}


def test_the_emulator_imports_no_connector() -> None:
    names = {name for path in modules(ROOT / "connectors" / "emulator") for name in imported(path)}
    assert not {n for n in names if n.startswith("connectors.") and not n.startswith("connectors.emulator")}
    assert not {name for name in names if name.split(".")[0] in ("django", PORTAL)}
