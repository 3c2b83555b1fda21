"""Numbers and lengths of time in the words of declared rules."""

from __future__ import annotations

from collections.abc import Callable

from detectors.declared.policy import DAY_MS, HOUR_MS, MINUTE_MS
from schemas.catalog import Measure


def length(ms: int) -> str:
    """A length of time in its largest whole unit.

    >>> length(300_000), length(24 * HOUR_MS), length(3 * DAY_MS), length(90 * MINUTE_MS)
    ('5 min', '24 h', '3 d', '90 min')
    """
    if ms % DAY_MS == 0 and ms > DAY_MS:
        return f"{ms // DAY_MS} d"
    return f"{ms // HOUR_MS} h" if ms % HOUR_MS == 0 else f"{round(ms / MINUTE_MS)} min"


def share(value: float) -> str:
    """
    >>> share(0.123456), share(0.001), share(0.0), share(0.99999)
    ('12.3%', '0.1%', '0%', '100%')
    """
    return f"{100.0 * value:.3g}%"


def dollars(value: float) -> str:
    """
    >>> dollars(0.00527), dollars(1250.0)
    ('$0.00527', '$1,250')
    """
    return f"${value:,.2f}".removesuffix(".00") if value >= 1 else f"${value:.3g}"


def milliseconds(value: float) -> str:
    return f"{value:,.0f} ms"


def tokens(value: float) -> str:
    return f"{value:,.0f} tokens"


SAY: dict[Measure, Callable[[float], str]] = {
    Measure.SCORE: lambda value: f"{value:.3g}",
    Measure.RATE: share,
    Measure.DOLLARS: dollars,
    Measure.TOKENS: tokens,
    Measure.MILLISECONDS: milliseconds,
    Measure.REQUESTS: lambda value: f"{value:,.0f} requests",
    Measure.HOURS: lambda value: f"{value:.3g} h",
    Measure.SHARE: share,
}
