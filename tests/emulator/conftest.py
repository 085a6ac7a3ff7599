"""One emulator in a child process for all tests here, emptied before each."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from connectors.emulator.testing import Emulator, running


@pytest.fixture(scope="session")
def shared_emulator() -> Iterator[Emulator]:
    with running() as emulator:
        yield emulator


@pytest.fixture
def emulator(shared_emulator: Emulator) -> Emulator:
    shared_emulator.clear()
    return shared_emulator


@pytest.fixture
def client(emulator: Emulator) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=emulator.url, verify=False, trust_env=False, timeout=10) as client:
        yield client


@pytest.fixture
def visit(client: httpx.Client) -> Callable[..., httpx.Response]:
    """Visit a KISSmetrics tracking URL; parameters start with an underscore by themselves."""

    def visit(k: str = "foo", n: str = "Purchased", p: str = "bob@bob.com", **rest: Any) -> httpx.Response:
        given = {"_k": k, "_n": n, "_p": p, **rest}
        return client.get("/kissmetrics/e", params={name: v for name, v in given.items() if v is not None})

    return visit


@pytest.fixture
def event() -> Callable[..., dict[str, Any]]:
    """The good Qubit event of the vendor's document; keywords (__ for dots) change it or, if None, remove."""

    def event(**changes: Any) -> dict[str, Any]:
        good: dict[str, Any] = {
            "context": {"id": "6o2diu81w9o-0irxltk5b-u9t1cv4"},
            "meta": {"type": "ecBasketTransactionSummary", "ts": 1479377213928, "source": "company-x@1.0.0"},
            "basket": {"total": {"value": 9.99, "currency": "USD"}},
            "transaction": {"id": "unique-id"},
        }
        for path, value in changes.items():
            *parents, name = path.split("__")
            place = good
            for parent in parents:
                place = place.setdefault(parent, {})
            if value is None:
                del place[name]
            else:
                place[name] = value
        return good

    return event


@pytest.fixture
def post(client: httpx.Client) -> Callable[..., httpx.Response]:
    """Post Qubit events to a tracking id."""

    def post(*events: Any, account: str = "acme") -> httpx.Response:
        return client.post(f"/qubit/events/{account}", json={"events": list(events)})

    return post
