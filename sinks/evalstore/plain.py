"""A database's value as JSON has it."""

from __future__ import annotations

import math
from datetime import datetime
from decimal import Decimal
from typing import Any


def plain(value: Any) -> Any:
    """Times as RFC 3339; NaN, which JSON lacks, as null; what is left for the encoder's ``default`` as it is.

    >>> plain([float("nan"), {1: 2.5}])
    [None, {'1': 2.5}]
    """
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value
