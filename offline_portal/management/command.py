"""What the portal's commands have in common: whatever is wrong is one clear line on standard error."""

from __future__ import annotations

import sys
from typing import NoReturn

from django.core.management.base import BaseCommand, CommandError, SystemCheckError, handle_default_options
from django.db import OperationalError, ProgrammingError, connections

WRONG_USE = 2


class PortalCommand(BaseCommand):
    """A command that neither prints its whole usage nor a traceback when it cannot do what was asked."""

    def run_from_argv(self, argv: list[str]) -> None:
        """Run with `manage.py COMMAND …`; exit 2 on arguments that cannot be understood, or without a database."""
        try:
            options = self.create_parser(argv[0], argv[1]).parse_args(argv[2:])
        except CommandError as wrong:
            said = str(wrong).removeprefix("Error: ").rstrip(".")
            self._stop(f"{said[:1].upper()}{said[1:]}. See: manage.py {argv[1]} --help", WRONG_USE)
        handle_default_options(options)
        given = vars(options)
        try:
            self.execute(*given.pop("args", ()), **given)
        except SystemCheckError as wrong:
            self._stop(str(wrong), wrong.returncode)
        except CommandError as wrong:
            self._stop(str(wrong), wrong.returncode)
        except (OperationalError, ProgrammingError) as why:
            if options.traceback:
                raise
            first = str(why).strip().partition("\n")[0]
            remedy = "Start the portal once, or run: manage.py migrate"
            self._stop(f"The database cannot be used ({first}). {remedy}", WRONG_USE)
        finally:
            connections.close_all()

    def _stop(self, why: str, returncode: int) -> NoReturn:
        self.stderr.write(why)
        sys.exit(returncode)
