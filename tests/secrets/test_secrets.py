"""Secrets at rest: sealed, bound to their destination, rotated while others work."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.conf import LazySettings
from django.core.management import call_command
from django.db import connection

from offline_portal import secrets
from offline_portal.audit import chain
from offline_portal.models import AuditEntry, Destination, DestinationSecret

TEXT = "sk-live-ünicode-0123456789-3f9a"


def store(destination: Destination, key: str = "api_key", text: str = TEXT) -> DestinationSecret:
    return DestinationSecret.objects.create(
        destination=destination, key=key, ciphertext=secrets.seal(destination.pk, key, text), hint=secrets.hint(text)
    )


@pytest.fixture
def shop(db: None) -> Destination:
    return Destination.objects.create(name="Shop", connector="kissmetrics")


def test_what_was_sealed_opens_again(shop: Destination):
    store(shop)
    store(shop, "second", "")
    assert secrets.unseal(shop) == {"api_key": TEXT, "second": ""}


def test_nothing_stored_holds_the_secret(shop: Destination):
    secret = store(shop)
    assert TEXT not in secret.ciphertext and secret.ciphertext != secrets.seal(shop.pk, "api_key", TEXT)
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM portal_destinationsecret")
            assert TEXT not in str(cursor.fetchall())


@pytest.mark.parametrize(("text", "shown"), [(TEXT, "…3f9a"), ("x" * 12, "…xxxx"), ("short-3f9a", "set"), ("", "set")])
def test_a_hint_tells_little(text: str, shown: str):
    assert secrets.hint(text) == shown


def test_a_ciphertext_moved_to_another_destination_is_refused(shop: Destination):
    other = Destination.objects.create(name="Other", connector="kissmetrics")
    stolen = store(other)
    DestinationSecret.objects.create(destination=shop, key="api_key", ciphertext=stolen.ciphertext, hint="set")
    with pytest.raises(secrets.Unreadable, match=f"was stored for 'api_key' of destination {other.pk}"):
        secrets.unseal(shop)


def test_a_ciphertext_moved_to_another_key_is_refused(shop: Destination):
    secret = store(shop)
    DestinationSecret.objects.filter(pk=secret.pk).update(key="client_id")
    with pytest.raises(secrets.Unreadable, match="was stored for 'api_key'"):
        secrets.unseal(shop)


@pytest.mark.parametrize("ciphertext", ["", "rubbish", "gAAAA"])
def test_a_broken_ciphertext_is_named(shop: Destination, ciphertext: str):
    DestinationSecret.objects.create(destination=shop, key="api_key", ciphertext=ciphertext, hint="set")
    with pytest.raises(secrets.Unreadable, match=f"'api_key' of destination {shop.pk}"):
        secrets.unseal(shop)


def test_a_lost_key_is_one_clear_line_at_the_start(shop: Destination, settings: LazySettings):
    store(shop)
    store(shop, "second")
    assert secrets.check_secrets(databases=["default"]) == []
    settings.PORTAL_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    (error,) = secrets.check_secrets(databases=["default"])
    assert error.id == "portal.E006"
    assert "No key of PORTAL_ENCRYPTION_KEYS opens" in error.msg and "(and 1 more)" in error.msg
    assert "\n" not in error.msg and TEXT not in error.msg


def test_rotation_leaves_nothing_under_the_old_key(shop: Destination, settings: LazySettings):
    old, new = settings.PORTAL_ENCRYPTION_KEYS, Fernet.generate_key().decode()
    changed_at = {secret.pk: secret.changed_at for secret in (store(shop, f"key{n}") for n in range(5))}
    settings.PORTAL_ENCRYPTION_KEYS = [new, *old]
    assert secrets.rotate() == (5, 0)
    assert secrets.rotate() == (0, 5)
    assert {secret.pk: secret.changed_at for secret in DestinationSecret.objects.all()} == changed_at
    settings.PORTAL_ENCRYPTION_KEYS = [new]
    assert set(secrets.unseal(shop).values()) == {TEXT}
    settings.PORTAL_ENCRYPTION_KEYS = old
    with pytest.raises(secrets.Unreadable):
        secrets.unseal(shop)
    assert list(AuditEntry.objects.values_list("action", "detail")) == [("secrets.rotated", '{"rotated":5}')]
    assert chain.verify().ok


def test_a_rotation_that_broke_off_goes_on(
    shop: Destination, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(secrets, "_ROTATED_AT_ONCE", 2)
    for number in range(5):
        store(shop, f"key{number}")
    last = DestinationSecret.objects.order_by("pk").last()
    good = last.ciphertext
    DestinationSecret.objects.filter(pk=last.pk).update(ciphertext="rubbish")
    settings.PORTAL_ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *settings.PORTAL_ENCRYPTION_KEYS]
    with pytest.raises(secrets.Unreadable, match="key4"):
        secrets.rotate()
    DestinationSecret.objects.filter(pk=last.pk).update(ciphertext=good)
    assert secrets.rotate() == (1, 4)


def test_the_command_says_what_it_did(shop: Destination, settings: LazySettings):
    store(shop)
    settings.PORTAL_ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *settings.PORTAL_ENCRYPTION_KEYS]
    out, err = io.StringIO(), io.StringIO()
    call_command("rotate_secrets", stdout=out)
    assert out.getvalue() == "1 encrypted anew, 0 were under the first key already.\n"
    settings.PORTAL_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(SystemExit) as stopped:
        call_command("rotate_secrets", stderr=err)
    assert stopped.value.code == 1
    assert err.getvalue().startswith("No key of PORTAL_ENCRYPTION_KEYS opens")


def test_the_embedded_keys_are_private(settings: LazySettings):
    key = Path(settings.PORTAL_DATA) / "keys" / "portal_encryption_keys"
    if key.exists():
        assert key.stat().st_mode & 0o077 == 0
