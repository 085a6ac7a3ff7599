"""All addresses of the portal."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("api/v1/", include("offline_portal.api.urls")),
    path("account/", include("allauth.account.urls")),
    path("account/2fa/", include("allauth.mfa.urls")),
    path("", include("offline_portal.screens.urls")),
]

handler403 = "offline_portal.screens.errors.not_allowed"
handler404 = "offline_portal.screens.errors.not_found"
handler500 = "offline_portal.screens.errors.broken"
