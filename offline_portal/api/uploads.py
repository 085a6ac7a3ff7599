"""`/uploads`: files that people gave us, and their rows as they were read."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import File, Form, Query, Router, Schema, Status, UploadedFile
from pydantic import Field, field_validator

import connectors
from offline_portal import listing
from offline_portal.access.roles import AUDITOR, OPS, has_role
from offline_portal.api import paging
from offline_portal.api.calls import Bearer
from offline_portal.api.errors import ApiError, missing
from offline_portal.api.paging import PageQuery
from offline_portal.api.schemas import ERRORS, Error, Page, UploadOut, UploadRow
from offline_portal.api.shapes import masked_cells, upload_shape
from offline_portal.intake import Options, store
from offline_portal.models import Upload
from offline_portal.redaction import plain_columns

router = Router(tags=["Uploads"])
readers = (OPS, AUDITOR)


class Reading(Schema):
    """What a person says about the file instead of having it recognised."""

    sheet: str | None = Field(None, max_length=255)
    header_line: int | None = Field(None, ge=0, le=10_000_000)
    encoding: str | None = Field(None, max_length=40)
    delimiter: str | None = None

    @field_validator("*", mode="before")
    @classmethod
    def empty_is_nothing(cls, given: Any) -> Any:
        """A form field that was left empty was not filled in."""
        return None if given == "" else given

    @field_validator("delimiter")
    @classmethod
    def one_character(cls, given: str | None) -> str | None:
        """One character, or the word `tab`."""
        if given is not None and given != "tab" and len(given) != 1:
            raise ValueError("Give one character, or the word tab.")
        return given


@router.post("", response={201: UploadOut, ERRORS: Error}, auth=Bearer(OPS), summary="Upload a spreadsheet")
def take_upload(request: HttpRequest, file: File[UploadedFile], reading: Form[Reading]) -> Status:
    """CSV, TSV, TXT or XLSX, or a zip with one of them. 422 `refused` with the reason for what cannot be read."""
    if len(request.FILES.getlist("file")) > 1:
        message = "There is more than one file. Upload each by itself."
        raise ApiError(422, "invalid", message, {"file": message})
    path = file.temporary_file_path()  # type: ignore[attr-defined]
    upload = store.accept(path, file.name or "file", request.user, Options(**reading.model_dump()))
    return Status(201, upload_shape(upload))


@router.get(
    "", response={200: Page[UploadOut], ERRORS: Error}, auth=Bearer(*readers), summary="All uploads, newest first"
)
def list_uploads(request: HttpRequest, asked: Query[PageQuery]) -> dict[str, Any]:
    """`status` is `ready` once all rows have been read."""
    return paging.shown(listing.page(Upload.objects.all(), asked.after, asked.limit, down=True), upload_shape)


@router.get("/{id}", response={200: UploadOut, ERRORS: Error}, auth=Bearer(*readers), summary="One upload")
def show_upload(request: HttpRequest, id: str) -> dict[str, Any]:
    """`rows` grows while the file is read."""
    return upload_shape(_find(id))


@router.get("/{id}/rows", response={200: Page[UploadRow], ERRORS: Error}, auth=Bearer(*readers), summary="Its rows")
def list_upload_rows(request: HttpRequest, id: str, asked: Query[PageQuery]) -> dict[str, Any]:
    """Cells as text. Auditors see a cell only where its column feeds fields that are not personal."""
    upload = _find(id)
    shown = None if has_role(request.user, OPS) else _plain_columns(upload)

    def shape(row: tuple[int, dict[str, str]]) -> dict[str, Any]:
        line, cells = row
        return {"line": line, "cells": cells if shown is None else masked_cells(cells, shown)}

    return paging.shown(listing.upload_rows(upload, asked.after, asked.limit), shape)


def _find(id: str) -> Upload:
    found = Upload.objects.filter(pk=paging.number(id, "upload")).first()
    if found is None:
        raise missing("upload")
    return found


def _plain_columns(upload: Upload) -> set[str]:
    """Columns that some send of the upload feeds to fields that are not personal, and none to a personal one."""
    plain: set[str] = set()
    hidden: set[str] = set()
    for send in upload.sends.exclude(destination=None).select_related("destination"):
        here = plain_columns(upload.columns, send.mapping, connectors.get(send.destination.connector))
        plain |= here
        hidden |= {source["column"] for source in send.mapping.values() if "column" in source} - here
    return plain - hidden
