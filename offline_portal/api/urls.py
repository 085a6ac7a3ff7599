"""The addresses of the API, and the API itself."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI
from ninja.openapi.docs import ABS_TPL_PATH, Swagger

from connectors.base import VERSION
from offline_portal.api import (
    audit,
    connectors,
    deliveries,
    destinations,
    evidence,
    health,
    mappings,
    sends,
    uploads,
)
from offline_portal.api.bodies import StrictParser
from offline_portal.api.calls import Replay, door, replayed
from offline_portal.api.errors import answer_exceptions


class _Documentation(Swagger):
    """With the files that ninja brings: as it is no app here (see settings), it would have them come from elsewhere."""

    template_cdn = str(ABS_TPL_PATH / "swagger.html")


api = NinjaAPI(
    title="Offline Portal",
    version=VERSION,
    description="Spreadsheets of offline conversions to marketing vendors: upload, map, check, send, look up.",
    urls_namespace="api",
    parser=StrictParser(),
    docs=_Documentation(),
)
for prefix, router in (
    ("/connectors", connectors.router),
    ("/destinations", destinations.router),
    ("/uploads", uploads.router),
    ("/mappings", mappings.router),
    ("/sends", sends.router),
    ("/sends", deliveries.of_sends),
    ("/sends", evidence.router),
    ("/deliveries", deliveries.router),
    ("/audit", audit.router),
    ("/health", health.router),
):
    api.add_router(prefix, router)
answer_exceptions(api)
api.add_exception_handler(Replay, replayed)


def _nothing_here(request: HttpRequest) -> HttpResponseBase:
    raise Http404


_patterns, _, _ = api.urls
for _pattern in _patterns:
    _pattern.callback = door(api, _pattern.callback)

urlpatterns = [
    path("", include((_patterns, "api"))),
    re_path("", csrf_exempt(door(api, _nothing_here))),
]
