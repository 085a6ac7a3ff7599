"""Every code is explained: the common ones in docs/mapping.md, a vendor's own there or on the vendor's page."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODES = re.compile(r"""(?:Unfit|Doubtful|Issue|_note)\([^()]*?["']([a-z]+(?:_[a-z0-9]+)+|missing)["']""")


def test_every_code_is_explained():
    pages = [ROOT / "docs/mapping.md", *(ROOT / "docs/vendors").glob("*.md")]
    explained = {code for page in pages for code in re.findall(r"`([a-z0-9_]+)`", page.read_text())}
    modules = [*(ROOT / "offline_portal/checking").glob("*.py"), *(ROOT / "connectors").glob("*.py")]
    used = {code for module in modules for code in CODES.findall(module.read_text())}
    settings_and_keys = {"unencrypted", "reserved_name", "same_name", "not_a_namespace", "not_an_index", "too_small"}
    assert len(used) > 20
    assert used - explained - settings_and_keys - {"base_url", "transaction_id"} == set()
