"""What is in flight, written down as *chunks* and read back.

Each commit writes what has been added or changed since the last one, and a chunk is deleted once the
frontiers have passed everything in it. Reading the chunks back in order, and leaving out what the
frontiers have passed, restores the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from schemas.identity import Coordinates
from schemas.observation import Kind, Profile, TraceRow, profile_of
from streams.steps.inflight import Awaited, ConversationOutcome, OpenConversation, Pending, Result
from streams.steps.pack import row_of

CHUNK_ITEMS = 2_000
"""Items in one chunk, which keeps a chunk well below the 2 MiB of an own message."""
PREFIX = "chunk:"
NEVER = -(2**62)
NO_CONVERSATIONS: tuple[tuple[()], ...] = ((),) * 6


Early = Mapping[str, Mapping[str, Result]]
"""By app and trace_id: the scores that have come for traces that are pending."""


class Flying(NamedTuple):
    """Things in flight, and what has become known of them."""

    pending: list[Pending]
    early: dict[Coordinates, Result]
    """The score that has come for a pending trace, by the trace's coordinates."""
    conversations: list[OpenConversation]
    outcomes: list[ConversationOutcome]
    awaited: list[Awaited]

    def longest(self) -> int:
        """Items of the kind of which there are most."""
        return max(len(self.pending), len(self.conversations), len(self.outcomes), len(self.awaited))


class Frontiers(NamedTuple):
    """Up to where things are done: the watermark, the first time that is not decided, queue heads by app."""

    watermark: int | None
    decided_before: int | None
    heads: dict[str, int]


class _Chunk(NamedTuple):
    """Up to where a chunk is still needed: a pending time, a first time, a sequence number by app."""

    pending: int
    conversation: int
    queues: dict[str, int]

    def passed(self, by: Frontiers) -> bool:
        return (
            (self.pending == NEVER or (by.watermark is not None and self.pending <= by.watermark))
            and (
                self.conversation == NEVER
                or (by.decided_before is not None and self.conversation < by.decided_before)
            )
            and all(seq < by.heads.get(app, 0) for app, seq in self.queues.items())
        )


class ChunkLog:
    """Which chunks exist, what has changed since the last commit, and what the next commit writes.

    Whoever opens a conversation, learns something of one, or adds or changes an awaited score, appends it
    to the list of its kind here; whoever learns something of a pending row, to ``pending``.
    """

    def __init__(self) -> None:
        self._next = 0
        self._alive: dict[int, _Chunk] = {}
        self.pending: list[Pending] = []
        self.conversations: list[OpenConversation] = []
        self.outcomes: list[ConversationOutcome] = []
        self.awaited: list[Awaited] = []

    def changes(
        self, frontiers: Frontiers, fresh: Iterable[Pending], early: Early
    ) -> dict[str, bytes | None]:
        """State entries to write and to delete (None); ``fresh`` are the rows that no chunk has yet."""
        self.pending += fresh
        changed = Flying(_once(self.pending), {}, self.conversations, self.outcomes, _once(self.awaited))
        needed = _needed(changed, frontiers)
        for items in (self.pending, self.conversations, self.outcomes, self.awaited):
            items.clear()
        written: dict[str, bytes | None] = {}
        for start in range(0, needed.longest(), CHUNK_ITEMS):
            end = start + CHUNK_ITEMS
            part = Flying(
                needed.pending[start:end],
                {},
                needed.conversations[start:end],
                needed.outcomes[start:end],
                needed.awaited[start:end],
            )
            written[_name(self._next)] = _encode(part, early)
            self._alive[self._next] = _extent(part)
            self._next += 1
        for number, chunk in list(self._alive.items()):
            if chunk.passed(frontiers):
                del self._alive[number]
                written[_name(number)] = None
        return written

    def forget(self) -> None:
        """Nothing of what has changed will be written: a run that is not to be resumed."""
        for items in (self.pending, self.conversations, self.outcomes, self.awaited):
            items.clear()

    def restore(self, entries: dict[str, bytes], frontiers: Frontiers) -> Flying:
        """What is in flight, from the chunks among ``entries``, each kind in its order."""
        pending: dict[Coordinates, Pending] = {}
        awaited: dict[tuple[str, int], Awaited] = {}
        found = Flying([], {}, [], [], [])
        for name in sorted(n for n in entries if n.startswith(PREFIX)):
            chunk = _decode(entries[name])
            number = int(name.removeprefix(PREFIX))
            self._alive[number] = _extent(chunk)
            self._next = max(self._next, number + 1)
            found.early.update(chunk.early)
            found.conversations.extend(chunk.conversations)
            found.outcomes.extend(chunk.outcomes)
            pending.update((item.at, item) for item in chunk.pending)  # the latest of each counts
            awaited.update(((item.app, item.seq), item) for item in chunk.awaited)
        found.pending.extend(sorted(pending.values()))
        found.awaited.extend(sorted(awaited.values(), key=lambda item: item.seq))
        found.conversations.sort(key=lambda talk: talk.first_time)
        return _needed(found, frontiers)


def _needed(items: Flying, frontiers: Frontiers) -> Flying:
    """What the frontiers have not passed."""
    watermark, decided_before, heads = frontiers
    pending, conversations, outcomes = items.pending, items.conversations, items.outcomes
    if watermark is not None:
        pending = [item for item in pending if item[0] > watermark]
    if decided_before is not None:
        conversations = [item for item in conversations if item[2] >= decided_before]
        outcomes = [item for item in outcomes if item[2] >= decided_before]
    awaited = [item for item in items.awaited if item.seq >= heads.get(item.app, 0)]
    return Flying(pending, items.early, conversations, outcomes, awaited)


def _once(items: list[Any]) -> list[Any]:
    """Each item once, by its own identity: equal ones may be two."""
    return list({id(item): item for item in items}.values())


def _name(number: int) -> str:
    return f"{PREFIX}{number:012d}"


def _extent(items: Flying) -> _Chunk:
    queues: dict[str, int] = {}
    for item in items.awaited:
        queues[item.app] = max(queues.get(item.app, 0), item.seq)
    return _Chunk(
        max([item[0] for item in items.pending], default=NEVER),
        max([i[2] for i in items.conversations] + [i[2] for i in items.outcomes], default=NEVER),
        queues,
    )


def _encode(items: Flying, early: Early) -> bytes:
    """Column by column where there are many."""
    profiles: dict[Profile, int] = {}
    place = _places(profiles)
    pending, conversations = items.pending, items.conversations
    return orjson.dumps(
        {
            "p": [
                [item[3] for item in pending],
                [item[5][:] for item in pending],
                [None if item[6] is None else place(item[6]) for item in pending],
                [item[4][:] for item in pending],
            ],
            "early": [
                [at, _plain(score)]
                for at, item in enumerate(pending)
                if (scores := early[item[3]]) and (score := scores.get(item[1])) and item[2] == Kind.TRACE
            ],
            "v": [
                *zip(*[item[:4] + item[5:] for item in conversations], strict=True),
            ]
            or NO_CONVERSATIONS,
            "of": [place(item[4]) for item in conversations],
            "e": [item[:] for item in items.outcomes],
            "q": [
                [i.app, i.seq, i.row[:], place(i.profile), i.at[:], i.unit, i.asked_at, _plain(i.result)]
                for i in items.awaited
            ],
            "profiles": [profile[:] for profile in profiles],
        }
    )


def _places(profiles: dict[Profile, int]) -> Callable[[Profile], int]:
    """Numbers profiles; hundreds of items share one object, whose fields are then hashed once."""
    known: dict[int, int] = {}

    def place(profile: Profile) -> int:
        found = known.get(id(profile))
        if found is None:
            found = known[id(profile)] = profiles.setdefault(profile, len(profiles))
        return found

    return place


def _plain(result: Result | None) -> list[Any] | None:
    return None if result is None else [*result[:3], result.at and result.at[:]]


def _result(fields: list[Any] | None) -> Result | None:
    return None if fields is None else Result._make([*fields[:3], fields[3] and Coordinates(*fields[3])])


def _decode(data: bytes) -> Flying:
    """The items of a chunk, needed or not."""
    chunk = orjson.loads(data)
    profiles = [profile_of(fields) for fields in chunk["profiles"]]
    items = Flying([], {}, [], [ConversationOutcome(*fields) for fields in chunk["e"]], [])
    for app, fields, which, where in zip(*chunk["p"], strict=True):
        row, at = row_of(fields), Coordinates(*where)
        profile = None if which is None else profiles[which]
        items.pending.append(Pending(row.time, row.trace_id, row.kind, app, at, row, profile))
    for place, scored in chunk["early"]:
        if (result := _result(scored)) is not None:
            items.early[items.pending[place].at] = result
    for app, name, first, trace_id, user, succeeded, which in zip(*chunk["v"], chunk["of"], strict=True):
        talk = OpenConversation(app, name, first, trace_id, profiles[which], user, succeeded)
        items.conversations.append(talk)
    for app, seq, fields, which, where, unit, asked_at, scored in chunk["q"]:
        trace = row_of(fields)
        assert isinstance(trace, TraceRow)
        at = Coordinates(*where)
        items.awaited.append(Awaited(app, seq, trace, profiles[which], at, unit, asked_at, _result(scored)))
    return items
