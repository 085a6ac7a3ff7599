"""What the commands say to wrong use and to workers that are away; in one process, without a run."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.urls import reverse

from offline_portal.management import following
from offline_portal.management.commands.deliver import Command
from offline_portal.management.progress import Progress, duration
from offline_portal.management.summary import summary
from offline_portal.management.who import sender
from offline_portal.models import AuditEntry, Destination, DestinationSettings, Send, Upload

TO = "KISSmetrics test"


@pytest.fixture
def destination(people: dict[str, User]) -> Destination:
    destination = Destination.objects.create(name=TO, connector="kissmetrics")
    values = {"base_url": "http://127.0.0.1:9"}
    destination.current = DestinationSettings.objects.create(destination=destination, version=1, values=values)
    destination.save()
    return destination


@pytest.fixture
def send(destination: Destination, people: dict[str, User]) -> Send:
    upload = Upload.objects.create(
        filename="sales.csv", sha256="0" * 64, bytes=1, format="csv", created_by=people["olivia"], rows=10,
        status="ready",
    )
    return Send.objects.create(
        upload=upload, destination=destination, created_by=people["olivia"], status="checking", total=10, unchecked=10
    )


def deliver(*arguments: str, **options: Any) -> str:
    """What the command prints on standard output."""
    out = io.StringIO()
    call_command("deliver", *arguments, stdout=out, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("missing.csv --to KISSmetrics_test --as olivia", "missing.csv cannot be opened: No such file or directory."),
        ("good.csv --to Nowhere --as olivia", "There is no destination “Nowhere”. There are: “KISSmetrics test”."),
        ("good.csv --to 99999999999999999999 --as olivia", "There is no destination “99999999999999999999”."),
        ("good.csv --to KISSmetrics_test", "Say who sends: --as USER."),
        ("good.csv --to KISSmetrics_test --as audrey", "audrey is not a person who may send (marketing ops)."),
        ("good.csv --to KISSmetrics_test --as nobody", "nobody is not a person who may send (marketing ops)."),
        ("good.csv --to KISSmetrics_test --as olivia --mapping x", "There is no saved mapping “x” for KISSmetrics."),
        ("picture.csv --to KISSmetrics_test --as olivia", "picture.csv is refused: "),
        ("strange.csv --to KISSmetrics_test --as olivia", "The columns cannot be matched. "),
    ],
)
def test_wrong_use_of_deliver_is_told_and_sends_nothing(
    destination: Destination, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, message: str
) -> None:
    (tmp_path / "good.csv").write_text("Email,Event,Date\nbob@example.com,Bought,2026-01-01\n")
    (tmp_path / "picture.csv").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (tmp_path / "strange.csv").write_text("aaa,bbb\nqqq,www\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandError) as told:
        deliver(*(word.replace("_", " ") for word in arguments.split()), "--yes")
    assert message in str(told.value)
    assert "\n" not in str(told.value)
    assert told.value.returncode == 2
    assert not Send.objects.exists()


def test_a_demonstration_sends_as_olivia(people: dict[str, User], settings: LazySettings) -> None:
    settings.PORTAL_DEMO = True
    assert sender(None) == people["olivia"]


def test_a_name_counts_more_than_an_id(destination: Destination) -> None:
    other = Destination.objects.create(name=str(destination.pk), connector="qubit")
    find = Command()._destination
    assert find(str(destination.pk)) == other
    assert find(str(other.pk)) == other
    assert find(TO.upper()) == destination


def test_an_archived_destination_is_not_found(destination: Destination) -> None:
    from django.utils import timezone

    Destination.objects.update(archived_at=timezone.now())
    with pytest.raises(CommandError, match="There are: none"):
        Command()._destination(TO)


def test_without_a_worker_it_gives_up_and_says_what_goes_on(
    send: Send, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REDIS_URL = ""
    monkeypatch.setattr(following, "PATIENCE", 0.5)
    monkeypatch.setattr(following, "_ASK_FOR_WORKERS_EVERY", 0.1)
    with pytest.raises(following.NoWorker, match=rf"No intake worker .+ Send {send.pk} goes on by itself"):
        following.follow(send, Progress(io.StringIO()))


def test_the_numbers_of_a_summary_add_up(send: Send) -> None:
    counts = {"accepted": 3, "rejected": 1, "unknown": 1, "failed": 1}
    Send.objects.update(status="finished", total=1010, unchecked=0, ready=6, problem=1000, duplicate=4, **counts)
    send.refresh_from_db()
    told = [line.split(maxsplit=2)[:2] for line in summary(send).splitlines()[1:-3]]
    assert dict(told) == {
        "accepted": "3", "rejected": "1", "unknown": "1", "failed": "1", "problem": "1,000", "duplicate": "4",
    }
    assert "in all      1,010" in summary(send)
    assert f"Mend, retry and decide at http://localhost:8000{reverse('send', args=[send.pk])}" in summary(send)


def test_the_address_is_the_public_one_where_there_is_one(send: Send, settings: LazySettings) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://portal.example.com"]
    assert following.address(send) == "https://portal.example.com" + reverse("send", args=[send.pk])


def test_elsewhere_than_on_a_terminal_progress_is_plain_lines() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    for done in range(0, 1001, 10):
        progress.show("Checking", done, 1000)
    progress.show("Sending", 0, 500)
    progress.close()
    assert stream.getvalue().splitlines() == [
        "Checking   0 of 1,000 rows", "Checking   1,000 of 1,000 rows", "Sending    0 of 500 rows",
    ]


@pytest.mark.parametrize(("seconds", "words"), [(4.4, "4 s"), (59.6, "1:00 min"), (187, "3:07 min"), (7500, "2:05 h")])
def test_a_duration_is_readable(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize("username", ["nobody", "gone"])
def test_no_token_for_who_may_not_sign_in(people: dict[str, User], username: str) -> None:
    User.objects.create_user("gone", is_active=False)
    with pytest.raises(CommandError) as told:
        call_command("token", username)
    assert told.value.returncode == 2
    assert not AuditEntry.objects.filter(action="token.made").exists()
