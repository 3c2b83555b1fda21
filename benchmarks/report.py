"""Medians and ranges over the rounds; ratios are taken within a round, between neighbours in time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import median
from typing import NamedTuple

from benchmarks.plan import CASES, FAUST, INGEST, MARKS, RAW, ROLLING, WHOLE, Mark, Shape
from benchmarks.rounds import Round

Results = dict[Shape, list[Round]]


class Spread(NamedTuple):
    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """
        >>> Spread.of([3, 1, 2])
        Spread(low=1, median=2, high=3)
        """
        ordered = sorted(values)
        return cls(ordered[0], median(ordered), ordered[-1])

    def show(self, digits: int) -> str:
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f}–{self.high:,.{digits}f})"


def rate(measured: Round, case: str) -> float:
    """Events per CPU-second. The whole path spends the CPU of both its stages on each event."""
    if case == WHOLE:
        return 1 / (1 / measured[INGEST].rate + 1 / measured[ROLLING].rate)
    return measured[case].rate


def ratios(rounds: list[Round], case: str, of: str) -> Spread:
    return Spread.of(rate(measured, case) / rate(measured, of) for measured in rounds)


def table(shape: Shape, rounds: list[Round]) -> Iterator[str]:
    """A Markdown table of one shape."""
    events = rounds[0][RAW].events
    yield f"{shape.name}: {shape.per_message} per message, {events:,} events a round, {len(rounds)} rounds"
    yield ""
    yield "| case | events per CPU-second | of bare Faust | of raw aiokafka |"
    yield "|---|---|---|---|"
    for case in (*CASES, WHOLE):
        cells = [Spread.of(rate(measured, case) for measured in rounds).show(0)]
        cells += [ratios(rounds, case, of).show(2) if case != of else "1" for of in (FAUST, RAW)]
        yield f"| {case} | " + " | ".join(cells) + " |"
    yield ""
    late = max(m[ROLLING].notes["late"] + m[ROLLING].notes["duplicates"] for m in rounds)
    yield f"late or duplicate, up to the last round: {late} of {rounds[-1][ROLLING].notes['traces']:,} traces"


def verdict(mark: Mark, results: Results) -> tuple[bool, str]:
    """Whether the median reaches the mark, in words."""
    found = ratios(results[mark.shape], mark.case, mark.of)
    held = found.median >= mark.least
    word = "holds" if held else "MISSED"
    return held, f"{word}: {mark.shape.name}, {mark.case} >= {mark.least:.2f} of {mark.of}: {found.show(2)}"


def verdicts(results: Results) -> list[tuple[bool, str]]:
    return [verdict(mark, results) for mark in MARKS if mark.shape in results]
