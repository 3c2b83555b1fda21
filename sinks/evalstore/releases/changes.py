"""What changed between two frozen sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Changes(NamedTuple):
    """Case ids, each list in the order of its set.

    ``replaced``: the failure is in both sets, by another case of its cluster: (earlier case, later case).
    ``edited``: the same case with another record, such as a correction that came between.
    """

    added: list[str]
    removed: list[str]
    replaced: list[tuple[str, str]]
    edited: list[str]
    unchanged: int


def changes(earlier: Sequence[dict[str, Any]], later: Sequence[dict[str, Any]]) -> Changes:
    """From the records of two releases.

    >>> a, b = {"case_id": "1", "cluster_id": "c"}, {"case_id": "2", "cluster_id": "c"}
    >>> changes([a], [b]).replaced
    [('1', '2')]
    """
    before = {case["case_id"]: case for case in earlier}
    after = {case["case_id"]: case for case in later}
    gone = {case["cluster_id"]: case["case_id"] for case in earlier if case["case_id"] not in after}
    new = {case["cluster_id"]: case["case_id"] for case in later if case["case_id"] not in before}
    both = [case_id for case_id in after if case_id in before]
    same = [case_id for case_id in both if _lasting(before[case_id]) == _lasting(after[case_id])]
    return Changes(
        added=[case_id for cluster, case_id in new.items() if cluster not in gone],
        removed=[case_id for cluster, case_id in gone.items() if cluster not in new],
        replaced=[(case_id, new[cluster]) for cluster, case_id in gone.items() if cluster in new],
        edited=[case_id for case_id in both if case_id not in set(same)],
        unchanged=len(same),
    )


def _lasting(case: dict[str, Any]) -> dict[str, Any]:
    """Without what grows while nothing about the case changes, and without what is empty.

    Earlier records had fewer fields, and did not say where an expected answer is from. That the failure
    became graver is a change: of ``severity``, and of ``critical``.
    """
    apart = ("cluster_size", "cluster_reasons", "expected_from")
    return {name: value for name, value in case.items() if name not in apart and value not in (None, [])}
