"""What each kind of declared rule does, in the words of ``gleaner rules check``."""

from __future__ import annotations

from detectors.declared.expected import blind, pages_a_month
from detectors.declared.policy import BUCKET_MS, REFIRE_MS, MaxAge, Slo, Threshold, Tier, UserBudget
from detectors.declared.say import SAY, dollars, length, share, tokens
from detectors.rules import SUMS, Kind, Rule
from schemas.catalog import CATALOG, Measure

AGAIN = f"fires once, again after it cleared, or after {length(REFIRE_MS)} of not clearing"


def declared_words(rule: Rule, per_day: float) -> list[str]:
    """What the rule fires on, when it clears, and what is known of its false alarms."""
    match rule.declared:
        case Slo() as slo:
            return _slo(rule, slo, per_day)
        case Threshold() as threshold:
            return _threshold(rule, threshold)
        case MaxAge() as limit:
            return [
                f"fires when event time passes {length(limit.age_ms)} since the index was last updated: by a"
                " change event (index_version, index_updated), or a trace with a new index_version",
                "once, and again after another update; a fact, no budget",
            ]
        case UserBudget() as budget:
            say = dollars if budget.dollars else tokens
            levels = ", ".join([f"{share(level)} ({severity.value})" for level, severity in budget.levels])
            return [
                f"fires when a user has used {levels} of {say(budget.limit)} in a UTC day; each level once",
                "counted per segment; exact for 512 users a day, beyond that a user may be told late,"
                " never wrongly",
            ]
        case None:
            assert rule.kind is Kind.VOLUME
            return [
                "fires when requests per 5 minutes rise or fall against the learned hour of the day, silence"
                " included; learned for 3 days, pinned at 7",
                f"{rule.budget}: a threshold of {2016 * rule.budget_weeks:,.0f} buckets a segment; moves of"
                f" less than {share(rule.min_effect)} are not told",
            ]


def _windows(tier: Tier) -> str:
    ticket = " (P3)" if tier.ticket else ""
    return f"{tier.rate:g} times over {length(tier.long_ms)} and {length(tier.short_ms)}{ticket}"


def _slo(rule: Rule, slo: Slo, per_day: float) -> list[str]:
    about = CATALOG[rule.signal]
    good = "good" if slo.above is None else f"at or below {SAY[about.measure](slo.above)}"
    lines = [
        f"objective: {share(slo.objective)} of {about.units} {good} over {length(slo.window_ms)}",
        "fires when the budget burns at " + "; ".join([_windows(tier) for tier in slo.tiers]),
        f"each on at least {slo.min_units} {about.units} and 5 bad ones; {AGAIN}",
        "no stated budget; independent failures at half of the allowed rate bring at most"
        f" {pages_a_month(slo, per_day):.2g} false alarms in 30 days at {per_day:,.0f} {about.units} a day",
    ]
    silent = blind(slo, per_day)
    if silent:
        windows = ", ".join([length(tier.long_ms) for tier in silent])
        lines.append(f"at that traffic the windows of {windows} never hold {slo.min_units} {about.units}")
    return lines


def _threshold(rule: Rule, threshold: Threshold) -> list[str]:
    about = CATALOG[rule.signal]
    say = SAY[about.measure]
    sums = rule.signal in SUMS
    mean = "sum" if sums else "mean"
    clear = threshold.clears_at(about.measure in (Measure.SCORE, Measure.RATE))
    needs = "" if sums else f" on at least {threshold.min_units} {about.units}"
    return [
        f"fires when the {mean} over {length(threshold.over_ms)} is {threshold.side} {say(threshold.line)}"
        f"{needs}, asked every {length(BUCKET_MS)}; clears at {say(clear)}",
        AGAIN,
        "no stated budget: how often it fires by chance depends on how near to the line the healthy signal"
        " lives; gleaner backtest counts it",
    ]


def declared_data(rule: Rule, per_day: float) -> dict[str, object]:
    """The same, for programs."""
    data: dict[str, object] = {"words": declared_words(rule, per_day)}
    if isinstance(rule.declared, Slo):
        data["tiers"] = [
            {"rate": tier.rate, "long_ms": tier.long_ms, "short_ms": tier.short_ms, "ticket": tier.ticket}
            for tier in rule.declared.tiers
        ]
        data["expected_false_alarms_30d"] = pages_a_month(rule.declared, per_day)
    return data
