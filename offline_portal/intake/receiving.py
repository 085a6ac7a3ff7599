"""Receiving the bytes of an upload into a temporary file, which never outlives a full disk or a cut connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler


class Receiver(TemporaryFileUploadHandler):
    """Django's own leaves a half-written file for as long as anybody remembers the error."""

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Write a part. Raises OSError, the file gone."""
        with self._gone_after_an_error():
            super().receive_data_chunk(raw_data, start)

    def file_complete(self, file_size: int) -> UploadedFile | None:
        """The whole file, readable from its start. Raises OSError, the file gone."""
        with self._gone_after_an_error():
            return super().file_complete(file_size)

    @contextmanager
    def _gone_after_an_error(self) -> Iterator[Any]:
        try:
            yield
        except OSError:
            # Closing removes it, after it has tried in vain to write the rest.
            with suppress(OSError):
                self.file.close()
            raise
