"""Sign-ins, sign-outs, failed sign-ins, changed passwords and second factors go into the audit log."""

from __future__ import annotations

from typing import Any

from allauth.account.signals import password_changed, password_set
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added, authenticator_removed
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import transaction

from offline_portal.audit import chain


def connect() -> None:
    """Listen from now on; called once, when the application is ready."""
    user_logged_in.connect(_signed_in, dispatch_uid="portal.login")
    user_logged_out.connect(_signed_out, dispatch_uid="portal.logout")
    user_login_failed.connect(_failed, dispatch_uid="portal.login.failed")
    password_changed.connect(_password_changed, dispatch_uid="portal.password.changed")
    password_set.connect(_password_changed, dispatch_uid="portal.password.set")
    authenticator_added.connect(_factor_added, dispatch_uid="portal.factor.added")
    authenticator_removed.connect(_factor_removed, dispatch_uid="portal.factor.removed")


def _signed_in(user: AbstractBaseUser, **_: Any) -> None:
    _add(user.get_username(), "login", f"user:{user.pk}", {})


def _signed_out(user: AbstractBaseUser | None, **_: Any) -> None:
    if user is not None:
        _add(user.get_username(), "logout", f"user:{user.pk}", {})


def _failed(credentials: dict[str, Any], **_: Any) -> None:
    """Only a name that exists is written down: people type their password into the wrong field."""
    name = str(credentials.get("username", "")).replace("\0", "")
    user = get_user_model().objects.filter(username=name).first()
    detail = {"username": user.get_username()} if user else {"username": None}
    _add("portal", "login.failed", f"user:{user.pk}" if user else "user:unknown", detail)


def _password_changed(user: AbstractBaseUser, **_: Any) -> None:
    _add(user.get_username(), "password.changed", f"user:{user.pk}", {})


def _factor_added(user: AbstractBaseUser, authenticator: Authenticator, **_: Any) -> None:
    _add(user.get_username(), "factor.added", f"user:{user.pk}", {"type": str(authenticator.type)})


def _factor_removed(user: AbstractBaseUser, authenticator: Authenticator, **_: Any) -> None:
    _add(user.get_username(), "factor.removed", f"user:{user.pk}", {"type": str(authenticator.type)})


def _add(actor: str, action: str, object_: str, detail: dict[str, Any]) -> None:
    with transaction.atomic():
        chain.add(actor, action, object_, detail)
