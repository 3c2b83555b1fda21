"""What a text must lose before a database can hold it: halves of surrogate pairs, and nothing else."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

_HALF = re.compile("[\ud800-\udfff]")
REPLACEMENT = "\ufffd"


def storable(value: Any) -> tuple[Any, int]:
    """``value`` with each lone surrogate replaced by U+FFFD, and how many there were.

    A lone surrogate is no character and has no UTF-8 bytes, so no database or file can hold it. All
    other text, NUL and control characters included, stays as it is.

    >>> storable({"a": ["x\\ud800"], "b": "\\x00é"})
    ({'a': ['x�'], 'b': '\\x00é'}, 1)
    """
    if isinstance(value, str):
        return _HALF.subn(REPLACEMENT, value)
    if isinstance(value, dict):
        count = 0
        clean: dict[Any, Any] = {}
        for name, inner in value.items():
            name, of_name = storable(name)
            clean[name], of_inner = storable(inner)
            count += of_name + of_inner
        return clean, count
    if isinstance(value, list | tuple):
        pairs = [storable(inner) for inner in value]
        return [inner for inner, _ in pairs], sum(n for _, n in pairs)
    return value, 0


def to_json(value: Any) -> tuple[str, int]:
    """``value`` as JSON text that DuckDB can hold, and how many characters had to be replaced.

    Integers of any size keep their digits. Raises ``ValueError`` for NaN and infinities and
    ``TypeError`` for what is no JSON value.

    >>> to_json({"n": 10**30})
    ('{"n":1000000000000000000000000000000}', 0)
    """
    try:
        return orjson.dumps(value).decode(), 0
    except TypeError:
        # Beyond 64 bits, or a lone surrogate: the standard library's slower writer says which.
        clean, count = storable(value)
        return json.dumps(clean, ensure_ascii=False, allow_nan=False, separators=(",", ":")), count
