"""The emulator as a program: start, end, addresses, vendors by file, and how it bears load and nonsense."""

import ast
import asyncio
import json
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.emulator.faults import COMMON
from connectors.emulator.ledger import COUNTS, FIELDS
from connectors.emulator.switches import LIMITS
from connectors.emulator.testing import ROOT, running
from connectors.emulator.vendor import Call
from connectors.emulator.vendors import discover

FOLDER = ROOT / "connectors" / "emulator"
VENDORS = discover()


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "connectors.emulator", *arguments],
        cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_every_file_of_the_folder_is_a_vendor():
    files = {path.stem for path in (FOLDER / "vendors").glob("[!_]*.py")}
    assert {vendor.slug for vendor in VENDORS.values()} == files == set(VENDORS)


def test_the_emulator_imports_nothing_of_the_portal():
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                own = name.startswith("connectors.emulator")
                assert own or not name.startswith(("connectors", "offline_portal", "django")), (path, name)


def test_it_ends_on_a_signal_without_a_word():
    for number in (signal.SIGINT, signal.SIGTERM):
        child = start("--port", "0")
        assert child.stdout is not None
        url = child.stdout.readline().strip()
        assert httpx.get(url, trust_env=False, verify=False).status_code == 200
        child.send_signal(number)
        _, complaints = child.communicate(timeout=5)
        assert (child.returncode, complaints) == (0, "")


def test_it_ends_when_its_standard_input_ends():
    child = start("--port", "0", "--until-eof")
    assert child.stdout is not None
    child.stdout.readline()
    child.communicate(timeout=5)
    assert child.returncode == 0


def test_a_taken_port_is_told_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        child = start("--port", str(port))
        _, complaints = child.communicate(timeout=10)
        assert child.returncode == 2
        assert complaints.startswith(f"emulator: cannot listen on 127.0.0.1:{port}")
        assert complaints.count("\n") == 1
        with pytest.raises(RuntimeError, match="cannot listen"), running(port=port):
            pass


def test_it_ends_within_a_slow_answer():
    with running() as emulator:
        emulator.set("kissmetrics", slow="headers")
        address = httpx.URL(emulator.url)
        with socket.create_connection((address.host, address.port)) as connection:
            connection.sendall(b"GET /kissmetrics/e HTTP/1.1\r\nHost: x\r\n\r\n")
            connection.recv(10)
            started = time.monotonic()
            emulator.clear()
    assert time.monotonic() - started < 3


def test_two_emulators_stand_side_by_side():
    with running() as one, running() as other:
        httpx.get(f"{one.base_url('kissmetrics')}/e?_k=a", trust_env=False, verify=False)
        assert (one.counts()["requests"], other.counts()["requests"]) == (1, 0)


def test_what_is_no_http_does_no_harm(emulator):
    address = httpx.URL(emulator.url)
    for nonsense in (
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /kissmetrics/e?\xff HTTP/1.1\r\n\r\n",
    ):
        with socket.create_connection((address.host, address.port), timeout=2) as connection:
            connection.sendall(nonsense)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(65536)
    assert emulator.counts()["effective"] == 0


def test_a_long_url_arrives_whole(emulator, client):
    client.get("/kissmetrics/e?_k=a&_n=b&_p=c&long=" + "x" * 20_000)
    assert len(emulator.ledger()[0]["content"]["properties"]["long"]) == 20_000


def test_many_connections_at_once_lose_nothing(emulator):
    rows, connections = 2000, 50
    address = httpx.URL(emulator.url)

    async def visit(start: int) -> None:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        for n in range(start, rows, connections):
            query = f"_k=load&_n=Sold&_p=person{n}&_t=1262304000&_d=1"
            writer.write(f"GET /kissmetrics/e?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(43)
        writer.close()

    async def visit_all() -> None:
        await asyncio.gather(*(visit(start) for start in range(connections)))

    asyncio.run(visit_all())
    persons = {entry["key"]["person"] for entry in emulator.effective("kissmetrics", "load")}
    assert len(persons) == rows == emulator.counts("kissmetrics")["requests"]


NAMES = ("events", "context", "id", "meta", "type", "ts", "basket", "total", "value", "transaction")
FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=40,
)


@settings(max_examples=300)
@given(JSON)
def test_qubit_always_has_an_answer(events):
    body = json.dumps({"events": [events]}).encode()
    call = Call("POST", "/events/a", "", {"Content-Type": "application/json"}, body, 0)
    judged = VENDORS["qubit"].judge(call, "a", {})
    assert judged.answer.status == 200
    assert len(json.loads(judged.answer.body)["results"]) == len(judged.conversions) == 1


@given(st.text(alphabet="_kntpd=&%+01234aZ@,:;", max_size=200))
def test_kissmetrics_always_has_an_answer(query):
    call = Call("GET", "/e", query, {}, b"", time.time())
    vendor = VENDORS["kissmetrics"]
    judged = vendor.judge(call, vendor.account(call), {})
    assert (judged.answer.status, len(judged.conversions)) == (200, 1)


def test_the_document_names_every_switch_limit_count_and_field():
    document = (ROOT / "docs" / "emulator.md").read_text()
    switches = [*COMMON, *(switch for vendor in VENDORS.values() for switch in vendor.switches)]
    names = [*(switch.name for switch in switches), *LIMITS, *COUNTS, *FIELDS]
    assert [name for name in names if f"`{name}`" not in document] == []
