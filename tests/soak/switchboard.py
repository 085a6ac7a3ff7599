"""The emulator's switches during a soak, and the time that goes by where a visit is shown only once it is over."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from connectors.emulator.testing import Emulator
from tests.soak.vendors import HIDDEN, VENDORS, Vendor

EVERY = 3.0
"""Seconds after which all visits so far are over at the vendor, as after half an hour."""
A_VISIT = 31
"""Minutes by which its clock is set ahead for that."""


class Switchboard:
    """Sets switches. The vendor's clock goes on only forwards, whatever else is set."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._ahead, self._stands, self._passed = 0, False, time.monotonic()

    def set(self, vendor: Vendor, switches: Mapping[str, Any]) -> None:
        """Make these the only switches of its account."""
        wanted = dict(switches)
        if vendor.shows:
            self._stands = bool(wanted.pop(HIDDEN, False))
            wanted["clock_ahead"] = self._ahead
        self._emulator.set(vendor.connector, vendor.account, **wanted)

    def let_time_pass(self) -> None:
        """To be called every moment: now and then the visits so far come to their end."""
        if self._stands or time.monotonic() - self._passed < EVERY:
            return
        self._passed = time.monotonic()
        self._ahead += A_VISIT
        for vendor in VENDORS:
            if vendor.shows:
                self._emulator.change(vendor.connector, vendor.account, clock_ahead=self._ahead)
