"""The ledger of an observations partition: identity to the coordinates of the event that won it.

It holds claim checks, not traces, for the join horizon. It is a fold over the observations topic: the
rolling stage writes it after each commit of its state, and what a crash left unwritten (or a new
machine has not at all) is read again from the topic. Keys carry the app, so two apps never meet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import orjson

from schemas.identity import Coordinates
from schemas.observation import Flag, Kind, ObservationBatch, Profile, Source, TraceRow

SCORE_REQUESTED = Flag.SCORE_REQUESTED.value


class LedgerStore(Protocol):
    """Bytes to bytes, written in batches together with the position that they reach."""

    def get(self, key: bytes) -> bytes | None: ...

    def write(self, entries: dict[bytes, bytes], position: int) -> None: ...

    def position(self) -> int:
        """The offset in ``observations`` up to which this ledger is complete; 0 for an empty one."""
        ...


class MemoryLedger:
    """A ledger for one run: replay, tests."""

    def __init__(self) -> None:
        self._entries: dict[bytes, bytes] = {}
        self._position = 0

    def get(self, key: bytes) -> bytes | None:
        return self._entries.get(key)

    def write(self, entries: dict[bytes, bytes], position: int) -> None:
        # Copies: what orjson returns holds on to its whole buffer, 4 KB for the 200 bytes of an entry.
        self._entries.update([(key, bytes(memoryview(value))) for key, value in entries.items()])
        self._position = position

    def position(self) -> int:
        return self._position

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._entries)


class Known(NamedTuple):
    """What the ledger remembers of a trace: enough to join feedback and to fetch the trace."""

    at: Coordinates
    time: int
    environment: str
    route: str
    conversation_id: str | None
    cost: float | None
    price: int


class Conversation(NamedTuple):
    """First trace's time, and the (time, trace_id) of the first turn that can be scored."""

    first_time: int
    scored_turn: tuple[int, str] | None


class Ledger:
    """Reads through to the store; writes stay in memory until ``flush`` puts them down as one batch."""

    def __init__(self, store: LedgerStore) -> None:
        self._store, self._lookup = store, store.get
        self._fresh: dict[bytes, bytes] = {}
        self._turns: dict[bytes, Conversation] = {}
        self._prefixes: dict[str, tuple[bytes, bytes]] = {}

    def trace(self, app: str, trace_id: str) -> Known | None:
        data = self._get(self._prefix(app)[0] + trace_id.encode())
        if data is None:
            return None
        at, *rest = orjson.loads(data)
        return Known(Coordinates(*at), *rest)

    def add_trace(self, app: str, row: TraceRow, at: Coordinates, profile: Profile) -> bool:
        """Claim a trace's identity; False when other coordinates hold it already: a duplicate."""
        key = self._prefix(app)[0] + row[1].encode()
        fresh = self._fresh
        data = fresh[key] if key in fresh else self._lookup(key)
        if data is not None:
            return bool(Coordinates(*orjson.loads(data)[0]) == at)
        fresh[key] = orjson.dumps((at[:], row[0], profile[0], profile[1], row[7], row[10], row[11]))
        return True

    def add_traces(
        self, app: str, rows: Sequence[TraceRow], ats: Sequence[Coordinates], profiles: Sequence[Profile]
    ) -> bool:
        """Claim all of these identities if nobody holds one of them, nor two of them are the same; else
        claim none, and ``add_trace`` tells them apart. The quick way for the many."""
        prefix, fresh, lookup = self._prefix(app)[0], self._fresh, self._lookup
        keys = [prefix + row[1].encode() for row in rows]
        claimed = set(keys)
        # The view asks for each of ours; the set would ask for each of all that is fresh.
        if len(claimed) < len(keys) or not fresh.keys().isdisjoint(claimed):
            return False
        if not all([lookup(key) is None for key in keys]):  # noqa: C419 - half the time of a generator
            return False
        values = [
            orjson.dumps((at[:], row[0], profiles[row[6]][0], profiles[row[6]][1], row[7], row[10], row[11]))
            for row, at in zip(rows, ats, strict=True)
        ]
        fresh.update(zip(keys, values, strict=True))
        for row in rows:
            if row[7] is not None:
                self.note_turn(app, row)
        return True

    def add(self, identity: str, at: Coordinates) -> bool:
        """Claim any other identity (feedback, score, change); False for a duplicate."""
        key = b"i" + identity.encode()
        data = self._get(key)
        if data is not None:
            return bool(Coordinates(*orjson.loads(data)) == at)
        self._fresh[key] = orjson.dumps(list(at))
        return True

    def conversation(self, app: str, conversation_id: str) -> Conversation:
        """A conversation that has been noted."""
        known = self._conversation(self._prefix(app)[1] + conversation_id.encode())
        assert known is not None, "noted when its first trace was absorbed"
        return known

    def _conversation(self, key: bytes) -> Conversation | None:
        known = self._turns.get(key)
        if known is not None:
            return known
        data = self._store.get(key)
        if data is None:
            return None
        first_time, turn = orjson.loads(data)
        return Conversation(first_time, tuple(turn) if turn else None)

    def note_turn(self, app: str, row: TraceRow) -> Conversation:
        """Remember a turn of a conversation that has an id; returns the conversation with it."""
        assert row.conversation_id is not None
        key = self._prefix(app)[1] + row.conversation_id.encode()
        known, this = self._conversation(key), (row[0], row[1])
        if known is None:
            now = Conversation(row[0], this if scorable(row) else None)
        else:
            first, turn = known
            better = (turn is None or this < turn) and scorable(row)
            if not better and first <= row[0]:
                return known
            now = Conversation(min(first, row[0]), this if better else turn)
        self._turns[key] = now
        return now

    def fold(self, batch: ObservationBatch) -> None:
        """Absorb a batch again, for its identities alone: how a missing ledger is rebuilt."""
        for row in batch.rows:
            at = coordinates(batch.sources[row.source], row.offset, row.element)
            if isinstance(row, TraceRow):
                if self.add_trace(batch.app, row, at, batch.profiles[row.profile]) and row.conversation_id:
                    self.note_turn(batch.app, row)
            elif row.kind == Kind.FEEDBACK:
                self.add(row.feedback_id, at)  # type: ignore[union-attr]
            elif row.kind == Kind.SCORE:
                self.add(row.score_id, at)  # type: ignore[union-attr]
            else:
                self.add(row.change_id, at)  # type: ignore[union-attr]

    def flush(self, position: int) -> None:
        """Write down everything since the last flush, complete up to ``position``."""
        turns = {key: orjson.dumps(conversation[:]) for key, conversation in self._turns.items()}
        self._store.write(self._fresh | turns, position)
        self._fresh, self._turns = {}, {}

    @property
    def position(self) -> int:
        return self._store.position()

    def _get(self, key: bytes) -> bytes | None:
        data = self._fresh.get(key)
        return data if data is not None else self._store.get(key)

    def _prefix(self, app: str) -> tuple[bytes, bytes]:
        """How the keys of an app's traces and conversations begin: with its length, so that no two mix."""
        prefix = self._prefixes.get(app)
        if prefix is None:
            named = f"{len(app)}:{app}".encode()
            prefix = self._prefixes[app] = b"t" + named, b"c" + named
        return prefix


def scorable(row: TraceRow) -> bool:
    """Whether a faithfulness score comes with the trace or was asked for."""
    return row[15] is not None or bool(row[9] & SCORE_REQUESTED)


_coordinates = partial(tuple.__new__, Coordinates)


def coordinates(source: Source, offset: int, index: int) -> Coordinates:
    return _coordinates((source[0], source[1], source[2], offset, index))
