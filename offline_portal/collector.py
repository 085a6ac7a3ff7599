"""Python's collector of reference cycles, kept from looking at what surely holds none.

It looks whenever some hundred objects more are alive than before. A chunk of rows is tens of thousands of them, and
looking through these again and again takes a quarter of the time of reading and checking.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from typing import TypeVar

Chunk = TypeVar("Chunk")


def looking_between(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """The same chunks; until they end, cycles are looked for once after each, and not while one is worked on."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        for chunk in chunks:
            yield chunk
            del chunk
            gc.collect(1)
    finally:
        if enabled:
            gc.enable()


def leave_alone_what_is_here() -> None:
    """Modules and settings stay for as long as the program runs: from here on they are not looked through."""
    gc.collect()
    gc.freeze()
