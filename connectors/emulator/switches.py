"""Fault switches: what can be set, what is set, and which of it meets the next request."""

import random
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

LIMITS = ("times", "every", "share", "seed", "for_seconds")


class BadSwitch(ValueError):
    """A switch, value or limit that does not exist; the message says which and what is possible."""


@dataclass(frozen=True, slots=True)
class Switch:
    """Declaration of one switch.

    `type` is `integer`, `text`, `line` (a text without line breaks), `boolean` or `choice`. `with_` names the
    switches that this one only refines; alone it changes nothing. A `rule` is a possible behaviour of the
    healthy vendor, no fault.
    """

    name: str
    type: str
    description: str
    choices: tuple[str, ...] = ()
    least: int = 0
    most: int | None = None
    with_: tuple[str, ...] = ()
    rule: bool = False

    def clean(self, value: Any) -> Any:
        """The value in its own type; texts of a form are converted. Raises BadSwitch."""
        if self.type == "integer":
            return self._integer(value)
        if self.type == "boolean":
            known = {True: True, False: False, "true": True, "false": False}
            if not isinstance(value, (bool, str)) or value not in known:
                raise BadSwitch(f"{self.name}: {value!r} is neither true nor false")
            return known[value]
        if not isinstance(value, str):
            value = str(value)
        if self.type == "line" and not value.isprintable():
            raise BadSwitch(f"{self.name}: line breaks and control characters are not possible here")
        if self.choices and value not in self.choices:
            raise BadSwitch(f"{self.name}: {value!r} is not one of {', '.join(self.choices)}")
        return value

    def _integer(self, value: Any) -> int:
        try:
            number = int(value) if not isinstance(value, (bool, float)) else None
        except (TypeError, ValueError):
            number = None
        if number is None or number < self.least or (self.most is not None and number > self.most):
            span = f"from {self.least}" + (f" to {self.most}" if self.most is not None else "")
            raise BadSwitch(f"{self.name}: {value!r} is not a whole number {span}")
        return number

    def described(self) -> dict[str, Any]:
        """The declaration as JSON."""
        return {
            "name": self.name,
            "type": self.type,
            "description": self.description,
            "choices": list(self.choices),
            "least": self.least if self.type == "integer" else None,
            "most": self.most,
            "with": list(self.with_),
            "rule": self.rule,
        }


class Setting:
    """One switch that is set, with its limits and how often it has met a request."""

    __slots__ = ("_random", "_until", "asked", "hits", "limits", "value")

    def __init__(self, value: Any, limits: Mapping[str, Any]) -> None:
        self.value = value
        self.limits = dict(limits)
        self.asked = 0
        self.hits = 0
        self._until = time.monotonic() + limits["for_seconds"] if "for_seconds" in limits else None
        self._random = random.Random(limits.get("seed", 0))  # noqa: S311

    def meets(self) -> bool:
        """Whether the switch meets the request that is being asked about; counts the asking."""
        if self._until is not None and time.monotonic() >= self._until:
            return False
        if self.hits >= self.limits.get("times", self.hits + 1):
            return False
        self.asked += 1
        if self.asked % self.limits.get("every", 1):
            return False
        if "share" in self.limits and self._random.random() >= self.limits["share"]:
            return False
        self.hits += 1
        return True

    def described(self) -> dict[str, Any]:
        """The setting as JSON: value, limits and hits so far."""
        return {"value": self.value, **self.limits, "hits": self.hits}


class Board:
    """The switches of one vendor: for all its accounts (`None`) and for single ones, which win."""

    def __init__(self, declared: Iterable[Switch]) -> None:
        self.declared = {switch.name: switch for switch in declared}
        self._set: dict[str | None, dict[str, Setting]] = {}

    def __bool__(self) -> bool:
        return bool(self._set)

    def put(self, wanted: Mapping[str, Any], account: str | None = None, merge: bool = False) -> None:
        """Set switches from JSON, for all accounts (None) or one.

        Limits at the top hold for every switch named here, limits beside a `value` for that one. Without
        `merge` all others of this scope go; null turns one off. Raises BadSwitch and then changes nothing.
        """
        common = clean_limits({name: wanted[name] for name in LIMITS if wanted.get(name) is not None})
        chosen = dict(self._set.get(account, {})) if merge else {}
        for name, value in wanted.items():
            if name in LIMITS:
                continue
            if name not in self.declared:
                raise BadSwitch(f"{name!r} is no switch here; there are {', '.join(self.declared)}")
            if value is None:
                chosen.pop(name, None)
                continue
            limits = common
            if isinstance(value, Mapping):
                limits = common | clean_limits({k: v for k, v in value.items() if k not in ("value", "hits")})
                value = value.get("value")
            chosen[name] = Setting(self.declared[name].clean(value), limits)
        self._set.pop(account, None)
        if chosen:
            self._set[account] = chosen

    def clear(self) -> None:
        """Turn everything off."""
        self._set.clear()

    def meeting(self, account: str, among: Collection[str] | None = None) -> dict[str, Any]:
        """The switches (of those `among`, if given) that meet the next request of this account, counted as used."""
        settings = self._set.get(None, {})
        if account in self._set:
            settings = settings | self._set[account]
        asked = {name: setting for name, setting in settings.items() if among is None or name in among}
        return {name: setting.value for name, setting in asked.items() if setting.meets()}

    def only_rules(self, met: Iterable[str]) -> bool:
        """Whether none of these switches is a fault."""
        return all(self.declared[name].rule or self.declared[name].with_ for name in met)

    def described(self) -> dict[str, Any]:
        """What is set, as JSON: `all` accounts and, by name, `accounts`."""
        by_scope = {
            scope: {name: setting.described() for name, setting in settings.items()}
            for scope, settings in self._set.items()
        }
        return {"all": by_scope.pop(None, {}), "accounts": by_scope}


def clean_limits(given: Mapping[str, Any]) -> dict[str, Any]:
    """Limits in their own types; raises BadSwitch for an unknown name or a value outside its range."""
    clean: dict[str, Any] = {}
    for name, value in given.items():
        try:
            if name in ("times", "every", "seed"):
                clean[name] = int(value)
            elif name in ("share", "for_seconds"):
                clean[name] = float(value)
            else:
                raise BadSwitch(f"{name!r} is no limit; there are {', '.join(LIMITS)}")
        except BadSwitch:
            raise
        except (TypeError, ValueError) as error:
            raise BadSwitch(f"{name}: {value!r} is no number") from error
    if clean.get("times", 1) < 1 or clean.get("every", 1) < 1:
        raise BadSwitch("times and every are whole numbers from 1")
    if not 0 <= clean.get("share", 0) <= 1 or clean.get("for_seconds", 0) < 0:
        raise BadSwitch("share lies between 0 and 1, for_seconds is not negative")
    return clean
