"""How the reader of a value says no, or yes with a word."""

from __future__ import annotations

from typing import Any


class Unfit(ValueError):
    """A text is no value of its type. `message` says what to do and never quotes the text."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Doubtful(Exception):
    """A text has a value, but a person should know something about it."""

    def __init__(self, value: Any, code: str, message: str) -> None:
        super().__init__(message)
        self.value = value
        self.code = code
        self.message = message
