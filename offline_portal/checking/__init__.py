"""Row + mapping + fields -> a payload, or all that is wrong with the row. The only judge of validity."""

from .dates import BadFormat, compile_format
from .plan import Checked, Plan, compile_plan
from .values import Doubtful, Unfit, reader

__all__ = [
    "BadFormat", "Checked", "Doubtful", "Plan", "Unfit", "compile_format", "compile_plan", "reader",
]  # fmt: skip
