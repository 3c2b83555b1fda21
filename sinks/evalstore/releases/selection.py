"""Which cases make a release's set: one of each failure, every reason and app in turn."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

SEVERITY = {
    "unsafe": 10,
    "correction": 6,
    "escalation": 6,
    "failed_task": 5,
    "low_score": 4,
    "bad_citation": 4,
    "schema_break": 4,
    "error": 4,
    "negative_feedback": 3,
    "empty_answer": 3,
    "abandoned": 2,
    "high_cost": 1,
}
"""As in the view ``cluster_list`` (a test compares them)."""
UNKNOWN_SEVERITY = 3
CRITICAL = 10
"""A case of this severity must pass, whatever the pass rate."""


class Tier(StrEnum):
    """How large a set is: for each commit, for each merge, for a release."""

    SMOKE = "smoke"
    GOLDEN = "golden"
    FULL = "full"


SIZES: dict[Tier, tuple[int, int | None]] = {
    Tier.SMOKE: (15, 20),
    Tier.GOLDEN: (25, 50),
    Tier.FULL: (200, None),
}
"""Cases of a tier, at least and at most. A set takes the most that there are failures for."""


class Candidate(NamedTuple):
    """The case that stands for its cluster; ``reasons`` and ``rank`` are the cluster's."""

    case_id: str
    cluster_id: str
    app: str
    reasons: tuple[str, ...]
    rank: float


def severity(reasons: Iterable[str]) -> int:
    """Of the gravest reason.

    >>> severity(["low_score", "unsafe"]), severity(["of a newer Gleaner"])
    (10, 3)
    """
    return max((SEVERITY.get(reason, UNKNOWN_SEVERITY) for reason in reasons), default=UNKNOWN_SEVERITY)


def gravest(reasons: Sequence[str]) -> str:
    """The reason that a case is filed under; of equally grave ones the first by name.

    >>> gravest(["low_score", "error", "escalation"]), gravest(["low_score", "error"])
    ('escalation', 'error')
    """
    return min(reasons, key=lambda reason: (-severity([reason]), reason), default="unknown")


def select(
    candidates: Iterable[Candidate], size: int | None = None, kept: Collection[str] = ()
) -> list[Candidate]:
    """At most ``size`` candidates, the same ones in the same order whatever order they come in.

    Clusters in ``kept`` (those of an earlier release) come first. Then each stratum, an app's failures of one
    gravest reason, gives its highest-ranked case in turn, the stratum with the highest rank first: a rare
    reason is in the set although a frequent one could fill it. Misleads as an estimate of how often
    something fails in production: strata are equal here, not weighted.

    >>> reasons = [("error",)] * 9 + [("unsafe",)]
    >>> cases = [Candidate(str(i), f"c-{i}", "shop", reasons[i], 9 - i) for i in range(10)]
    >>> [case.case_id for case in select(cases, 4)]
    ['0', '9', '1', '2']
    """
    first: list[Candidate] = []
    strata: dict[tuple[str, str], list[Candidate]] = {}
    for case in sorted(candidates, key=lambda case: (-case.rank, case.case_id)):
        if case.cluster_id in kept:
            first.append(case)
        else:
            strata.setdefault((case.app, gravest(case.reasons)), []).append(case)
    # Insertion order is that of the best rank of each stratum.
    turns = sorted(
        (turn, place, case) for place, cases in enumerate(strata.values()) for turn, case in enumerate(cases)
    )
    return [*first, *(case for _, _, case in turns)][:size]


def size_of(tier: Tier, size: int | None) -> int | None:
    """How many cases to take at most; None: all. Raises ``ValueError`` where ``size`` is not of the tier.

    >>> size_of(Tier.GOLDEN, None), size_of(Tier.FULL, 300)
    (50, 300)
    """
    least, most = SIZES[tier]
    if size is None:
        return most
    if size < least or (most is not None and size > most):
        bounds = f"{least} to {most}" if most is not None else f"{least} or more"
        raise ValueError(f"a {tier} set has {bounds} cases")
    return size
