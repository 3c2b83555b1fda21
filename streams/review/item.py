"""A failure as it comes up for review: its cluster, the case that stands for it, what was said before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sinks.evalstore import Connection, NoSuchCase, find_case
from sinks.evalstore.pages import CLUSTERS, page
from sinks.evalstore.review_state import ReviewState, verdicts_on

BATCH = 10
"""Failures that are read at once: the next ones see what was said meanwhile."""


class Item(NamedTuple):
    """``cluster`` is a row of ``cluster_list``, ``case`` the whole of its representative (``find_case``)."""

    cluster: dict[str, Any]
    case: dict[str, Any]
    state: ReviewState

    @property
    def case_id(self) -> str:
        return str(self.case["case_id"])


class Batch(NamedTuple):
    """``next``: the cursor behind it, None at the end of the queue."""

    items: list[Item]
    next: str | None


Queue = Callable[[str | None], Batch]
"""The batch behind a cursor; None: the first one."""


def read_batch(con: Connection, wanted: Mapping[str, Any], cursor: str | None) -> Batch:
    """Failures, the highest rank first. ``wanted``: filters of ``CLUSTERS`` by name."""
    found = page(con, CLUSTERS, wanted, BATCH, cursor)
    items = []
    for cluster in found.items:
        try:
            case = find_case(con, cluster["representative"])
        except NoSuchCase:  # forgotten between the two reads
            continue
        items.append(Item(cluster, case, _state(con, case)))
    return Batch(items, found.next)


def _state(con: Connection, case: dict[str, Any]) -> ReviewState:
    return ReviewState(
        case["cluster_id"],
        case["cluster_size"],
        case["labels"],
        case["must"],
        case["must_not"],
        case["assigned"],
        case["expected_answer"],
        case["expected_from"],
        verdicts_on(con, case["cluster_id"]),
    )
