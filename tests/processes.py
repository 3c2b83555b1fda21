"""How several processes share the tests (``pytest -n 2``): one has all that needs Kafka, and starts it.

The others take file by file, so that what a file sets up is set up once. What takes long comes first: it is
short files that are left when one process ends before the other.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@cache
def needs_kafka(file: str) -> bool:
    """By the text of the file, a path from the root: whoever deals out the tests has only their names."""
    return "mark.kafka" in (ROOT / file).read_text(encoding="utf-8")


def file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def put_in_order(items: list[pytest.Item]) -> None:
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (not needs_kafka(file_of(item.nodeid)), item.path not in slow))


def scheduler(config: pytest.Config, log: Any) -> Any:
    """Takes the place of xdist's own; of ``--dist`` nothing is left."""
    from xdist.scheduler import LoadFileScheduling

    class OneKafka(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = file_of(nodeid)
            return "kafka" if needs_kafka(file) else file

    return OneKafka(config, log)
