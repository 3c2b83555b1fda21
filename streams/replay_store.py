"""Writes a replay's results to an eval store, as the store role would have."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from schemas.signal import Recovery, Signal, WindowStat
from sinks.evalstore.owner import StoreOwner
from streams.replay import Replayed, cases_of
from streams.steps.letter import kept_letter
from streams.steps.privacy import Privacy

BATCH = 1_000


class Stored(NamedTuple):
    """Failing traces of this replay, and how many clusters they are."""

    cases: int
    distinct: int


def write_store(
    path: Path, done: Replayed, files: Sequence[Path], privacy: Callable[[str], Privacy]
) -> Stored:
    """Write cases, signals, windows, incidents and dead letters; publish a snapshot for readers.

    Idempotent: replaying a file into its own store adds nothing. Raises ``StoreError`` where the store
    is owned by another process or is no store.
    """
    with StoreOwner.open(path) as owner:
        case_ids: set[str] = set()
        cases = cases_of(done.requests, files, privacy)
        while batch := list(islice(cases, BATCH)):
            owner.write(cases=batch, now=_now())
            case_ids.update(case.case_id for case in batch)
        clusters = owner.clusters(case_ids)
        owner.write(
            signals=[s for s in done.signals if isinstance(s, Signal)],
            recoveries=[s for s in done.signals if isinstance(s, Recovery)],
            windows=[s for s in done.signals if isinstance(s, WindowStat)],
            incidents=done.incidents(),
            dead_letters=[kept_letter(letter, privacy) for letter in done.dead_letters],
            now=_now(),
        )
        owner.publish(_now())
    return Stored(len(case_ids), clusters)


def _now() -> int:
    return int(time.time() * 1000)
