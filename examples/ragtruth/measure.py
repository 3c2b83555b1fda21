"""What the offline scorer is worth on labelled answers: AUROC, the floor, answers per second.

    python examples/ragtruth/measure.py RAGTRUTH.jsonl

Prints, for each task, how well the score ranks answers with a hallucination below the others (0.5 is
chance, 1.0 perfect) with a 95 % interval by resampling sources, and what the floor flags. Never pools
tasks: their base rates differ, and a pooled number would measure that.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from streams.judges.base import Scored
from streams.judges.offline import FLOOR, NAME, VERSION, verdict_of

RESAMPLES = 300


class Labelled(NamedTuple):
    source: str
    task: str
    value: float
    bad: bool


def auroc(rows: Sequence[Labelled]) -> float:
    """Probability that a bad answer scores below a good one; ties count half.

    >>> auroc([Labelled("a", "t", 0.1, True), Labelled("b", "t", 0.9, False)])
    1.0
    """
    ordered = sorted(rows, key=lambda row: row.value)
    bad = sum(row.bad for row in rows)
    total, place = 0.0, 0
    while place < len(ordered):
        end = place
        while end < len(ordered) and ordered[end].value == ordered[place].value:
            end += 1
        total += (place + end + 1) / 2 * sum(not row.bad for row in ordered[place:end])
        place = end
    good = len(rows) - bad
    return (total - good * (good + 1) / 2) / (bad * good)


def interval(rows: Sequence[Labelled]) -> tuple[float, float]:
    """95 % interval of the AUROC by resampling sources: several answers share one."""
    by_source: dict[str, list[Labelled]] = {}
    for row in rows:
        by_source.setdefault(row.source, []).append(row)
    sources, rng = list(by_source.values()), random.Random(1)
    values = sorted(
        auroc([row for group in rng.choices(sources, k=len(sources)) for row in group])
        for _ in range(RESAMPLES)
    )
    return values[round(0.025 * RESAMPLES)], values[round(0.975 * RESAMPLES) - 1]


def report(task: str, rows: Sequence[Labelled]) -> dict[str, Any]:
    flagged = [row for row in rows if row.value < FLOOR]
    values = sorted(row.value for row in rows)
    low, high = interval(rows)
    return {
        "task": task,
        "answers": len(rows),
        "hallucinated": round(sum(row.bad for row in rows) / len(rows), 3),
        "auroc": round(auroc(rows), 3),
        "auroc_95": [round(low, 3), round(high, 3)],
        "percentile_20": round(values[len(values) // 5], 3),
        "flagged": round(len(flagged) / len(rows), 3),
        "precision": round(sum(row.bad for row in flagged) / max(1, len(flagged)), 3),
        "recall": round(sum(row.bad for row in flagged) / sum(row.bad for row in rows), 3),
        "median_of_good": round(median(row.value for row in rows if not row.bad), 3),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="RAGTruth rows as JSONL")
    path = parser.parse_args(arguments).file
    try:
        rows = [json.loads(line) for line in path.read_bytes().split(b"\n") if line.strip()]
    except (OSError, ValueError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 2
    begun = time.perf_counter()
    verdicts = [verdict_of(row["question"], row["answer"], row["contexts"]) for row in rows]
    seconds = time.perf_counter() - begun
    labelled = [
        Labelled(row["source_id"], row["task_type"], verdict.value, row["hallucinated"])
        for row, verdict in zip(rows, verdicts, strict=True)
        if isinstance(verdict, Scored)
    ]
    rate = len(rows) / seconds
    unscored = len(rows) - len(labelled)
    print(f"{NAME} {VERSION}, floor {FLOOR}: {unscored} unscored, {rate:.0f} answers/s on one core")
    for task in sorted({row.task for row in labelled}):
        print(json.dumps(report(task, [row for row in labelled if row.task == task])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
