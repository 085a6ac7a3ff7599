"""Files to Related Digital over real FTP, FTPS and SFTP: the platform's ledger holds exactly the good rows, once."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.utils import timezone

import connectors
from connectors.files import FileDoor
from offline_portal.audit import chain
from offline_portal.delivery import claiming, control, hold, sweep
from offline_portal.delivery.probe import test_connection as connection_test
from offline_portal.delivery.writing import Book, Parcel
from offline_portal.destination_rules import clean_secrets, clean_settings
from offline_portal.models import Attempt, Batch, Delivery, Destination, Outcome, RequestCopy, Send
from tests.conftest import Road
from tests.delivery.test_road import counts

VENDOR = "related_digital"
PASSWORD = "p4ss-of-the-server"
GOOD = 20
LINES = "Tarih,Customer ID,Product code,Quantity,Line total,Transaction Attr 1\n" + "".join(
    f"2026-11-02 09:12:{n:02},C-{n},SKU-{n},{n},{n}.50,PO-{n}\n" for n in range(1, 31)
)


@pytest.fixture(autouse=True)
def quick(settings: LazySettings, tmp_path: Path) -> Iterator[None]:
    settings.PORTAL_RETRY_BASE = 0.05
    settings.PORTAL_DATA = tmp_path
    yield


def place(road: Road, protocol: str = "ftp", name: str = "Acme Türkiye", **values: object) -> Destination:
    """A destination at one of the emulator's doors, its certificate trusted as in training."""
    doors = road.emulator.doors()
    (road.folder / "emulator").mkdir(exist_ok=True)
    (road.folder / "emulator" / "certificate.pem").write_text(doors["ftp"]["certificate"])
    given = {
        "protocol": protocol, "host": "127.0.0.1", "path": "/offline", "timezone": "Europe/Istanbul",
        "filename": "offline_{account}_{YYYYMMDDHHMMSS}_{batch}.csv",
        "port": doors["sftp" if protocol == "sftp" else "ftp"]["port"],
        "host_key": doors["sftp"]["host_key"] if protocol == "sftp" else "",
    } | values  # fmt: skip
    return road.destination(VENDOR, name, given, username="acme", password=PASSWORD)


def receipts(send: Send) -> set[str]:
    return set(Delivery.objects.filter(send=send, status="accepted").values_list("receipt", flat=True))


def stored(road: Road) -> list[str]:
    return [f"{entry['key']['file']}:{entry['key']['line']}" for entry in road.emulator.effective(VENDOR)]


@pytest.mark.parametrize(
    ("protocol", "values"),
    [("ftp", {}), ("ftps", {"header": True, "decimal": ","}), ("sftp", {"zip": True}), ("sftp", {"header": True})],
)
def test_the_sample_reaches_the_platform(road: Road, protocol: str, values: dict[str, object]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows(connectors.get(VENDOR).sample)
    send = road.check(road.upload(text.getvalue()), place(road, protocol, **values))
    assert (send.ready, send.problem) == (GOOD, 5)
    send = road.deliver(send)
    assert (send.status, counts(send)) == ("finished", {"accepted": GOOD})
    assert len(stored(road)) == GOOD and set(stored(road)) == receipts(send)
    assert road.emulator.counts(VENDOR)["rejected"] == 0
    assert set(Delivery.objects.filter(send=send, verdict="ready").values_list("evidence", flat=True)) == {"delivered"}
    batch = Batch.objects.get()
    ending = "zip" if values.get("zip") else "csv"
    assert batch.name.startswith("offline_acme-trkiye_") and batch.name.endswith(f"_{send.pk}-1.{ending}")
    first = 2 if values.get("header") else 1
    assert Delivery.objects.get(send=send, line=2).receipt == f"{batch.name}:{first}"
    fields = road.emulator.effective(VENDOR)[0]["content"]["fields"]
    assert fields["Time Stamp"] == "2026-11-02 09:12:45"
    assert fields["Num2"] == ("199,80" if values.get("decimal") else "199.80")
    assert fields["EventTransaction Attr1"] == "PO-778"
    assert chain.verify().ok


def test_the_attempt_keeps_the_file_and_no_secret(road: Road) -> None:
    send = road.deliver(road.check(road.upload(LINES), place(road)))
    kept = RequestCopy.objects.get()
    port = road.emulator.doors()["ftp"]["port"]
    assert (kept.method, kept.url) == ("STOR", f"ftp://127.0.0.1:{port}/offline/{Batch.objects.get().name}")
    assert kept.body is not None and kept.body.count("\r\n") in (0, 30) and "C-17;7;;SKU-17;17;17.50;" in kept.body
    assert '"SHA-256"' in kept.headers and f'"Size": "{kept.size}"' in kept.headers
    answer = Attempt.objects.get().answer
    assert answer.status == 250 and "250 Renaming ok." in answer.copy.body
    everything = "".join(map(str, (*RequestCopy.objects.values_list(), answer.copy.body, answer.copy.headers)))
    assert PASSWORD not in everything
    assert counts(send) == {"accepted": 30}


@pytest.mark.parametrize("protocol", ["ftp", "ftps", "sftp"])
def test_a_cut_transfer_is_repeated_under_the_same_name(road: Road, protocol: str) -> None:
    road.emulator.set(VENDOR, cut_transfer={"value": True, "times": 2})
    send = road.deliver(road.check(road.upload(LINES), place(road, protocol)))
    assert counts(send) == {"accepted": 30}
    assert set(stored(road)) == receipts(send)
    assert (road.emulator.counts(VENDOR)["requests"], len(stored(road))) == (3, 30)
    assert {entry["key"]["file"] for entry in road.emulator.effective(VENDOR)} == {Batch.objects.get().name}
    assert set(Outcome.objects.values_list("code", flat=True)) == {"never_sent", ""}


@pytest.mark.parametrize("protocol", ["ftp", "sftp"])
def test_a_lost_answer_to_the_rename_needs_no_second_file(road: Road, protocol: str) -> None:
    road.emulator.set(VENDOR, lost_rename="after")
    send = road.deliver(road.check(road.upload(LINES), place(road, protocol)))
    assert counts(send) == {"accepted": 30}
    assert (Attempt.objects.count(), road.emulator.counts(VENDOR)["requests"]) == (1, 1)
    assert set(stored(road)) == receipts(send)


def test_a_rename_that_did_not_happen_is_tried_again(road: Road) -> None:
    road.emulator.set(VENDOR, lost_rename={"value": "before", "times": 1})
    send = road.deliver(road.check(road.upload(LINES), place(road)))
    assert (counts(send), len(stored(road))) == ({"accepted": 30}, 30)


def test_a_file_that_vanished_after_a_lost_answer_is_unknown_and_never_sent_again(road: Road) -> None:
    road.emulator.set(VENDOR, lost_rename="after", pick_up=True)
    send = road.deliver(road.check(road.upload(LINES), place(road)))
    assert (send.status, counts(send)) == ("finished", {"unknown": 30})
    assert "picked it up" in Delivery.objects.filter(send=send)[0].message
    road.shift(send, 1)
    assert road.emulator.counts(VENDOR)["requests"] == 1
    # A person who looked at the platform and did not find the row: its file has a name of its own.
    road.emulator.set(VENDOR)
    control.resolve(Delivery.objects.get(send=send, line=2), "resend", "not there", road.olivia)
    send = road.shift(send)
    assert counts(send) == {"accepted": 1, "unknown": 29}
    assert Batch.objects.values("name").distinct().count() == 2


def begin_and_die(road: Road) -> Parcel:
    """A worker that began the file, and was killed before it could write what came of it."""
    [held] = claiming.claim_due(set())
    rows = hold.queued_rows(held)
    parcel = Parcel(rows, held.build(rows))
    assert Book(held).turn([], [parcel])
    Batch.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    sweep.one_pass()
    return parcel


@pytest.mark.parametrize(("renamed", "ends"), [(True, {"accepted": 30}), (False, {"unknown": 30})])
def test_a_worker_that_died_over_a_file_is_followed_by_a_look(road: Road, renamed: bool, ends: dict[str, int]) -> None:
    send = road.queue(road.check(road.upload(LINES), place(road)))
    parcel = begin_and_die(road)
    if renamed:

        async def put() -> None:
            async with FileDoor(allow_private=True) as door:
                await door.send(parcel.request, 5)  # type: ignore[arg-type]

        asyncio.run(put())
    send = road.shift(send, 5)
    assert counts(send) == ends
    assert len(stored(road)) == (30 if renamed else 0)


@pytest.mark.parametrize(
    ("switches", "words"),
    [({"bad_login": True}, "530"), ({"no_space": True}, "552"), ({"reply": 550}, "550"), ({"reply": 553}, "553")],
)
def test_what_a_person_must_mend_pauses_the_destination(road: Road, switches: dict[str, object], words: str) -> None:
    road.emulator.set(VENDOR, **switches)
    send = road.deliver(road.check(road.upload(LINES), place(road)))
    assert (send.status, counts(send)) == ("paused", {"queued": 30})
    assert words in send.reason and PASSWORD not in send.reason
    road.emulator.set(VENDOR)
    Destination.objects.update(paused=False)
    control.destination_opened(Destination.objects.get())
    assert counts(road.shift(send)) == {"accepted": 30}
    assert len(stored(road)) == 30


@pytest.mark.parametrize("code", [421, 425, 426, 450, 451, 452])
def test_what_may_pass_is_tried_again(road: Road, code: int) -> None:
    road.emulator.set(VENDOR, reply={"value": code, "times": 1})
    send = road.deliver(road.check(road.upload(LINES), place(road)))
    assert (counts(send), len(stored(road))) == ({"accepted": 30}, 30)


def test_what_never_passes_ends_as_surely_not_arrived(road: Road, settings: LazySettings) -> None:
    settings.PORTAL_RETRY_LIMIT = 2
    road.emulator.set(VENDOR, reply=450)
    send = road.deliver(road.check(road.upload(LINES), place(road)))
    assert counts(send) == {"failed": 30}
    road.emulator.set(VENDOR)
    control.retry(send, ["failed"], "the server is mended", road.olivia)
    assert counts(road.shift(send)) == {"accepted": 30}


def test_another_host_key_pauses_the_destination_before_the_password_leaves(road: Road) -> None:
    send = road.deliver(road.check(road.upload(LINES), place(road, "sftp", host_key="SHA256:" + "A" * 43)))
    assert (send.status, counts(send)) == ("paused", {"queued": 30})
    assert "another host key" in send.reason
    assert road.emulator.counts(VENDOR)["requests"] == 0


def test_the_connection_test_shows_the_host_key_and_then_works(road: Road) -> None:
    where = place(road, "sftp", host_key="")
    works, sentence = connection_test(where)
    assert not works and road.emulator.doors()["sftp"]["host_key"] in sentence
    for protocol in ("ftp", "ftps", "sftp"):
        where = place(road, protocol, name=protocol)
        works, sentence = connection_test(where)
        assert works, sentence
    road.emulator.set(VENDOR, bad_login=True)
    works, sentence = connection_test(where)
    assert not works and "530" in sentence and PASSWORD not in sentence
    assert road.emulator.effective(VENDOR) == []


def test_what_an_admin_may_enter(settings: LazySettings) -> None:
    vendor = connectors.get(VENDOR)
    values, wrong = clean_settings(vendor, {"host": "ftp.example.com"})
    assert wrong == {}
    assert (values["protocol"], values["timezone"], values["header"]) == ("ftp", "Europe/Istanbul", False)
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\r\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"
    texts, wrong = clean_secrets(vendor, {"username": "u", "private_key": key})
    assert (texts, wrong) == ({"username": "u", "private_key": key.strip()}, {})
    assert "secrets.password" in clean_secrets(vendor, {"username": "u", "password": "two\nlines"})[1]
    settings.PORTAL_ALLOW_PRIVATE_DESTINATIONS = False
    for host in ("127.0.0.1", "localhost", "10.1.2.3", "::1"):
        assert list(clean_settings(vendor, {"host": host})[1]) == ["settings.host"]
    assert clean_settings(vendor, {"host": "ftp.example.com"})[1] == {}
