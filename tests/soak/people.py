"""The people of a soak: olivia uploads and sends, adam opens and closes destinations. They try again when it fails.

Half of what olivia does goes through the web server (`clerks`), half calls the portal's functions.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group, User
from django.db import Error as DatabaseError
from django.db import connection, connections
from django.db.models import Count, Q, Sum

from connectors.emulator.testing import Emulator
from offline_portal import checks, destinations
from offline_portal.delivery import control, release
from offline_portal.delivery.states import Conflict
from offline_portal.intake import store
from offline_portal.models import Delivery, Destination, Readback, Send, Upload
from tests.soak.clerks import RESENT, Clerks
from tests.soak.vendors import VENDORS, Vendor

log = logging.getLogger("soak.people")
S = Send.Status
OVER = (S.FINISHED, S.CANCELLED, S.FAILED)
LOOK_EVERY = 0.3
ERRANDS, ERRAND_ROWS = 6, 2
"""So many small files at once are brought to the web server beside, so that it is seldom without a call."""
QUICK = [vendor for vendor in VENDORS if vendor.rows < 900]
"""Destinations that let a small file pass soon."""
LOST = ("no_answer", "http_500")
"""Codes of rows that may have arrived, and are to be sent once more."""
SHOWN = [vendor.connector for vendor in VENDORS if vendor.shows]
BY_WEB = ("pause", "resume", "cancel", "retry", "resend", "abandon")
ALIVE = ~Q(status__in=OVER) | Q(readback_looking__gt=0)
"""Sends of which something is still to come: rows on their way, or looks at the vendor."""


def prepare(emulator: Emulator) -> None:
    """The people, and the destinations at the emulator."""
    for name, role in (("olivia", "ops"), ("adam", "admin")):
        User.objects.create_user(name).groups.add(Group.objects.get_or_create(name=role)[0])
    for vendor in VENDORS:
        where: dict[str, Any] = {"base_url": emulator.base_url(vendor.connector)}
        if vendor.connector == "related_digital":
            where = {"port": emulator.doors()["ftp"]["port"]}
        destinations.create(
            User.objects.get(username="adam"), name=vendor.name, connector=vendor.connector,
            settings={**where, **vendor.settings}, secrets=vendor.secrets,
        )  # fmt: skip


class People(threading.Thread):
    """Keeps every destination busy until `feeding` is cleared, and does what `ask` asked for."""

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(name="people", daemon=True)
        self.feeding = threading.Event()
        self.feeding.set()
        self.made: dict[str, tuple[Vendor, int]] = {}
        """By its name, whose file it is, and which."""
        self.by_web: set[str] = set()
        """Names of the files that were brought to the web server."""
        self.clerks = Clerks(port)
        self.done: dict[str, int] = {}
        """How often each act was done."""
        self.told = ""
        """How far the sends were when the people last looked."""
        self._folder = folder
        self._asked: queue.Queue[tuple[str, int]] = queue.Queue()
        self._leaving = threading.Event()
        self._doubts = 0

    def ask(self, act: str, target: int) -> None:
        """Have an act done soon: its name as in `_act`, and a number that picks what it is done to."""
        self._asked.put((act, target))

    def cancel_in_doubt(self) -> None:
        """Have a send to the vendor that shows what it has cancelled, the next of which an answer gets lost."""
        self._doubts += 1

    def is_at_rest(self) -> bool:
        """Whether everything that anybody was asked to do is done."""
        return self._asked.empty() and self.clerks.are_done

    def leave(self) -> None:
        self._leaving.set()
        self.join(60)
        self.clerks.leave()

    def run(self) -> None:
        self.clerks.start()
        while not self._leaving.is_set():
            try:
                self._look_round()
                self._do_what_was_asked()
            except (DatabaseError, Conflict) as error:
                log.info("tries again (%s)", " ".join(str(error).split())[:100])
                connection.close()
            self._leaving.wait(LOOK_EVERY)
        connections.close_all()

    def _look_round(self) -> None:
        """Everything here follows from the database, so that a call whose answer was lost does no harm."""
        olivia = User.objects.get(username="olivia")
        for upload in Upload.objects.filter(sends=None).exclude(filename__in=self.by_web):
            vendor = self.made[upload.filename][0]
            checks.create(upload, Destination.objects.get(name=vendor.name), "auto", "skip", olivia)
        for send in Send.objects.filter(status=S.CHECKED).exclude(upload__filename__in=self.by_web):
            release.queue(send, olivia)
        self.told = progress()
        if not self.feeding.is_set():
            self._act("open_destinations", 0)
            self._act("resume", 0)
            return
        self._keep_busy(olivia)
        if self._doubts:
            self._cancel_what_is_in_doubt(olivia)

    def _cancel_what_is_in_doubt(self, olivia: User) -> None:
        doubtful = Send.objects.filter(
            status__in=(S.QUEUED, S.SENDING), destination__connector__in=SHOWN, deliveries__status="queued",
            deliveries__code__in=LOST,
        )  # fmt: skip
        for send in doubtful.distinct()[: self._doubts]:
            control.cancel(send, olivia)
            self._doubts -= 1
            self.done["cancel_in_doubt"] = self.done.get("cancel_in_doubt", 0) + 1

    def _keep_busy(self, olivia: User) -> None:
        waiting = self.clerks.waiting
        alive = Send.objects.filter(ALIVE).exclude(upload__filename__in=waiting)
        under_way = [*waiting, *alive.values_list("upload__filename", flat=True)]
        busy = Counter(self.made[name][0].name for name in under_way if name.startswith("file"))
        for vendor in VENDORS:
            if busy[vendor.name] < vendor.at_once:
                self._upload(vendor, "file", olivia)
        on_errands = alive.exclude(status__in=OVER).filter(upload__filename__startswith="errand").count()
        if on_errands + sum(name.startswith("errand") for name in waiting) < ERRANDS:
            self._upload(replace(QUICK[len(self.made) % len(QUICK)], rows=ERRAND_ROWS), "errand", olivia)

    def _upload(self, vendor: Vendor, sort: str, olivia: User) -> None:
        number = len(self.made) + 1
        path = self._folder / f"{sort} {number}.csv"
        path.write_text(vendor.file(number))
        place = Destination.objects.get(name=vendor.name)
        self.made[path.name] = vendor, number
        if number % 2 or sort == "errand":
            self.by_web.add(path.name)
            self.clerks.bring(path, place.pk)
        else:
            store.accept(path, path.name, olivia)

    def _do_what_was_asked(self) -> None:
        while not self._asked.empty():
            act, target = self._asked.queue[0]
            try:
                done = self._act_somehow(act, target)
            except Conflict as conflict:
                done, told = 0, conflict.message
                log.info("%s: %s", act, told)
            self._asked.get()
            self.done[act] = self.done.get(act, 0) + done

    def _act_somehow(self, act: str, target: int) -> int:
        """Do it here, or leave it to a clerk; to how many it was done here."""
        if act not in BY_WEB or not target % 2:
            return self._act(act, target)
        places = Destination.objects.filter(connector__in=RESENT) if act == "resend" else Destination.objects
        self.clerks.decide(act, target, list(places.order_by("pk").values_list("pk", flat=True)))
        return 0

    def _act(self, act: str, target: int) -> int:
        """Do it; to how many."""
        olivia, adam = User.objects.get(username="olivia"), User.objects.get(username="adam")
        running = Send.objects.filter(status__in=(S.QUEUED, S.SENDING))
        match act:
            case "pause":
                return _to_one(running, target, lambda send: control.pause(send, olivia))
            case "resume":
                paused = Send.objects.filter(status=S.PAUSED, destination__paused=False)
                return sum(bool(control.resume(send, olivia)) for send in paused)
            case "cancel":
                return _to_one(running, target, lambda send: control.cancel(send, olivia))
            case "retry":
                refused = Send.objects.filter(status__in=(S.FINISHED, S.PAUSED)).exclude(rejected=0, failed=0)
                return _to_one(
                    refused, target, lambda send: control.retry(send, ["rejected", "failed"], "once more", olivia)
                )
            case "resend":
                unknown = Delivery.objects.filter(status="unknown", send__destination__connector__in=RESENT)
                resend = "the vendor does not have it"
                return _to_one(unknown, target, lambda row: control.resolve(row, "resend", resend, olivia))
            case "abandon":
                unknown = Delivery.objects.filter(status="unknown").exclude(resolved="abandoned")
                return _to_one(unknown, target, lambda row: control.resolve(row, "abandoned", "let it be", olivia))
            case "close_destination":
                open_ = Destination.objects.filter(paused=False)
                return _to_one(open_, target, lambda where: destinations.change(where, adam, paused=True))
            case "open_destinations":
                closed = Destination.objects.filter(paused=True)
                return sum(bool(destinations.change(where, adam, paused=False)) for where in closed)
        raise ValueError(act)


def _to_one(found: Any, target: int, act: Callable[[Any], object]) -> int:
    """Do it to the one that `target` picks; 0 where there is none."""
    among = list(found.order_by("pk").values_list("pk", flat=True)[:1_000])
    if not among:
        return 0
    act(found.model.objects.get(pk=among[target % len(among)]))
    return 1


def send_at_once(folder: Path, vendor: Vendor, number: int) -> str:
    """The file with this number taken in and, as soon as it is checked, queued; its name."""
    olivia = User.objects.get(username="olivia")
    path = folder / f"file {number}.csv"
    path.write_text(vendor.file(number))
    upload = store.accept(path, path.name, olivia)
    send = checks.create(upload, Destination.objects.get(name=vendor.name), "auto", "skip", olivia)
    store.read(upload.pk)
    checks.run(send.pk)
    release.queue(send, olivia)
    return path.name


def progress() -> str:
    """Rows under way and done, and sends by their state."""
    counted = Send.objects.aggregate(**{name: Sum(name) for name in ("queued", "sending", "accepted", "unknown")})
    states = Send.objects.order_by("status").values_list("status").annotate(Count("pk"))
    return ", ".join([
        *(f"{rows or 0:,} rows {name}" for name, rows in counted.items()), *(f"{n} {state}" for state, n in states)
    ])  # fmt: skip


def all_are_under_way() -> bool:
    """Whether some rows of every destination were accepted."""
    there = Send.objects.filter(accepted__gt=0).values_list("destination", flat=True)
    return len(set(there)) == len(VENDORS)


def all_is_over() -> bool:
    """Whether every file has become a send, and no send has a row on its way; False while the database is away."""
    try:
        alive = Send.objects.exclude(status__in=OVER).exists() or Upload.objects.filter(sends=None).exists()
        return not alive and not Send.objects.exclude(queued=0, sending=0).exists()
    except DatabaseError:
        connection.close()
        return False


def nothing_is_looked_for() -> bool:
    """Whether no look at a vendor is to come; False while the database is away."""
    try:
        return not Readback.objects.filter(state=Readback.State.LOOKING).exists()
    except DatabaseError:
        connection.close()
        return False
