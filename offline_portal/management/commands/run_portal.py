"""`make run`: everything the portal consists of, in one terminal."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from functools import partial

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from offline_portal import lifeline
from offline_portal.checks_system import PORTAL, is_loopback
from offline_portal.embedded import demo, redis_server
from offline_portal.embedded.children import Child
from offline_portal.embedded.logs import Log
from offline_portal.embedded.place import Lock, Taken, check_port
from offline_portal.embedded.supervisor import Supervisor
from offline_portal.management.command import PortalCommand

LOOPBACK = "127.0.0.1"
PYTHON = [sys.executable]
MANAGE = [*PYTHON, str(settings.BASE_DIR / "manage.py")]


class Command(PortalCommand):
    """Starts, watches and ends: Redis, web, emulator, workers, sweeper."""

    help = (
        "Run the dashboard, its workers, the sweeper, the vendor emulator and a Redis of their own, until "
        "Ctrl-C. For trying out and training; docs/operating.md tells how the portal runs in production."
    )
    requires_system_checks = (PORTAL,)

    _redis: redis_server.RedisPlan | None = None
    _is_over: Callable[[], bool] = staticmethod(lambda: False)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Only what the Makefile needs; people set the environment."""
        parser.add_argument("--under-make", action="store_true", help="end with the make that started it")

    def handle(self, *args: object, under_make: bool, **options: object) -> None:
        """Run until asked to end; 2 where the folder or a port is taken, or no Redis is found."""
        if under_make:
            lifeline.end_with(os.getppid())
            self._is_over = lifeline.interruption_of(os.getppid())
        try:
            with Lock(settings.PORTAL_DATA):
                self._check_ports()
                self._run()
        except (Taken, redis_server.NoRedis) as why:
            self.stderr.write(str(why))
            sys.exit(2)

    def _check_ports(self) -> None:
        check_port(settings.HOST, settings.PORT, "PORT")
        for variable in ("EMULATOR_PORT", "EMULATOR_FTP_PORT", "EMULATOR_SFTP_PORT"):
            check_port(LOOPBACK, getattr(settings, variable), variable)

    def _run(self) -> None:
        log = Log(settings.PORTAL_DATA / "run.log")
        supervisor = Supervisor(log)
        supervisor.listen_to_signals()
        try:
            environment = self._start_redis(supervisor)
            programs = self._programs(environment)
            if self._is_migrated():
                supervisor.add(programs.pop(0))
            # Also when nothing is to be migrated: it puts back triggers that are missing.
            call_command("migrate", verbosity=0, interactive=False)
            for child in programs:
                supervisor.add(child)
            if settings.PORTAL_DEMO:
                demo.load()
            self._welcome()
            supervisor.watch(until=self._is_over)
            self.stdout.write("Ending …")
        finally:
            supervisor.end()
            if self._redis:
                redis_server.clear_away(self._redis)
            log.close()

    def _is_migrated(self) -> bool:
        """Whether the web may start at once: it takes longest."""
        executor = MigrationExecutor(connection)
        return not executor.migration_plan(executor.loader.graph.leaf_nodes())

    def _start_redis(self, supervisor: Supervisor) -> dict[str, str]:
        """The environment that tells the other programs where Redis is."""
        given = os.environ.get("REDIS_URL", "").strip()
        if given:
            if not redis_server.answers(given, within=5):
                raise redis_server.NoRedis("No Redis answers at REDIS_URL. Start it, or unset REDIS_URL.")
            return dict(os.environ)
        self._redis = plan = redis_server.plan(settings.PORTAL_DATA)
        redis_server.end_leftover(plan)
        mend = partial(redis_server.set_aside, plan)
        supervisor.add(Child("redis", plan.command, redis_server.environment(), mend))
        last = time.monotonic() + 15
        supervisor.watch(until=lambda: redis_server.answers(plan.url) or time.monotonic() > last)
        if not redis_server.answers(plan.url) and not supervisor.is_asked_to_end:
            raise redis_server.NoRedis(f"Redis did not start; {plan.folder / 'redis.log'} may say why.")
        redis_server.leave_note(settings.PORTAL_DATA, plan.url)
        return {**os.environ, "REDIS_URL": plan.url}

    def _programs(self, environment: dict[str, str]) -> list[Child]:
        ports = ["--port", str(settings.EMULATOR_PORT), "--ftp-port", str(settings.EMULATOR_FTP_PORT)]
        ports += ["--sftp-port", str(settings.EMULATOR_SFTP_PORT), "--keys", str(settings.PORTAL_DATA / "emulator")]
        web = ["-m", "gunicorn", "-c", "python:offline_portal.gunicorn", "offline_portal.wsgi"]
        commands = {"web": [*PYTHON, *web]}
        commands["emulator"] = [*PYTHON, "-m", "connectors.emulator", "--host", LOOPBACK, *ports]
        commands["intake"] = [*MANAGE, "worker", "intake"]
        for number in range(1, settings.WORKERS + 1):
            commands["delivery" if number == 1 else f"delivery {number}"] = [*MANAGE, "worker", "delivery"]
        commands["sweeper"] = [*MANAGE, "sweeper"]
        environment = {**environment, "PYTHONUNBUFFERED": "1", "PORTAL_DATA": str(settings.PORTAL_DATA)}
        return [Child(name, command, environment, folder=settings.BASE_DIR) for name, command in commands.items()]

    def _welcome(self) -> None:
        host = "localhost" if is_loopback(settings.HOST) else settings.HOST
        lines = [("Offline Portal", f"http://{host}:{settings.PORT}")]
        if settings.PORTAL_DEMO:
            people = [(f"  {name} ({role})", demo.PASSWORD) for name, role in demo.PEOPLE.items()]
            lines += [("Sign in as", "with the password"), *people]
            lines += [("Sample files", str(settings.PORTAL_DATA / "samples"))]
        lines += [("Vendor emulator", f"http://{LOOPBACK}:{settings.EMULATOR_PORT}")]
        lines += [("Data", str(settings.PORTAL_DATA)), ("To end it", "Ctrl-C")]
        self.stdout.write("\n" + "\n".join(f"  {label:<20}{text}" for label, text in lines) + "\n")
        self.stdout.flush()
