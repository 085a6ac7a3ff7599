"""Spreadsheets to download, for each vendor: a sample to try, a template to fill in."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse

import connectors
from offline_portal.access.roles import EVERYONE, role
from offline_portal.sheets import sample_csv, sample_xlsx, template_xlsx

_KINDS = {
    "csv": (sample_csv, "text/csv; charset=utf-8"),
    "xlsx": (sample_xlsx, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}


@role(*EVERYONE)
def sample(request: HttpRequest, slug: str, kind: str) -> HttpResponse:
    """The sample of a vendor as CSV or XLSX."""
    if kind not in _KINDS:
        raise Http404("There is no such sample.")
    make, content_type = _KINDS[kind]
    return _download(f"sample-{slug}.{kind}", make(_found(slug)), content_type)


@role(*EVERYONE)
def template(request: HttpRequest, slug: str) -> HttpResponse:
    """The workbook of a vendor to fill in."""
    return _download(f"template-{slug}.xlsx", template_xlsx(_found(slug)), _KINDS["xlsx"][1])


def _found(slug: str) -> connectors.Connector:
    connector = connectors.all_connectors().get(slug)
    if connector is None or not connector.sample:
        raise Http404("There is no such sample.")
    return connector


def _download(name: str, content: bytes, content_type: str) -> HttpResponse:
    answer = HttpResponse(content, content_type=content_type)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def offered() -> list[connectors.Connector]:
    """The connectors that have a sample."""
    return [connector for connector in connectors.all_connectors().values() if connector.sample]
