"""Numbers and times as people say them."""

from __future__ import annotations

from datetime import UTC, datetime

from schemas.catalog import CATALOG, Measure
from schemas.signal import SignalName

NOTHING = "unknown"


def value(signal: SignalName, number: float | None, other: float | None = None) -> str:
    """A signal's value in its own unit, with as many digits as tell it from ``other``.

    >>> value(SignalName.FAITHFULNESS, 0.9213), value(SignalName.ESCALATION, 0.0391)
    ('0.92', '3.9%')
    >>> value(SignalName.COST, 0.00531), value(SignalName.FAITHFULNESS, 0.921, 0.9235)
    ('$0.0053', '0.921')
    """
    if number is None:
        return NOTHING
    for digits in range(2, 6):
        text = _format(signal, number, digits)
        if other is None or number == other or text != _format(signal, other, digits):
            return text
    return _format(signal, number, 6)


def _format(signal: SignalName, number: float, digits: int) -> str:
    measure = CATALOG[signal].measure
    if measure in (Measure.RATE, Measure.SHARE):
        return f"{number * 100:.{digits - 1}f}%"
    if measure is Measure.DOLLARS:
        return f"${significant(number, digits)}"
    if measure is Measure.HOURS:
        return f"{significant(number, digits)} h"
    if measure is Measure.REQUESTS:
        whole = f"{number:,.0f}" if number == round(number) else significant(number, digits)
        return f"{whole} requests"
    if measure is Measure.TOKENS:
        return f"{significant(number, digits)} tokens"
    if measure is Measure.MILLISECONDS:
        return (
            f"{significant(number, digits)} ms"
            if number < 1_000
            else f"{significant(number / 1000, digits)} s"
        )
    return f"{number:.{digits}f}"


def significant(number: float, digits: int) -> str:
    """``number`` with this many significant digits and no exponent.

    >>> significant(0.004567, 2), significant(12.3456, 2), significant(1234.5, 2)
    ('0.0046', '12', '1,234')
    """
    if number == 0:
        return "0"
    exponent = int(f"{number:e}".partition("e")[2])
    return f"{number:,.{max(0, digits - 1 - exponent)}f}"


def percent(share: float) -> str:
    """
    >>> percent(0.824), percent(0.004)
    ('82%', '0.4%')
    """
    return f"{share * 100:.0f}%" if share >= 0.0995 or share == 0 else f"{share * 100:.1f}%"


def one_in(rate: float) -> str:
    """
    >>> one_in(0.091), one_in(0.5), one_in(0.9)
    ('1 in 11', '1 in 2', '9 in 10')
    """
    if rate <= 0:
        return "none"
    if rate > 2 / 3:
        return f"{round(rate * 10)} in 10"
    return f"1 in {round(1 / rate):,}"


def count(number: int, noun: str) -> str:
    """
    >>> count(1, "incident"), count(12000, "trace")
    ('1 incident', '12,000 traces')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def clock(at: int, beside: int | None = None) -> str:
    """A time of day in UTC; with its date where that isn't the date of ``beside``.

    >>> clock(1772355900000, 1772356500000), clock(1772355900000)
    ('09:05 UTC', '1 Mar 09:05 UTC')
    """
    moment = datetime.fromtimestamp(at / 1000, UTC)
    if beside is not None and moment.date() == datetime.fromtimestamp(beside / 1000, UTC).date():
        return f"{moment:%H:%M} UTC"
    return f"{moment.day} {moment:%b %H:%M} UTC"


def duration(milliseconds: int) -> str:
    """
    >>> duration(125_000), duration(3 * 3_600_000 + 120_000), duration(50 * 3_600_000), duration(20_000)
    ('2 min', '3 h 2 min', '2 d 2 h', 'less than a minute')
    """
    minutes = milliseconds // 60_000
    if minutes < 1:
        return "less than a minute"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
