"""Several writers at once: no fork, no gap, whatever the database."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.db import connection, transaction

from offline_portal.audit import chain
from offline_portal.models import AuditEntry, Heartbeat

from .conftest import AT

pytestmark = pytest.mark.django_db(transaction=True)


def together(*works: Callable[[], None]) -> list[BaseException]:
    """Run each in a thread with a connection of its own; what went wrong in them."""
    wrong: list[BaseException] = []
    start = threading.Barrier(len(works))

    def run(work: Callable[[], None]) -> None:
        start.wait()
        try:
            work()
        except BaseException as error:
            wrong.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def test_two_writers_make_one_chain():
    def write(name: str) -> Callable[[], None]:
        def work() -> None:
            for number in range(25):
                with transaction.atomic():
                    # Other writes of the act come first; the head is locked last.
                    Heartbeat.objects.update_or_create(name=name, defaults={"at": AT})
                    chain.add_many([(name, "x.y", f"o:{number}", {"n": number}), (name, "x.z", "o:1", {})])

        return work

    assert together(*map(write, "abcd")) == []
    assert list(AuditEntry.objects.order_by("seq").values_list("seq", flat=True)) == list(range(1, 201))
    for name in "abcd":
        own = AuditEntry.objects.filter(actor=name, action="x.y").order_by("seq")
        assert list(own.values_list("object", flat=True)) == [f"o:{n}" for n in range(25)]
    assert chain.verify().checked == 200


def test_a_log_that_is_being_written_holds_at_every_moment():
    done = threading.Event()
    results: list[chain.Verification] = []

    def write() -> None:
        try:
            for _ in range(40):
                with transaction.atomic():
                    chain.add("a", "x.y", "o:1", {})
        finally:
            done.set()

    def watch() -> None:
        while not done.is_set():
            results.append(chain.verify())

    assert together(write, watch) == []
    assert results and all(result.ok for result in results), results
