"""What the demo of a release plants, and what must come out of it: counts, and the results behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Case = Mapping[str, Any]


class Plan(NamedTuple):
    """Counts of failures. ``size`` are frozen under the earlier release, ``new`` come before the later one.

    Under the earlier release ``broken`` of them do not pass its tests; under the later one ``still`` of these
    and ``new_still`` of the new ones do not, and ``regressed`` of those that had passed. ``back`` says how
    often each recurring failure comes back in production.
    """

    size: int = 40
    broken: int = 3
    new: int = 10
    still: int = 1
    new_still: int = 1
    regressed: int = 2
    back: tuple[int, ...] = (2, 1, 1)
    candidate: int = 9
    """Cases that the first candidate fails: too many, the gate must hold it."""

    def expected(self) -> dict[str, int]:
        """What ``gleaner loop --json`` must say."""
        return {
            "failures": self.size + self.new,
            "harvested_since": self.new,
            "fixed": self.broken - self.still + self.new - self.new_still,
            "still_failing": self.still + self.new_still,
            "regressed": self.regressed,
            "flaky": 0,
            "held": self.size - self.broken - self.regressed,
            "unknown": 0,
            "untested": 0,
            "recurring": len(self.back),
            "before": self.new,
            "after": sum(self.back),
        }


def first_results(cases: Sequence[Case], plan: Plan) -> list[dict[str, Any]]:
    """Results of the earlier release on its set: the first ``broken`` cases do not pass."""
    return _results(cases, {case["case_id"] for case in cases[: plan.broken]})


def second_results(cases: Sequence[Case], old: Sequence[Case], plan: Plan) -> list[dict[str, Any]]:
    """Results of the later release on its set, which holds the ``old`` cases and the new ones."""
    before = [case["case_id"] for case in old]
    known = set(before)
    new = [case["case_id"] for case in cases if case["case_id"] not in known]
    failing = {
        *before[: plan.still],
        *before[plan.broken : plan.broken + plan.regressed],
        *new[: plan.new_still],
    }
    return _results(cases, failing)


def candidate_results(cases: Sequence[Case], plan: Plan) -> list[dict[str, Any]]:
    """Results of a first candidate, which fails every fifth case until there are enough."""
    return _results(cases, {case["case_id"] for case in cases[2::5][: plan.candidate]})


def recurring(old: Sequence[Case], plan: Plan) -> list[Case]:
    """The frozen cases that come back in production, each as often as planned.

    Such as have an answer, of those that passed under both releases: the tests did not see it coming.
    """
    held = old[plan.broken + plan.regressed :]
    answered = [case for case in held if case["answer"]]
    return [case for case, times in zip(answered, plan.back, strict=False) for _ in range(times)]


def found(loop: Mapping[str, Any]) -> dict[str, int]:
    """The counts of ``Plan.expected`` in what ``gleaner loop --json`` said."""
    (whole,) = loop["groups"]["all"]
    return {name: whole[name] if name in ("before", "after") else loop[name] for name in Plan().expected()}


def _results(cases: Sequence[Case], failing: set[str]) -> list[dict[str, Any]]:
    return [
        {"case_id": case["case_id"], "passed": case["case_id"] not in failing, "cost_usd": 0.0021}
        for case in cases
    ]
