"""The door to vendors that take files: each way a transfer can end, told by a real server."""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from connectors.base import Blocked, NeverSent, NoAnswer, Response, Undecidable
from connectors.by_file import Door, File
from connectors.emulator.testing import Emulator
from connectors.files import FileDoor
from tests.connectors.test_http import closed_port
from tests.wire.certificates import self_signed, server_context, trusting
from tests.wire.ftp_server import HANG_UP, SILENCE, FtpServer, ftp_server

NAME, PART = "a.csv", "a.csv.part"
CONTENT = b"one line\r\n" * 50
USER, PASSWORD = "the-user", "the-p4ssword"


def place(port: int, protocol: str = "ftp", **more: Any) -> Door:
    return Door(protocol, "127.0.0.1", port, "/in", USER, **{"password": PASSWORD, **more})  # type: ignore[arg-type]


def put(where: Door, in_doubt: bool = False, deadline: float = 5, **options: Any) -> Response:
    """One file through a door of its own."""
    file = File(
        method="STOR", url=where.url(NAME), headers={"File": NAME}, body=CONTENT, door=where, name=NAME,
        in_doubt=in_doubt,
    )  # fmt: skip

    async def run() -> Response:
        async with FileDoor(**{"allow_private": True, **options}) as door:
            return await door.send(file, deadline)

    return asyncio.run(run())


def knock(where: Door, **options: Any) -> Response:
    async def run() -> Response:
        async with FileDoor(**{"allow_private": True, **options}) as door:
            return await door.knock(where, 5)

    return asyncio.run(run())


# A transfer as it should be


def test_the_dialogue_of_a_good_transfer() -> None:
    with ftp_server(FtpServer()) as server:
        answer = put(place(server.port))
    assert server.said == [
        f"USER {USER}", f"PASS {PASSWORD}", "TYPE I", "CWD /in", f"SIZE {NAME}", "PASV", f"STOR {PART}",
        f"SIZE {PART}", f"RNFR {PART}", f"RNTO {NAME}", "QUIT",
    ]  # fmt: skip
    assert server.received == [CONTENT]
    assert (answer.status, answer.body) == (250, b"226 Complete\n250 Renamed")
    assert answer.headers == {"File": NAME, "Size-Compared": "yes"}


def test_a_server_that_tells_no_sizes() -> None:
    with ftp_server(FtpServer({"SIZE": "502 Not here"})) as server:
        assert put(place(server.port)).header("Size-Compared") == "not offered"
        with pytest.raises(Undecidable):
            put(place(server.port), in_doubt=True)
    assert len(server.received) == 1


def test_data_go_to_the_server_whatever_address_it_names() -> None:
    with ftp_server(FtpServer(pasv="192,0,2,1")) as server:
        assert put(place(server.port)).status == 250


def test_tls_from_the_start(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    with ftp_server(FtpServer(tls=server_context(certificate))) as server:
        where = place(server.port, "ftps", implicit_tls=True)
        answer = knock(where, verify=trusting(certificate))
        # It knows neither PBSZ nor PROT, so nothing is sent in clear.
        assert answer.status == 502 and "STOR" not in " ".join(server.said)


# What the server refuses


@pytest.mark.parametrize(
    ("command", "reply"),
    [("PASS", 530), ("CWD", 550), ("STOR", 553), ("STOR", 452), ("STOR+", 552), ("STOR+", 426), ("RNTO", 553),
     ("RNFR", 450), ("RNTO", 450)],
)  # fmt: skip
def test_a_refusal_comes_back_with_its_code_and_without_our_secrets(command: str, reply: int) -> None:
    with ftp_server(FtpServer({command: f"{reply} No, {USER} with {PASSWORD}"})) as server:
        answer = put(place(server.port))
    assert (answer.status, answer.body.decode()) == (reply, f"{reply} No, •••••• with ••••••")
    assert f"RNTO {NAME}" not in server.said or command == "RNTO"


def test_a_file_of_that_name_is_not_overwritten() -> None:
    with ftp_server(FtpServer(sizes={NAME: 7})) as server, pytest.raises(Blocked, match="lies in the folder already"):
        put(place(server.port))
    assert not server.received


def test_a_part_of_a_file_is_not_renamed() -> None:
    with ftp_server(FtpServer(sizes={PART: 7})) as server, pytest.raises(NeverSent, match="7 of 500 bytes"):
        put(place(server.port))
    assert f"RNTO {NAME}" not in server.said


# What is lost on the way


@pytest.mark.parametrize("command", ["hello", "PASS", "CWD", "STOR", "STOR+"])
@pytest.mark.parametrize("end", [HANG_UP, SILENCE])
def test_nothing_arrived_before_the_rename(command: str, end: str) -> None:
    with ftp_server(FtpServer({command: end})) as server:
        started = time.monotonic()
        with pytest.raises(NeverSent, match="Nothing stands under the final name"):
            put(place(server.port), deadline=0.7)
        assert time.monotonic() - started < 2


@pytest.mark.parametrize("end", [HANG_UP, SILENCE, "421 Bye"])
@pytest.mark.parametrize(
    ("sizes", "wanted"),
    [({NAME: None}, Undecidable), ({NAME: 500}, 250), ({PART: 500}, NeverSent), ({NAME: 3}, Undecidable)],
)
def test_after_a_lost_answer_to_the_rename_name_and_size_decide(end: str, sizes: dict, wanted: Any) -> None:
    server = FtpServer({"RNTO": end})

    class Later(dict):
        """The sizes before the rename was asked for, and those after it."""

        def get(self, name: str, default: Any = None) -> Any:
            after = any(line.startswith("RNTO") for line in server.said)
            return sizes.get(name) if after else len(CONTENT) if name == PART else None

        def setdefault(self, name: str, default: Any = None) -> Any:
            return default

    server.sizes = Later()
    with ftp_server(server):
        if wanted == 250:
            assert put(place(server.port), deadline=1.5).status == 250
        else:
            with pytest.raises(wanted):
                put(place(server.port), deadline=1.5)
    assert len(server.received) == 1, "never a second file"


def test_a_doubt_that_could_not_be_settled_stays_one() -> None:
    server = FtpServer({"RNTO": HANG_UP})
    answers = dict(server.answers)

    class Closing(dict):
        def get(self, word: str, default: Any = None) -> Any:
            gone = any(line.startswith("RNTO") for line in server.said)
            return "530 Not now" if gone and word == "PASS" else answers.get(word, default)

    server.answers = Closing()
    with ftp_server(server), pytest.raises(NoAnswer, match="the portal will look") as raised:
        put(place(server.port))
    assert not isinstance(raised.value, Undecidable)


@pytest.mark.parametrize("answers", [{"PASS": HANG_UP}, {"PASS": SILENCE}, {"PASS": "421 Full"}, {"SIZE": HANG_UP}])
def test_while_in_doubt_no_failure_says_that_nothing_arrived(answers: dict[str, str]) -> None:
    with ftp_server(FtpServer(answers)) as server, pytest.raises(NoAnswer, match="the portal will look"):
        put(place(server.port), in_doubt=True, deadline=0.7)
    with pytest.raises(NoAnswer):
        put(place(closed_port()), in_doubt=True)


def test_in_doubt_the_door_looks_before_it_repeats() -> None:
    with ftp_server(FtpServer(sizes={NAME: 500})) as server:
        assert put(place(server.port), in_doubt=True).status == 250
        assert not server.received
    with ftp_server(FtpServer(sizes={PART: 500})) as server:
        assert put(place(server.port), in_doubt=True).status == 250
        assert len(server.received) == 1
    with ftp_server(FtpServer()) as server, pytest.raises(Undecidable, match="picked it up"):
        put(place(server.port), in_doubt=True)


# Who is there, and whether it may be spoken to


def test_nobody_there_and_no_such_name() -> None:
    with pytest.raises(NeverSent, match="refused the connection"):
        put(place(closed_port()))
    with pytest.raises(NeverSent, match="could not be found"):
        put(Door("ftp", "no-such-server.invalid", 21, "", "u"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.1", "::ffff:127.0.0.1"])
def test_private_addresses_are_refused_before_a_connection(host: str) -> None:
    with pytest.raises(Blocked, match="private or reserved"):
        put(Door("ftp", host, 21, "", "u"), allow_private=False)


@pytest.mark.parametrize("hello", ["HTTP/1.1 400 Bad Request", "220-" + "x" * 100 + "\r\n220-more" * 20_000, "\xff"])
def test_what_is_no_ftp_server_is_left(hello: str) -> None:
    with ftp_server(FtpServer({"hello": hello})) as server, pytest.raises(NeverSent):
        put(place(server.port))
    assert server.said == []


def test_a_certificate_that_cannot_be_trusted_gets_no_password(emulator: Emulator) -> None:
    port = emulator.doors()["ftp"]["port"]
    with pytest.raises(Blocked, match=r"certificate of .* cannot be trusted"):
        put(place(port, "ftps"), verify=ssl.create_default_context())
    assert emulator.counts("related_digital")["requests"] == 0


def test_a_server_without_tls_gets_no_password() -> None:
    with ftp_server(FtpServer()) as server, pytest.raises(Blocked, match="offers no TLS"):
        put(place(server.port, "ftps"))
    assert not any(line.startswith(("USER", "PASS")) for line in server.said)


# SFTP


def test_sftp_with_a_private_key_and_either_form_of_the_host_key(emulator: Emulator) -> None:
    door = emulator.doors()["sftp"]
    private = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    fingerprint = asyncssh.import_public_key(door["host_key"]).get_fingerprint()
    for host_key in (door["host_key"], fingerprint):
        answer = knock(place(door["port"], "sftp", password="", private_key=private, host_key=host_key))
        assert answer.status == 250


def test_sftp_shows_the_host_key_to_whoever_has_none(emulator: Emulator) -> None:
    door = emulator.doors()["sftp"]
    with pytest.raises(Blocked) as raised:
        knock(place(door["port"], "sftp"))
    assert door["host_key"] in str(raised.value)


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256"])
def test_sftp_to_another_server_than_the_pinned_one_is_blocked(emulator: Emulator, kind: str) -> None:
    other = asyncssh.generate_private_key(kind).export_public_key().decode().strip()
    ends = []
    while Blocked not in ends and len(ends) < 10:
        # A server without a key of that kind may hang up before it has said why: then it is tried again.
        with pytest.raises(NeverSent) as raised:
            put(place(emulator.doors()["sftp"]["port"], "sftp", host_key=other))
        ends.append(type(raised.value))
    assert Blocked in ends
    assert emulator.counts("related_digital")["requests"] == 0


def test_a_private_key_that_cannot_be_read_is_told(emulator: Emulator) -> None:
    door = emulator.doors()["sftp"]
    with pytest.raises(Blocked, match="private key cannot be read"):
        knock(place(door["port"], "sftp", private_key="-----BEGIN", host_key=door["host_key"]))


def test_sftp_to_what_is_no_ssh_server() -> None:
    with ftp_server(FtpServer()) as server, pytest.raises(NeverSent):
        put(place(server.port, "sftp", host_key="SHA256:" + "A" * 43), deadline=1)
