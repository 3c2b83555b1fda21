"""Files of events as rows of observations, in event-time order.

What a million events take is what is kept of each: one row, whose profile and source are numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from schemas.codec import Element, Refused, classify, read_traces, split
from schemas.dead_letter import DeadLetter
from schemas.identity import Coordinates
from schemas.observation import Profile, Row, ScoreRow, Source
from schemas.trace import TraceEvent
from streams.judges.offline import score_request_now
from streams.lines import Line, read_lines
from streams.steps.ingest import IngestPolicy, observe
from streams.steps.observe import Observed, observe_score, observe_trace
from streams.steps.prices import Prices
from streams.steps.refuse import dead_letter

STREAM = "file"
SEEN_EVERY = 1_000
Seen = Callable[[int], None]
Item = tuple[Row, str, ScoreRow | None]
"""A row, its app, and the score that the offline scorer gave its answer if that was wanted."""
_TOLD = frozenset({"event", "kind"})
"""Fields by which a line with a ``trace_id`` may be something other than a trace."""


class FileRows(NamedTuple):
    """``items`` are in the order of application. A row's ``source`` indexes ``sources``, a trace's
    ``profile`` ``profiles``; a score's source is its trace's, ``len(sources) // 2`` places further on."""

    events: int
    items: list[Item]
    dead_letters: list[DeadLetter]
    sources: list[Source]
    profiles: list[Profile]


def read_rows(files: Sequence[Path], policy: IngestPolicy, seen: Seen = lambda events: None) -> FileRows:
    """Read and validate all events of the files. Raises ``OSError`` where one cannot be read."""
    # Sources are numbered by name, so that rows of one instant are in the order of their files' names.
    ranks = sorted(range(len(files)), key=lambda file: (str(files[file]), file))
    sources = [Source(STREAM, str(files[file]), file) for file in ranks]
    sources += [source._replace(topic=source.topic + "#scores") for source in sources]
    found = FileRows(0, [], [], sources, [])
    reader = _Reader(found, policy)
    events = 0
    for rank, file in enumerate(ranks):
        for _ in reader.read(files[file], file, rank):
            events += 1
            if not events % SEEN_EVERY:
                seen(events)
    found.items.sort(key=itemgetter(0))
    return found._replace(events=events)


class _Reader:
    def __init__(self, found: FileRows, policy: IngestPolicy) -> None:
        self._found, self._policy, self._prices = found, policy, Prices()
        self._profiles: dict[Profile, int] = {}
        self._names: dict[str, str] = {}

    def read(self, path: Path, file: int, rank: int) -> Iterator[None]:
        """Take in a file's events, one at a time; coordinates are byte offsets."""
        found, policy, prices = self._found, self._policy, self._prices
        source, previous = found.sources[rank], 0
        for line in read_lines(path, file):
            traces = _plain_traces(line.data, policy.max_event_bytes)
            if traces is not None:
                for index, trace in enumerate(traces):
                    at = Coordinates(*source, line.offset, index)
                    # A line without a time takes the line's before; a file has no broker to clamp by.
                    before = previous if trace.timestamp is None else None
                    observed = observe_trace(trace, at, before, prices, policy.scoring)
                    previous = observed.row[0]
                    self._keep(observed, rank)
                    yield
                continue
            for index, element in enumerate(split(line.data, policy.max_event_bytes)):
                at = Coordinates(*source, line.offset, index)
                result = _observe(element, at, previous, policy, prices)
                if isinstance(result, Refused):
                    found.dead_letters.append(dead_letter(_placed(result, line), at, previous, line.data))
                else:
                    previous = result.row[0]
                    self._keep(result, rank)
                yield

    def _keep(self, observed: Observed, rank: int) -> None:
        app, profile, row, request = observed
        app = self._names.setdefault(app, app)
        score = None
        if request is not None:
            at = Coordinates(*self._found.sources[rank], row[4], row[5])
            scored = observe_score(score_request_now(request), at).row
            assert isinstance(scored, ScoreRow)
            score = scored._replace(source=rank + len(self._found.sources) // 2)
        if profile is None:
            kept = tuple.__new__(type(row), (*row[:3], rank, *row[4:]))
        else:
            which = self._profiles.get(profile)
            if which is None:
                which = self._profiles[profile] = len(self._found.profiles)
                self._found.profiles.append(profile)
            kept = tuple.__new__(type(row), (*row[:3], rank, row[4], row[5], which, *row[7:]))
        self._found.items.append((kept, app, score))


def _plain_traces(data: bytes, max_event_bytes: int) -> list[TraceEvent] | None:
    """The traces of a line that can hold nothing else, as ``classify`` and ``validate`` would read them: the
    quick way for the many. None where they have to decide."""
    if b'"kind"' in data:
        return None
    traces = read_traces(data, max_event_bytes)
    if traces is None:
        return None
    for trace in traces:
        extra = trace.__pydantic_extra__
        if extra and not _TOLD.isdisjoint(extra):
            return None
    return traces


def _observe(
    element: Element | Refused, at: Coordinates, previous: int, policy: IngestPolicy, prices: Prices
) -> Observed | Refused:
    if isinstance(element, Refused):
        return element
    kind = classify(element.value)
    if isinstance(kind, Refused):
        return kind
    timed = element.value.get("timestamp") is not None
    return observe(kind, element.value, at, None if timed else previous, policy, prices)


def _placed(refused: Refused, line: Line) -> Refused:
    return refused._replace(message=f"line {line.number}: {refused.message}")
