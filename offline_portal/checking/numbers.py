"""Numbers: plain ones, and those written as people write them."""

from __future__ import annotations

import re
from collections.abc import Callable

from .unfit import Doubtful, Unfit

# More digits than any vendor keeps; a column of such numbers is no amount.
LONGEST = 40

_PLAIN = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_WHOLE = re.compile(r"-?[0-9]+")
_SIGN = re.compile(r"\s*[$€£¥₺]\s*")
_SPACES = " \u00a0\u202f\u2009"
_GROUPS = {",": rf"[.{_SPACES}'\u2019]", ".": rf"[,{_SPACES}'\u2019]"}
_WRITTEN = {
    mark: re.compile(
        rf"(?P<minus>[-\u2212]?)\+?(?P<whole>[0-9]+|[0-9]{{1,3}}(?:(?P<group>{group})[0-9]{{3}})(?:(?P=group)[0-9]{{3}})*)"
        rf"(?:{re.escape(mark)}(?P<part>[0-9]+))?"
    )
    for mark, group in _GROUPS.items()
}
_INDIAN = re.compile(r"(?P<minus>[-\u2212]?)(?P<whole>[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3})(?:\.(?P<part>[0-9]+))?")
_NOT_A_DIGIT = re.compile(r"[^0-9]")


def plain_number(text: str) -> str:
    """The text itself where it is a plain number with a dot (`-1234.50`). Raises Unfit."""
    if _PLAIN.fullmatch(text) and len(text) <= LONGEST:
        return text
    raise Unfit(
        "not_a_number",
        "This is no plain number. Write digits with a dot, such as 1234.50, or say which decimal mark the column has.",
    )


def plain_integer(text: str) -> str:
    """The text itself where it is digits, with or without a minus. Raises Unfit."""
    if _WHOLE.fullmatch(text) and len(text) <= LONGEST:
        return text
    raise Unfit("not_a_whole_number", "This is no whole number. Write digits only, such as 42.")


def written_number(mark: str) -> Callable[[str], str]:
    """A reader of numbers with the decimal mark `.` or `,`: it gives exactly the digits, with a dot.

    It raises Unfit, and Doubtful where it left a currency sign out.
    """
    other = "," if mark == "." else "."
    example = f"1{other}234{mark}50"
    message = f"This is no number with “{mark}” as its decimal mark. Write it like {example}, or choose the other mark."

    def read(text: str) -> str:
        bare = _SIGN.sub("", text, count=1) if not text.isascii() or "$" in text else text
        found = _WRITTEN[mark].fullmatch(bare) or (mark == "." and _INDIAN.fullmatch(bare))
        if not found or len(bare) > LONGEST:
            raise Unfit("not_a_number", message)
        part = found["part"]
        value = ("-" if found["minus"] else "") + _NOT_A_DIGIT.sub("", found["whole"]) + (f".{part}" if part else "")
        if bare != text:
            note = "The currency sign is left out of the number. Make sure that the currency itself is mapped."
            raise Doubtful(value, "currency_sign_left_out", note)
        return value

    return read
