"""Writes docs/openapi.json: the HTTP API as its models describe it.

python docs/make_openapi.py          # a test holds the committed file to this output
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from sinks.evalstore import Connection
from streams.api.app import make_app

TARGET = Path(__file__).parent / "openapi.json"


class Nothing:
    """The description needs no store."""

    def reading(self) -> AbstractContextManager[Connection]:
        raise NotImplementedError

    def query(self, sql: str, *, seconds: float, limit: int) -> bytes:
        raise NotImplementedError

    def act(self, request: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


def openapi() -> str:
    return json.dumps(make_app(Nothing()).openapi(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(openapi(), encoding="utf-8")
