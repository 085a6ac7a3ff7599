"""The page of statuses tells of everything that a pill can show."""

from __future__ import annotations

import pytest

from offline_portal.models import Delivery, Send, Upload
from offline_portal.screens import tones

LOOKS = {"sends": tones.SENDS, "rows": tones.ROWS, "files": tones.UPLOADS, "evidence": tones.GRADES}


@pytest.mark.parametrize("part", LOOKS)
def test_every_status_says_what_it_means_and_what_to_do(part):
    for name, look in LOOKS[part].items():
        assert look.help.endswith(".") and look.todo.endswith("."), name


def test_the_page_has_a_line_for_each_with_an_address_to_link_to(people, client):
    client.force_login(people["audrey"])
    page = client.get("/help/statuses").content.decode()
    wanted = [f"sends-{name}" for name in Send.Status.values] + [f"files-{name}" for name in Upload.Status.values]
    wanted += [f"sent-{name}" for name in Delivery.Status.values] + [f"evidence-{name}" for name in tones.GRADES]
    wanted += [f"checked-{name}" for name in Delivery.Verdict.values]
    assert [name for name in wanted if page.count(f'id="{name}"') != 1] == []
