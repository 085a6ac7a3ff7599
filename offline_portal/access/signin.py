"""How people sign in."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class NoSignup(DefaultAccountAdapter):
    """Accounts are made by admins; nobody signs up."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Always False."""
        return False
