"""JSON as it is stored: no spaces, letters as they are; quick where it is written for every row."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


def encoder(sort_keys: bool = False) -> Callable[[Any], str]:
    """A function from a value to its JSON. It raises TypeError for what is no JSON, ValueError for NaN and the like.

    `json.JSONEncoder.encode` gives the same text, but makes its machinery anew for each value, which takes longer
    than a row of texts.
    """
    whole = json.JSONEncoder(ensure_ascii=False, sort_keys=sort_keys, separators=(",", ":"), allow_nan=False)
    make = json.encoder.c_make_encoder
    if make is None:
        return whole.encode
    pieces = make(None, whole.default, json.encoder.encode_basestring, None, ":", ",", sort_keys, False, False)
    return lambda value: "".join(pieces(value, 0))
