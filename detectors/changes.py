"""The version watch of a segment: which values its dimensions take, and when one was new."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from schemas.observation import Profile, profile_of

KNOWN = 32
"""Values known of one dimension. With more of them a dimension names requests, not versions, and is muted."""
RECENT = 32
"""Changes remembered."""
PROFILES = 64
"""Profiles whose frequency is followed."""
HALVE = 4_096
"""Traces after which all frequencies are halved, so that "dominant" means lately."""
SERVED = "served_model"


class Change(NamedTuple):
    """``dimension`` took the value ``current`` for the first time; ``previous`` was its usual one.

    ``trace_id`` is the trace that brought it, empty where a change event announced it.
    """

    time: int
    dimension: str
    previous: str | None
    current: str
    trace_id: str = ""


class ServedChange(NamedTuple):
    """Requests for one model are answered by another one than before."""

    model: str
    previous: str
    current: str


class VersionWatch:
    """Remembers which values each dimension has taken in a segment, and logs what is new.

    Deterministic, no statistics: one trace suffices. The first value ever of a dimension is no change,
    and a value seen before is none either, so a canary that comes and goes is one change, and so is a
    roll-back. A served model is compared among the traces that requested the same model.

    Bounded: 32 values a dimension, 32 requested models, 32 recent changes. A dimension with more values
    than that (a request id in ``versions``) is muted for good.

    **Misleads** where an application doesn't state what it requested: without ``model`` a served model
    is an ordinary dimension, and its change is logged but not signalled.
    """

    __slots__ = ("_counts", "_known", "_last", "_run", "_seen", "_served", "recent")

    def __init__(self) -> None:
        self.recent: deque[Change] = deque(maxlen=RECENT)
        self._known: dict[str, list[str]] = {}
        self._served: dict[str, list[str]] = {}
        self._counts: dict[Profile, int] = {}
        self._seen = 0
        self._last: Profile | None = None
        self._run = 0

    def observe(self, time: int, trace_id: str, profile: Profile) -> ServedChange | None:
        """Absorb one trace; the served model's change if this trace brings one."""
        return None if self.known(profile) else self.meet(time, trace_id, profile)

    def all_known(self, profiles: Sequence[Profile]) -> bool:
        """Count these traces if all of their profiles have been met before; else count none of them."""
        self._settle()
        self._last = None
        if self._seen + len(profiles) >= HALVE:
            return False
        by_id = {id(profile): profile for profile in profiles}
        if not all(profile in self._counts for profile in by_id.values()):
            return False
        for key, count in Counter(map(id, profiles)).items():
            self._counts[by_id[key]] += count
        self._seen += len(profiles)
        return True

    def known(self, profile: Profile) -> bool:
        """Count a trace of a profile met before; False for another one: :meth:`meet` it."""
        if profile is self._last:
            self._run += 1
            return True
        self._settle()
        if profile not in self._counts:
            self._last = None
            return False
        self._last = profile
        self._run = 1
        return True

    def meet(self, time: int, trace_id: str, profile: Profile) -> ServedChange | None:
        """Absorb the trace that brought a new profile."""
        self._last = profile
        self._run = 1
        return self._new_profile(time, trace_id, profile)

    def note(self, time: int, dimension: str, previous: str | None, current: str) -> None:
        """Remember a change that somebody announced."""
        self.recent.append(Change(time, dimension, previous, current))

    def _settle(self) -> None:
        """Count the run of the last profile, as if trace by trace: when this is called changes nothing."""
        last, run = self._last, self._run
        if last is None:
            return
        self._run = 0
        while run:
            part = min(run, HALVE - self._seen)
            self._counts[last] = self._counts.get(last, 0) + part
            self._seen += part
            run -= part
            if self._seen == HALVE:
                self._seen = 0
                self._counts = {profile: n // 2 for profile, n in self._counts.items() if n > 1}

    def _new_profile(self, time: int, trace_id: str, profile: Profile) -> ServedChange | None:
        counts = self._counts
        if len(counts) >= PROFILES:
            usual_ones = sorted(counts, key=counts.__getitem__, reverse=True)[: PROFILES // 2]
            counts = self._counts = {kept: counts[kept] for kept in usual_ones}
        for dimension, value in profile.dimensions().items():
            known = self._known.setdefault(dimension, [])
            if value in known or len(known) > KNOWN:
                continue
            if known and len(known) < KNOWN:
                usual = self._dominant(dimension)
                self.recent.append(Change(time, dimension, usual, value, trace_id))
            known.append(value)
        model, served = profile.model, profile.served_model
        if model is None or served is None:
            return None
        answered = self._served.get(model)
        if answered is None:
            if len(self._served) < KNOWN:
                self._served[model] = [served]
            return None
        if served in answered or len(answered) >= KNOWN:
            return None
        previous = self._dominant(SERVED, model) or answered[-1]
        answered.append(served)
        return ServedChange(model, previous, served)

    def _dominant(self, dimension: str, model: str | None = None) -> str | None:
        """The most frequent value of a dimension lately, among traces that requested ``model`` if given."""
        totals: dict[str, int] = {}
        for profile, count in self._counts.items():
            value = profile.dimensions().get(dimension)
            if value is not None and (model is None or profile.model == model):
                totals[value] = totals.get(value, 0) + count
        return max(totals, key=totals.__getitem__) if totals else None

    def snapshot(self) -> dict[str, Any]:
        self._settle()
        return {
            "recent": [list(change) for change in self.recent],
            "known": {name: list(values) for name, values in self._known.items()},
            "served": {model: list(values) for model, values in self._served.items()},
            "counts": [[list(profile), count] for profile, count in self._counts.items()],
            "seen": self._seen,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.recent = deque((Change(*change) for change in state["recent"]), maxlen=RECENT)
        self._known = {name: list(values) for name, values in state["known"].items()}
        self._served = {name: list(values) for name, values in state["served"].items()}
        self._counts = {profile_of(fields): count for fields, count in state["counts"]}
        self._seen = state["seen"]
        self._last = None
        self._run = 0
