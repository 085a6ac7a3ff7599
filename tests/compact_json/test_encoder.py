"""The quick encoder writes what the ordinary one writes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_portal.compact_json import encoder

ANY_TEXT = st.text(st.characters(exclude_categories=()))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(ANY_TEXT, inner),
)


@given(VALUES, st.booleans())
def test_the_same_text_as_the_ordinary_encoder(value: Any, sort_keys: bool):
    ordinary = json.JSONEncoder(ensure_ascii=False, sort_keys=sort_keys, separators=(",", ":"))
    assert encoder(sort_keys)(value) == ordinary.encode(value)


@pytest.mark.parametrize(("value", "error"), [({1, 2}, TypeError), (float("nan"), ValueError), (b"x", TypeError)])
def test_what_is_no_json_is_refused(value: Any, error: type[Exception]):
    with pytest.raises(error):
        encoder()([value])


def test_without_the_part_written_in_c(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(json.encoder, "c_make_encoder", None)
    assert encoder()({"ä": ["1", None]}) == '{"ä":["1",null]}'
