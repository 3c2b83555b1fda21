"""Rolling: the owner of each app reads its observations and keeps what follows from them.

Not Faust: it starts from its state's own position, never from the group's, and commits state,
position and outputs together under a fence (see ``streams.state``). What a commit has not covered is
absorbed again after a restart, with the same result.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition

from schemas.codec import Refused, encode
from schemas.dead_letter import Refusal
from schemas.identity import Coordinates
from schemas.observation import ObservationBatch
from schemas.signal import Recovery, Signal
from schemas.topics import CASE_REQUESTS, DEAD_LETTERS, OBSERVATIONS, ROLLING_STATE, SIGNALS
from streams.batches import consumer, give_up, producer
from streams.health import Heartbeat
from streams.owner_policy import owner_policy
from streams.settings import Settings
from streams.state.base import Fenced, Output, StateStore
from streams.state.ended import name_of, remove_ended
from streams.state.fitness import unfit
from streams.state.kafka import KafkaState
from streams.state.rocks import RocksLedger
from streams.state.sqlite import SqliteState
from streams.steps.ledger import Ledger, Rebuild
from streams.steps.owner import Owner
from streams.steps.pack import decode
from streams.steps.refuse import dead_letter
from streams.topics import topic_configs, topic_lives

log = logging.getLogger(__name__)

COMMIT_SECONDS = 60.0
"""A commit that takes longer hangs; the transaction's own timeout has ended it by then."""
IDLE_COMMIT_SECONDS = 2.0
"""A partition that has heard of nothing but progress is committed this often: its state follows from
hearing it again."""
ROWS_A_COMMIT = 20_000
"""Observations after which a commit is due before its time: what waits for one is kept in memory."""
MAX_RECORDS = 100
"""Observation messages between two looks at the clock: each holds up to a flush of events."""


class Partition:
    """One observations partition: its owner, its store, and how far both have come."""

    def __init__(self, owner: Owner, store: StateStore, ledger: RocksLedger, stream: str) -> None:
        self.owner, self.store, self.ledger, self.stream = owner, store, ledger, stream
        self.position = self.committed = 0
        self.committed_at = time.monotonic()
        self.rows = 0
        """Observations absorbed since the last commit."""
        self.idle = True
        """Whether nothing but progress has been absorbed since the last commit."""
        self._refused: list[Output] = []
        self._sought: int | None = None

    def skips(self, offset: int) -> bool:
        """Whether a batch that begins at ``offset`` leaves out messages that were not absorbed.

        A rebalance can move the reader under a batch that is on its way; then it is read again, once. A
        gap that is still there was made by retention: it is said loudly, and passed.
        """
        if offset <= self.position:
            return False
        if self._sought != self.position:
            self._sought = self.position
            return True
        log.error(
            "rolling: %d messages of partition %d were deleted before they were read",
            offset - self.position,
            self.owner.partition,
        )
        return False

    def absorb(self, offset: int, timestamp: int, value: bytes | None) -> None:
        if offset < self.position:
            return
        try:
            message = decode(value or b"")
        except ValueError as error:
            # Our own topic: a newer Gleaner's message, or a stranger's. Kept, said, and passed.
            at = Coordinates(self.stream, OBSERVATIONS.name, self.owner.partition, offset)
            letter = dead_letter(Refused(Refusal.INVALID, str(error)), at, timestamp, value)
            log.error("observations %s: %s", tuple(at), error)
            self._refused.append(Output(DEAD_LETTERS.name, letter.id, encode(letter)))
            self.idle = False
        else:
            self.owner.absorb(message)
            if isinstance(message, ObservationBatch):
                self.rows += len(message.rows)
                self.idle = False
            elif self.owner.outputs.signals or self.owner.outputs.cases:
                self.idle = False
        self.position = offset + 1

    @property
    def alarmed(self) -> bool:
        return any(isinstance(signal, Signal | Recovery) for signal in self.owner.outputs.signals)

    async def commit(self) -> None:
        """Outputs, state and position as one; then the ledger, which a crash in between rebuilds."""
        report = self.owner.report(self.position)
        outputs = self.owner.take_outputs()
        signals = [*outputs.signals, *self.owner.standings(), *([report] if report else [])]
        messages = [
            *(
                Output(SIGNALS.name, getattr(signal, "app", str(self.owner.partition)), encode(signal))
                for signal in signals
            ),
            *(Output(CASE_REQUESTS.name, case.trace_id, encode(case)) for case in outputs.cases),
            *self._refused,
        ]
        self._refused = []
        await self.store.commit(self.position, self.owner.changes(), messages)
        self.owner.flush_ledger(self.position)
        self.committed, self.committed_at = self.position, time.monotonic()
        self.rows, self.idle = 0, True

    async def close(self) -> None:
        await self.store.close()
        self.ledger.close()


class Rolling(ConsumerRebalanceListener):  # type: ignore[misc]
    """The role: opens what it is assigned, absorbs, commits every ``commit_ms`` and at every alarm."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.policy = owner_policy(settings)
        self.topic = settings.topic(OBSERVATIONS)
        self.partitions: dict[int, Partition] = {}
        self.reader: AIOKafkaConsumer = consumer(settings, "rolling")
        self.out: AIOKafkaProducer | None = None
        self._lock = asyncio.Lock()
        self._assigned_at = time.monotonic()
        self._heartbeat = Heartbeat(settings, "rolling")

    async def run(self, stop: asyncio.Event) -> None:
        if self.settings.embedded:
            self.out = producer(self.settings)
            await self.out.start()
        self.reader.subscribe([self.topic], listener=self)
        await self.reader.start()
        try:
            while not stop.is_set():
                batches = await self.reader.getmany(timeout_ms=100, max_records=MAX_RECORDS)
                async with self._lock:
                    for tp, records in batches.items():
                        owned = self.partitions.get(tp.partition)
                        if owned is None:
                            continue  # taken away while this batch was on its way
                        if owned.skips(records[0].offset):
                            # Fetched before the partition was opened (again): read it from our place.
                            self.reader.seek(tp, owned.position)
                            continue
                        for record in records:
                            owned.absorb(record.offset, record.timestamp, record.value)
                    await self._commit_due()
                self._watch()
                self._heartbeat.beat()
        finally:
            async with self._lock:
                await self._release()
            await self.reader.stop()
            if self.out is not None:
                await self.out.stop()

    async def _commit_due(self) -> None:
        now = time.monotonic()
        for owned in self.partitions.values():
            if owned.position == owned.committed:
                continue
            patience = IDLE_COMMIT_SECONDS if owned.idle else self.settings.commit_ms / 1000
            if owned.alarmed or owned.rows >= ROWS_A_COMMIT or now - owned.committed_at >= patience:
                await self._commit(owned)

    async def _commit(self, owned: Partition) -> None:
        try:
            await asyncio.wait_for(owned.commit(), COMMIT_SECONDS)
            if self.settings.embedded:
                tp = TopicPartition(self.topic, owned.owner.partition)
                if tp in self.reader.assignment():
                    await self.reader.commit({tp: owned.committed})
        except Fenced as error:
            give_up("rolling", f"fenced, {error}")
        except Exception as error:
            log.exception("rolling: commit failed")
            give_up("rolling", f"a commit failed: {error!r}")

    # -- assignment --------------------------------------------------------------------------------

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        async with self._lock:
            await self._release()

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        async with self._lock:
            try:
                stream = await self._stream()
                for tp in sorted(assigned):
                    await self._open(tp, stream)
            except Exception as error:
                log.exception("rolling: cannot open %s", assigned)
                give_up("rolling", f"an assigned partition cannot be opened: {error!r}")

    async def _release(self) -> None:
        for owned in self.partitions.values():
            if owned.position != owned.committed:
                await self._commit(owned)
            await owned.close()
        self.partitions.clear()

    async def _stream(self) -> str:
        """The present life of ``observations``; ends the process where there is no room for its state."""
        settings = self.settings
        lives = await topic_lives(settings, [OBSERVATIONS, ROLLING_STATE])
        configs = await topic_configs(settings, [ROLLING_STATE])
        observations, state = lives[OBSERVATIONS.name], lives[ROLLING_STATE.name]
        why = unfit(
            settings.topic(ROLLING_STATE),
            state.partitions,
            observations.partitions,
            configs.get(ROLLING_STATE.name),
        )
        if why is not None:
            give_up("rolling", why)
        for name in await asyncio.to_thread(
            remove_ended, settings.state_dir, self.topic, observations.stream
        ):
            log.info("rolling: removed %s, of a stream that has ended", name)
        return observations.stream

    async def _open(self, tp: TopicPartition, stream: str) -> None:
        settings = self.settings
        store = self._store(tp.partition, stream)
        opened = await store.open()
        position = await self._readable(tp, opened.position)
        ledger = RocksLedger(
            settings.state_dir / "ledger" / name_of(self.topic, stream, tp.partition),
            logged=settings.embedded,
        )
        owner = Owner(tp.partition, self.policy, Ledger(ledger, self.policy.join_horizon_ms))
        owned = Partition(owner, store, ledger, stream)
        await self._rebuild(tp, owner.ledger, position)
        owner.restore(opened.entries)
        owned.position = owned.committed = position
        self.partitions[tp.partition] = owned
        self.reader.seek(tp, position)
        log.info("rolling: partition %d opened at %d", tp.partition, position)

    def _store(self, partition: int, stream: str) -> StateStore:
        if not self.settings.embedded:
            return KafkaState(self.settings, partition, stream)
        path = self.settings.state_dir / "rolling" / f"{name_of(self.topic, stream, partition)}.sqlite"
        return SqliteState(path, self._send)

    async def _send(self, outputs: Sequence[Output]) -> None:
        assert self.out is not None
        prefix = self.settings.topic_prefix
        acks = [
            await self.out.send(prefix + output.topic, output.value, output.key.encode())
            for output in outputs
        ]
        await asyncio.gather(*acks)

    async def _readable(self, tp: TopicPartition, position: int) -> int:
        """Where to go on: the state's position, unless the log no longer has it, which is said loudly."""
        first = (await self.reader.beginning_offsets([tp]))[tp]
        end = (await self.reader.end_offsets([tp]))[tp]
        if position > end:
            log.error(
                "rolling: partition %d ends at %d, the state has reached %d: the topic was made again; "
                "going on from its beginning",
                tp.partition,
                end,
                position,
            )
            return int(first)
        if position < first:
            log.error(
                "rolling: partition %d begins at %d, the state has reached only %d: %d messages were "
                "deleted before they were read",
                tp.partition,
                first,
                position,
                first - position,
            )
            return int(first)
        return position

    async def _rebuild(self, tp: TopicPartition, ledger: Ledger, upto: int) -> None:
        """Read the ledger's missing part again: after a crash a little, on a new machine the whole."""
        start = ledger.position
        if start >= upto:
            return
        rebuild = Rebuild(ledger, self.policy.lateness_ms)
        reader = consumer(self.settings, "rolling-rebuild", group_id=None)
        await reader.start()
        try:
            reader.assign([tp])
            first = (await reader.beginning_offsets([tp]))[tp]
            reader.seek(tp, max(start, first))
            while (reached := await reader.position(tp)) < upto:
                for record in (await reader.getmany(tp, timeout_ms=200)).get(tp, []):
                    if record.offset < upto:
                        _fold(rebuild, record.value)
                rebuild.flush(min(reached, upto))
            rebuild.flush(upto)
        finally:
            await reader.stop()

    def _watch(self) -> None:
        now = time.monotonic()
        if self.partitions:
            self._assigned_at = now
        elif now - self._assigned_at > 3 * self.settings.session_timeout_ms / 1000:
            give_up("rolling", "no partition was assigned for three session timeouts")


def _fold(rebuild: Rebuild, value: bytes | None) -> None:
    try:
        message = decode(value or b"")
    except ValueError:
        return  # dead-lettered when it was absorbed
    rebuild.absorb(message)


async def run(settings: Settings, stop: asyncio.Event | None = None) -> None:
    """Run the role until ``stop``; commits and closes what it holds before it returns."""
    await Rolling(settings).run(stop or asyncio.Event())
