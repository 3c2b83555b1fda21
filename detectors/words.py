"""What happened, in the words of the person who is woken by it."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from detectors.alarm import Alarm
from detectors.cost_per_success import Dollars
from detectors.recovery import Return
from schemas.catalog import CATALOG, About, Measure
from schemas.signal import Cause, SignalName

FRACTIONS = ((1, 2), (2, 3), (3, 4), (4, 5), (9, 10))


def one_in(share: float) -> str:
    """A share as people say it.

    >>> one_in(0.34), one_in(0.02), one_in(0.65), one_in(0.999)
    ('1 in 3', '1 in 50', '2 in 3', 'nearly all')
    """
    if share >= 0.95:
        return "nearly all"
    if share <= 0.0:
        return "none"
    if share < 0.42:
        return f"1 in {round(1.0 / share)}"
    hits, of = min(FRACTIONS, key=lambda fraction: abs(fraction[0] / fraction[1] - share))
    return f"{hits} in {of}"


def dollars(amount: float) -> str:
    """US dollars to three significant digits.

    >>> dollars(0.0052718), dollars(12.5), dollars(0.0)
    ('$0.00527', '$12.5', '$0')
    """
    text = f"{amount:.3g}"
    return "$" + (f"{amount:.12f}".rstrip("0")[:14] if "e" in text and amount < 1 else text)


def counted(n: int, noun: str) -> str:
    """A count with its noun.

    >>> counted(1, "answer"), counted(1200, "request")
    ('1 answer', '1,200 requests')
    """
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def faithfulness(alarm: Alarm) -> str:
    """Score units of badness: 1 - score."""
    low = sum([unit[1] > 0.5 for unit in alarm.after]) / max(len(alarm.after), 1)
    verb, whose = ("is", "its") if one_in(low).startswith("1 ") else ("are", "their")
    first = (
        f"{one_in(low)} answers {verb} less than half supported by {whose} sources; " if low >= 0.02 else ""
    )
    return (
        f"{first}the mean score fell from {1.0 - alarm.baseline:.2f} to {1.0 - alarm.value:.2f}"
        f" over {counted(alarm.n, 'scored answer')}"
    )


def rate(alarm: Alarm, about: About) -> str:
    """Units are 1 if what the rate ``says`` holds of them."""
    noun = about.units.removesuffix("s")
    share = one_in(alarm.value)
    verb = "is" if share.startswith("1 ") else "are"
    return (
        f"{share} {about.units} {verb} {about.says}, normally {one_in(alarm.baseline)}"
        f" ({alarm.value:.1%} of {counted(alarm.n, noun)}, normally {alarm.baseline:.1%})"
    )


def amount(alarm: Alarm, measure: Measure, subject: str = "a request") -> str:
    """Units are requests. Names the median too: one request can move a mean."""
    verb, write = AMOUNTS[measure]
    text = (
        f"{subject} {verb} {write(alarm.value)} on average, normally {write(alarm.baseline)}"
        f" ({counted(alarm.n, 'request')} since)"
    )
    now = median([unit[1] for unit in alarm.after]) if alarm.after else 0.0
    then = median([unit[1] for unit in alarm.before]) if alarm.before else 0.0
    if then > 0.0:
        text += f"; the middle request {verb} {now / then:.2g} times what it did just before"
    return text


def success(failures: bool, alarm: Alarm, dollars_each: Dollars) -> str:
    """What a successful task costs, and which side of it has moved."""
    side = rate(alarm, CATALOG[SignalName.TASK_FAILURE]) if failures else amount(alarm, Measure.DOLLARS)
    now, normal = dollars(dollars_each.now), dollars(dollars_each.normal)
    return f"a successful task costs about {now}, normally {normal}: {side}{mixed(alarm.verdict.cause)}"


def served_model(model: str, previous: str, current: str) -> str:
    """A deterministic change: no figures."""
    return (
        f"requests for {model} are now answered by {current}, before by {previous};"
        " the requested model did not change"
    )


def returned(signal: SignalName, back: Return) -> str:
    """Why an alarm is over, in words."""
    about = CATALOG[signal]
    if about.measure is Measure.SCORE:
        now, normal = f"{1.0 - back.value:.2f}", f"{1.0 - back.baseline:.2f}"
        bar = "" if back.bound is None else f"; that it is above {1.0 - back.bound:.2f} is shown"
        text = f"the mean score is {now} over {counted(back.n, 'scored answer')}, normally {normal}{bar}"
    elif about.measure is Measure.RATE:
        bar = "" if back.bound is None else f"; that it is below {back.bound:.1%} is shown"
        text = (
            f"{back.value:.1%} of {counted(back.n, about.units.removesuffix('s'))} are {about.says},"
            f" normally {back.baseline:.1%}{bar}"
        )
    else:
        verb, write = AMOUNTS[about.measure]
        text = (
            f"{_subject(signal)} {verb} {write(back.value)} on average, normally {write(back.baseline)}"
            f" ({counted(back.n, 'request')} since)"
        )
    if back.accepted_by is not None:
        return f"accepted as normal by a person, and learned anew; the last before that: {text}"
    if back.renewed:
        return f"baseline renewed, for most prices come from another source now; the last before that: {text}"
    return text + "; no further alarm for thousands of units" if back.quiet else text


def mixed(cause: Cause | None) -> str:
    """Where nothing got worse, and there is only more of what always was.

    >>> mixed(Cause(dimension="tier", previous=None, current="hard", share=0.8, effect="mix"))
    '; nothing got worse in itself: there is more tier hard'
    """
    if cause is None or cause.effect != "mix":
        return ""
    return f"; nothing got worse in itself: there is more {cause.dimension} {cause.current}"


def reason(signal: SignalName, alarm: Alarm) -> str:
    """Why an alarm fired, in words."""
    about = CATALOG[signal]
    if about.measure is Measure.SCORE:
        text = faithfulness(alarm)
    elif about.measure is Measure.RATE:
        text = rate(alarm, about)
    else:
        text = amount(alarm, about.measure, _subject(signal))
    return text + mixed(alarm.verdict.cause)


def _subject(signal: SignalName) -> str:
    return "the first token" if signal is SignalName.TIME_TO_FIRST_TOKEN else "a request"


AMOUNTS: dict[Measure, tuple[str, Callable[[float], str]]] = {
    Measure.DOLLARS: ("costs", dollars),
    Measure.TOKENS: ("takes", lambda n: f"{n:,.0f} tokens"),
    Measure.MILLISECONDS: ("takes", lambda n: f"{n:,.0f} ms" if n < 1_000 else f"{n / 1_000:.3g} s"),
}
