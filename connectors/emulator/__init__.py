"""Stand-ins of the vendors, for training, demonstrations and tests.

Written from the vendors' documents alone: nothing of the portal is imported here, so a fault shared with a
connector cannot hide. See docs/emulator.md.
"""

from connectors.emulator.server import serve

__all__ = ["serve"]
