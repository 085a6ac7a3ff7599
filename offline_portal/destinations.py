"""Destinations: made, changed and archived by admins, every change audited, settings versioned, secrets sealed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.utils import timezone

import connectors
from offline_portal import secrets as sealing
from offline_portal.audit import chain
from offline_portal.delivery import control
from offline_portal.delivery.pausing import hold_sends
from offline_portal.destination_rules import Wrong, clean_name, clean_secrets, clean_settings
from offline_portal.models import Destination, DestinationSecret, DestinationSettings, Send

_ENDED = (Send.Status.FINISHED, Send.Status.CANCELLED, Send.Status.FAILED)
_PLAIN = ("live", "require_approval", "retention_days")
Act = tuple[str, dict[str, Any]]
"""One entry to log: the action and its detail."""
_NAME_TAKEN = "Another destination has this name. Choose another one."


class Invalid(Exception):
    """What was given cannot be taken: `fields` says why, by `name`, `settings.KEY`, `secrets.KEY`, …"""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__("; ".join(f"{key}: {message}" for key, message in fields.items()))
        self.fields = fields


class Unfinished(Exception):
    """The destination cannot be archived: some of its sends are not finished. The text names them."""


def create(
    actor: AbstractBaseUser, *, name: str, connector: str, settings: Mapping[str, Any],
    secrets: Mapping[str, Any], live: bool = False, paused: bool = False, reason: str | None = None,
    require_approval: bool = False, retention_days: int | None = None,
) -> Destination:  # fmt: skip
    """A new destination at the vendor with the slug `connector`. Raises Invalid, naming everything that is wrong."""
    try:
        vendor = connectors.get(connector)
    except KeyError:
        known = ", ".join(connectors.all_connectors())
        raise Invalid({"connector": f"There is no such connector. There are: {known}."}) from None
    values, wrong = clean_settings(vendor, settings)
    texts, wrong_secrets = clean_secrets(vendor, secrets)
    wrong |= wrong_secrets | _wrong_plain({"name": name, "retention_days": retention_days})
    if wrong:
        raise Invalid(wrong)
    with transaction.atomic():
        destination = Destination(
            name=clean_name(name), connector=connector, live=live, paused=paused,
            reason=_pause_reason(actor, reason) if paused else "",
            require_approval=require_approval, retention_days=retention_days,
        )  # fmt: skip
        _save_under_its_name(destination)
        _new_version(destination, values, actor)
        detail = {"name": destination.name, "connector": connector, "settings": values, "live": live}
        _log(actor, destination, [("destination.created", detail), *_seal(destination, texts)])
    return destination


def change(destination: Destination, actor: AbstractBaseUser, **changes: Any) -> Destination:
    """Change what is named: name, settings (merged, None for the default), secrets, live, paused, reason, ….

    Opening a paused destination clears its reason and lets its paused sends go on. Raises Invalid.
    """
    with transaction.atomic():
        destination = (
            Destination.objects.select_for_update(of=("self",)).select_related("current").get(pk=destination.pk)
        )
        values, texts = _merged(destination, changes)
        acts = [*_write(destination, values, changes, actor), *_seal(destination, texts)]
        if changes.get("paused") is not None:
            acts += _pause_or_open(destination, bool(changes["paused"]), changes.get("reason"), actor)
        _log(actor, destination, acts)
    return destination


def set_secrets(destination: Destination, actor: AbstractBaseUser, secrets: Mapping[str, str | None]) -> Destination:
    """Replace the named secrets (None forgets one); the others stay. Raises Invalid."""
    return change(destination, actor, secrets=secrets)


def archive(destination: Destination, actor: AbstractBaseUser) -> None:
    """Take a destination out of use, keeping all that was sent. Raises Unfinished. Twice changes nothing."""
    with transaction.atomic():
        destination = Destination.objects.select_for_update().get(pk=destination.pk)
        if destination.archived_at:
            return
        unfinished = Send.objects.filter(destination=destination).exclude(status__in=_ENDED)
        if numbers := list(unfinished.order_by("pk").values_list("pk", flat=True)[:10]):
            shown = ", ".join(map(str, numbers))
            raise Unfinished(f"These sends to it are not finished: {shown}. Let them finish, or cancel them.")
        destination.archived_at = timezone.now()
        destination.save(update_fields=["archived_at"])
        _log(actor, destination, [("destination.archived", {"name": destination.name})])


def _merged(destination: Destination, changes: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str | None]]:
    """All settings as they shall be, and the secrets to seal or forget. What is not touched is not judged again."""
    vendor = connectors.get(destination.connector)
    values, wrong = destination.settings, _wrong_plain(changes)
    texts: dict[str, str | None] = {}
    if changes.get("settings"):
        values, wrong_settings = clean_settings(vendor, {**values, **changes["settings"]})
        wrong |= wrong_settings
    if changes.get("secrets"):
        already = frozenset(destination.secret_set.values_list("key", flat=True))
        texts, wrong_secrets = clean_secrets(vendor, changes["secrets"], already)
        wrong |= wrong_secrets
    if wrong:
        raise Invalid(wrong)
    return values, texts


def _write(
    destination: Destination, values: dict[str, Any], changes: dict[str, Any], actor: AbstractBaseUser
) -> list[Act]:
    """Store what differs; it is logged as {what: [before, after]}."""
    before = destination.settings
    changed = {
        f"settings.{key}": [before.get(key), values.get(key)]
        for key in sorted({*before, *values})
        if before.get(key) != values.get(key)
    }
    if changed:
        _new_version(destination, values, actor)
    new = {key: changes[key] for key in _PLAIN if key in changes}
    if changes.get("name") is not None:
        new["name"] = clean_name(changes["name"])
    for key, value in new.items():
        if getattr(destination, key) != value:
            changed[key] = [getattr(destination, key), value]
            setattr(destination, key, value)
    if not changed:
        return []
    _save_under_its_name(destination)
    return [("destination.changed", {"changed": changed})]


def _pause_or_open(destination: Destination, pause: bool, reason: str | None, actor: AbstractBaseUser) -> list[Act]:
    was = destination.paused
    destination.paused, destination.reason = pause, _pause_reason(actor, reason) if pause else ""
    destination.save(update_fields=["paused", "reason"])
    if pause:
        hold_sends(destination.pk, destination.reason)
    if was and not pause:
        control.destination_opened(destination)
        return [("destination.opened", {})]
    return [("destination.paused", {"reason": destination.reason})] if pause and not was else []


def _pause_reason(actor: AbstractBaseUser, reason: str | None) -> str:
    return (reason or "").strip() or f"Paused by {actor.get_username()}."


def _wrong_plain(given: Mapping[str, Any]) -> dict[str, str]:
    wrong = {}
    if "name" in given:
        try:
            clean_name(given["name"])
        except Wrong as error:
            wrong["name"] = str(error)
    days = given.get("retention_days")
    if days is not None and not 1 <= days <= 36_500:
        wrong["retention_days"] = "Keep for at least 1 day and at most 36500 days, or leave it empty."
    return wrong


def _save_under_its_name(destination: Destination) -> None:
    """Raises Invalid where another living destination has the name; the database decides between two at once."""
    try:
        with transaction.atomic():
            destination.save()
    except IntegrityError:
        raise Invalid({"name": _NAME_TAKEN}) from None


def _new_version(destination: Destination, values: dict[str, Any], actor: AbstractBaseUser) -> None:
    last = destination.versions.order_by("-version").values_list("version", flat=True).first() or 0
    destination.current = DestinationSettings.objects.create(
        destination=destination, version=last + 1, values=values, created_by=actor
    )
    destination.save(update_fields=["current"])


def _seal(destination: Destination, texts: Mapping[str, str | None]) -> list[Act]:
    """Seal what is given, forget what is None; the log names the keys and never the values."""
    for key, text in texts.items():
        if text is None:
            DestinationSecret.objects.filter(destination=destination, key=key).delete()
        else:
            ciphertext, hint = sealing.seal(destination.pk, key, text), sealing.hint(text)
            DestinationSecret.objects.update_or_create(
                destination=destination, key=key, defaults={"ciphertext": ciphertext, "hint": hint}
            )
    return [("secret.changed", {"keys": sorted(texts)})] if texts else []


def _log(actor: AbstractBaseUser, destination: Destination, acts: list[Act]) -> None:
    """The end of the transaction: whoever holds the head of the chain takes no other lock any more."""
    who, what = actor.get_username(), f"destination:{destination.pk}"
    chain.add_many((who, action, what, _loggable(detail)) for action, detail in acts)


def _loggable(value: Any) -> Any:
    """The audit log takes no floats: a rate of 2.5 is written as text."""
    if isinstance(value, dict):
        return {key: _loggable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_loggable(inner) for inner in value]
    return str(value) if isinstance(value, float) else value
