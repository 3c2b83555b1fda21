"""A case as it is frozen: one line of JSON, the same bytes for the same case, and a hash over all of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from schemas.base import rfc3339
from sinks.evalstore.releases.selection import CRITICAL, severity

PERSONAL = ("user_id",)
"""Fields of the application's event that a test does not need, and a copied file should not hold."""
COLUMNS = (
    *("case_id", "cluster_id", "cluster_size", "app", "environment", "route", "trace_id", "ts", "reasons"),
    *("question", "contexts", "answer", "expected_answer", "provider", "model", "served_model"),
    *("prompt_version", "index_version", "release", "score", "scorer", "cost_usd", "content_hash", "trace"),
    *("expected_from", "labels", "must", "must_not", "cluster_reasons"),
)
"""What is read of a case, in this order; ``ts`` in epoch ms."""


def record(row: tuple[Any, ...]) -> dict[str, Any]:
    """The frozen case from the values of ``COLUMNS``.

    ``trace`` is the application's event without ``user_id``; ``messages`` are its. ``severity`` is that of
    the failure that the case stands for, by the reasons of all its cases (``cluster_reasons``): which of them
    was chosen must not decide whether it is ``critical``, that is, must pass whatever the pass rate.
    ``expected_from``: a reviewer wrote the expected answer, or it is a user's
    correction; who did is not in it.
    """
    case = dict(zip(COLUMNS, row, strict=True))
    trace = json.loads(case["trace"]) if case["trace"] is not None else {}
    case["ts"] = rfc3339(case["ts"])
    case["severity"] = severity(case["cluster_reasons"])
    case["critical"] = case["severity"] >= CRITICAL
    case["messages"] = trace.get("messages")
    case["trace"] = {name: value for name, value in trace.items() if name not in PERSONAL}
    return case


def line(case: dict[str, Any]) -> str:
    """One line of JSON, its keys in order.

    >>> line({"b": 1, "a": "é"})
    '{"a":"é","b":1}'
    """
    return json.dumps(case, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def content_hash(lines: Iterable[str]) -> str:
    """What ``sha256sum`` says of the file with these lines.

    >>> content_hash([])[:8], content_hash(["{}"])[:8]
    ('e3b0c442', 'ca3d163b')
    """
    digest = hashlib.sha256()
    for each in lines:
        digest.update(each.encode() + b"\n")
    return digest.hexdigest()
