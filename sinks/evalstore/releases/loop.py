"""Did the release help? What became of each harvested failure, in the tests and in production."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from sinks.evalstore.releases.exact import Interval, poisson_mean, rate_ratio
from sinks.evalstore.releases.results import Outcome
from sinks.evalstore.releases.selection import gravest

PER = 1_000
"""Rates are cases per so many traces."""
NOBODY = "–"

SIGNAL_OF = {
    "low_score": "faithfulness",
    "escalation": "escalation_rate",
    "correction": "correction_rate",
    "negative_feedback": "negative_feedback_rate",
    "abandoned": "abandonment_rate",
    "bad_citation": "faithfulness",
    "unsafe": "policy_block_rate",
    "high_cost": "cost_per_request",
    "schema_break": "broken_output_rate",
    "empty_answer": "broken_output_rate",
    "error": "error_rate",
    "failed_task": "task_failure_rate",
}
"""The signal whose rule's owner is asked about cases of a reason."""


class Fate(StrEnum):
    """``held``: passed under both. ``untested``: the later release has no result of it. ``unknown``: passes
    now, and nobody knows whether it did before."""

    FIXED = "fixed"
    STILL_FAILING = "still_failing"
    REGRESSED = "regressed"
    FLAKY = "flaky"
    HELD = "held"
    UNKNOWN = "unknown"
    UNTESTED = "untested"


class Live(NamedTuple):
    """Cases of one failure in production: before and after the later release went live.

    ``cluster``: the one that was counted, into which others may have been merged since a set was frozen; None
    where nothing was.
    """

    before: int = 0
    after: int = 0
    last_seen: str | None = None
    cluster: str | None = None


class Traces(NamedTuple):
    """Traces of an app before and after; None: no window says how many."""

    before: int | None = None
    after: int | None = None


class Failure(NamedTuple):
    """``new``: harvested since the earlier set was frozen. ``before`` and ``after``: whether it passed under
    the two releases, None where that is not known. ``recurring``: it came back in production."""

    case_id: str
    cluster_id: str
    app: str
    reasons: tuple[str, ...]
    owner: str
    question: str | None
    new: bool
    before: bool | None
    after: bool | None
    fate: Fate
    live: Live
    recurring: bool


class Group(NamedTuple):
    """One reason, app or owner. Rates per 1,000 traces, None where the traces are not known.

    ``ratio``: rate after over rate before, with its exact 95 % interval.
    """

    name: str
    fates: dict[str, int]
    recurring: int
    before: int
    after: int
    traces: Traces
    rate_before: float | None
    rate_before_interval: Interval | None
    rate_after: float | None
    rate_after_interval: Interval | None
    ratio: Interval | None

    @property
    def trend(self) -> str:
        """``down`` or ``up`` where the interval of the ratio leaves 1 out, else ``unclear``."""
        if self.ratio is None:
            return "unknown"
        return "down" if self.ratio.high < 1 else "up" if self.ratio.low > 1 else "unclear"


def fate(before: bool | None, after: bool | None, flaky: bool) -> Fate:
    """What became of a failure, by whether it passed under the two releases; None where that is not known.

    What fails now fails still, even if it is not known whether it did under the earlier release: it is a case
    because it failed once.

    >>> fate(None, True, False).value, fate(True, False, False).value, fate(False, True, True).value
    ('unknown', 'regressed', 'flaky')
    """
    if after is None:
        return Fate.UNTESTED
    if flaky:
        return Fate.FLAKY
    if after:
        return Fate.UNKNOWN if before is None else Fate.HELD if before else Fate.FIXED
    return Fate.REGRESSED if before else Fate.STILL_FAILING


def failures(
    earlier: Sequence[Mapping[str, Any]],
    later: Sequence[Mapping[str, Any]],
    results: tuple[Mapping[str, Outcome], Mapping[str, Outcome]],
    since: Collection[str],
    unstable: Iterable[str],
    live: Mapping[str, Live],
    owners: Mapping[tuple[str, str], str],
) -> list[Failure]:
    """The failures of both sets, the later set's first. ``live`` by case id; ``owners`` by (app, signal).

    A case of the earlier set is left out where another one stands for its failure, by the clusters as they
    are by now: the later set took one with a reviewer's answer, say, or two were merged since.

    ``since``: cases whose failure was first seen after the earlier set was frozen. They failed under the
    earlier release, in production. Of others without a result under it, which its size left out, say, or
    that were not run, nobody knows; where another case of the same cluster was in the earlier set, its result
    stands for them.

    Misleads where a failure comes back in other words: it is then another cluster, and not counted as
    recurring.
    """
    shaky = set(unstable)
    cluster = {case["case_id"]: _cluster(case, live) for case in [*earlier, *later]}
    old = {cluster[case["case_id"]] for case in earlier}
    alike = _alike(earlier, results[0], cluster)
    alone = {cluster[case["case_id"]]: case for case in reversed(earlier)}
    for case in later:
        alone.pop(cluster[case["case_id"]], None)
    kept = {case["case_id"] for case in alone.values()}
    found = []
    for case in [*later, *(case for case in earlier if case["case_id"] in kept)]:
        case_id, seen = case["case_id"], live.get(case["case_id"], Live())
        new = case_id in since and cluster[case_id] not in old
        first = results[0].get(case_id) or alike.get(cluster[case_id])
        before = first.passed if first is not None else False if new else None
        after = results[1][case_id].passed if case_id in results[1] else None
        signal = SIGNAL_OF.get(gravest(case["reasons"]), "")
        found.append(
            Failure(
                case_id,
                case["cluster_id"],
                case["app"],
                tuple(case["reasons"]),
                owners.get((case["app"], signal)) or NOBODY,
                case["question"],
                new,
                before,
                after,
                fate(before, after, case_id in shaky),
                seen,
                seen.after > 0,
            )
        )
    return found


def _cluster(case: Mapping[str, Any], live: Mapping[str, Live]) -> str:
    """The cluster of a frozen case by now; as it was frozen where the store no longer knows."""
    return live.get(case["case_id"], Live()).cluster or str(case["cluster_id"])


def _alike(
    earlier: Sequence[Mapping[str, Any]], results: Mapping[str, Outcome], cluster: Mapping[str, str]
) -> dict[str, Outcome]:
    """A result under the earlier release of each cluster that has any: of several one that failed."""
    found: dict[str, Outcome] = {}
    for case in earlier:
        result = results.get(case["case_id"])
        if result is not None and (cluster[case["case_id"]] not in found or not result.passed):
            found[cluster[case["case_id"]]] = result
    return found


GROUPS: dict[str, Callable[[Failure], tuple[str, ...]]] = {
    "all": lambda failure: ("all",),
    "reason": lambda failure: failure.reasons,
    "app": lambda failure: (failure.app,),
    "owner": lambda failure: (failure.owner,),
}
"""By what failures are counted; one of several reasons counts under each."""


def groups(found: Sequence[Failure], by: str, traces: Mapping[str, Traces]) -> list[Group]:
    """The groups of one kind, by name; a failure that two cases stand for is counted once in production."""
    members: dict[str, list[Failure]] = {}
    for failure in found:
        for name in GROUPS[by](failure):
            members.setdefault(name, []).append(failure)
    return [_group(name, members[name], traces) for name in sorted(members)]


def _group(name: str, members: Sequence[Failure], traces: Mapping[str, Traces]) -> Group:
    fates = {each.value: sum(one.fate is each for one in members) for each in Fate}
    clusters = {one.live.cluster or one.cluster_id: one for one in members}.values()
    before, after = sum(one.live.before for one in clusters), sum(one.live.after for one in clusters)
    there = [traces.get(app, Traces()) for app in sorted({one.app for one in members})]
    exposed = Traces(_total(each.before for each in there), _total(each.after for each in there))
    rate_before, interval_before = _rate(before, exposed.before)
    rate_after, interval_after = _rate(after, exposed.after)
    ratio = None
    if exposed.before and exposed.after:
        ratio = rate_ratio(before, exposed.before, after, exposed.after)
    recurring = sum(one.recurring for one in clusters)
    return Group(
        name,
        fates,
        recurring,
        before,
        after,
        exposed,
        rate_before,
        interval_before,
        rate_after,
        interval_after,
        ratio,
    )


def _total(values: Iterable[int | None]) -> int | None:
    found = list(values)
    known = [value for value in found if value is not None]
    return sum(known) if len(known) == len(found) else None


def _rate(count: int, traces: int | None) -> tuple[float | None, Interval | None]:
    if not traces:
        return None, None
    low, high = poisson_mean(count)
    return count * PER / traces, Interval(low * PER / traces, high * PER / traces)
