"""Calling the API as a person."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from offline_portal.access import tokens


class Caller:
    """One person's calls; `None` as the person is a stranger without a token."""

    def __init__(self, user: User | None) -> None:
        self.client = Client(raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {tokens.make(user)}"} if user else {}

    def __call__(self, method: str, path: str, body: Any = None, key: str | None = None, **more: Any) -> Any:
        """The response to a call below /api/v1; `body` is sent as JSON, `key` as Idempotency-Key."""
        headers = self.headers | ({"Idempotency-Key": key} if key else {})
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        content = {"data": data, "content_type": "application/json"} | more
        return self.client.generic(method, f"/api/v1{path}", headers=headers, **content)

    def upload(self, content: str | bytes, name: str = "sales.csv", key: str | None = None, **fields: Any) -> Any:
        """The response to a file uploaded as multipart."""
        raw = content if isinstance(content, bytes) else content.encode()
        headers = self.headers | ({"Idempotency-Key": key} if key else {})
        data = {"file": SimpleUploadedFile(name, raw), **fields}
        return self.client.post("/api/v1/uploads", data, headers=headers)

    def json(self, method: str, path: str, body: Any = None, status: int = 200, **more: Any) -> Any:
        """The JSON of an answer that must have this status."""
        response = self(method, path, body, **more)
        assert response.status_code == status, response.content
        return response.json() if response.content else None

    def error(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, str, dict[str, str]]:
        """(status, code, fields) of a call that must fail, in the one shape of errors."""
        response = self(method, path, body, **more)
        return error_of(response)


def error_of(response: Any) -> tuple[int, str, dict[str, str]]:
    """(status, code, fields) of an error, whose shape is asserted."""
    assert response.status_code >= 400, response.content
    assert response["Content-Type"].startswith("application/json")
    body = response.json()
    assert set(body) == {"error"} and set(body["error"]) == {"code", "message", "fields"}, body
    assert body["error"]["message"] and all(isinstance(text, str) for text in body["error"]["fields"].values())
    return response.status_code, body["error"]["code"], body["error"]["fields"]


@pytest.fixture
def callers(people: dict[str, User]) -> dict[str, Caller]:
    """Everyone of `people`, and a stranger, each calling with a token of their own."""
    return {name: Caller(user) for name, user in people.items()} | {"stranger": Caller(None)}


@pytest.fixture
def olivia(callers: dict[str, Caller]) -> Caller:
    return callers["olivia"]


@pytest.fixture
def adam(callers: dict[str, Caller]) -> Caller:
    return callers["adam"]


@pytest.fixture
def audrey(callers: dict[str, Caller]) -> Caller:
    return callers["audrey"]
