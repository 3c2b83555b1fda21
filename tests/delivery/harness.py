"""Starts real workers on a real broker, waits for what they do, and reads back all that they have done."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]

from schemas.case import EvalCase
from schemas.dead_letter import DeadLetter
from schemas.signal import SIGNAL_RECORD, RollingReport, Signal, SignalRecord
from schemas.topics import CASES, DEAD_LETTERS, ROLLING_STATE, SIGNALS, Topic
from streams.lag import lag
from streams.replay import replay
from streams.settings import Settings
from streams.topics import ensure_topics
from tests.delivery.events import Event, write
from tests.steps.logs import WindowKey, WindowSums, added_up

PROGRAM = Path(__file__).with_name("program.py")
SESSION_MS = 2_000
"""Session timeout of who is to die: its successor waits for it."""
LASTING_MS = 6_000
"""Session timeout of who is to live, as an operator may set it: a pause on a busy machine is not its end."""
PATIENCE = 90.0
"""Seconds that anything may take on two busy cores before a test says that it does not happen."""


class Worker:
    """A worker process; its log is at hand when a test fails."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self.log = process, log

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit status; minus the signal that ended it."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds} s\n{self.tail()}") from None

    def stopped(self) -> bool:
        """Whether a signal has frozen it; the process is not reaped by asking."""
        found = os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT)
        return found is not None and found.si_code == os.CLD_STOPPED

    def tail(self) -> str:
        return f"{self.log.name}: {self.text()[-3_000:]}"

    def text(self) -> str:
        """All that it has logged."""
        return self.log.read_text(errors="replace")


class Outcome(NamedTuple):
    """All that a run has concluded, in a form that is equal for equal conclusions.

    ``windows`` holds what the parts of each window add up to, not how many there were;
    ``cases`` counts the distinct events of each case, so that a repetition changes nothing.
    """

    alarms: dict[str, Signal]
    windows: dict[WindowKey, WindowSums]
    cases: dict[tuple[str, str], Counter[tuple[str, ...]]]
    counters: dict[str, dict[str, int]]

    def difference(self, other: Outcome) -> str:
        """Where two outcomes differ, in a few lines."""
        lines = []
        for name in self._fields:
            mine: Mapping[Any, Any] = getattr(self, name)
            theirs: Mapping[Any, Any] = getattr(other, name)
            keys = [k for k in {*mine, *theirs} if mine.get(k) != theirs.get(k)]
            lines += [f"{name} {k}: {mine.get(k)!s:.300} != {theirs.get(k)!s:.300}" for k in keys[:4]]
            lines += [f"{name}: and {len(keys) - 4} more"] if len(keys) > 4 else []
        return "\n".join(lines)


class Deployment:
    """One Gleaner of its own: topics with a prefix of their own, and a state directory of its own."""

    def __init__(self, brokers: str, directory: Path, **settings: object) -> None:
        self.directory = directory
        embedded = bool(settings.get("embedded"))
        values: dict[str, object] = {
            "brokers": brokers,
            "topic_prefix": "" if embedded else f"d-{uuid.uuid4().hex[:12]}.",
            "state_dir": directory / "state",
            "partitions": 2,
            "flush_size": 40,
            "flush_seconds": 0.1,
            "commit_ms": 100,
            "log_level": "INFO",
            "stop_seconds": PATIENCE - 5,
        }
        self.values = values | settings
        self.settings = Settings(**self.values)  # type: ignore[arg-type]
        self.least_session_ms = LASTING_MS if embedded else least_session_ms(brokers)
        self.workers: list[Worker] = []
        self._released = directory / "released"

    async def create(self) -> Deployment:
        await ensure_topics(self.settings)
        return self

    # -- workers -----------------------------------------------------------------------------------

    def start(
        self, *, only: str | None = None, fault: str | None = None, dies: bool = False, **settings: object
    ) -> Worker:
        """Start a worker; ``fault`` as ``program.py`` has it, ``settings`` for this worker alone.

        Kafka notices the death of one that ``dies``, or has a fault, soon. Ingest is slow until ``release``
        is called.
        """
        values = {f"GLEANER_{name.upper()}": str(value) for name, value in (self.values | settings).items()}
        session = max(SESSION_MS if dies or fault else LASTING_MS, self.least_session_ms)
        command = [sys.executable, "-P", str(PROGRAM), "--session", str(session)]
        command += ["--slow-until", str(self._released)]
        command += ["--only", only] if only else []
        command += ["--fault", fault] if fault else []
        log = self.directory / f"worker-{len(self.workers) + 1}.log"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GLEANER_")} | values
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, cwd=self.directory, env=environment, stdout=out, stderr=subprocess.STDOUT
            )
        worker = Worker(process, log)
        self.workers.append(worker)
        return worker

    def release(self) -> None:
        """Whatever was to happen in mid-stream has happened: let the stream flow."""
        self._released.touch()

    def end(self) -> None:
        """Kill what is left: the end of a test, whatever became of it."""
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.process.kill()
                worker.process.wait()

    async def until(self, happened: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
        """Wait until ``happened``; on the way, a worker that has ended unexpectedly is told."""
        deadline = time.monotonic() + seconds
        while not happened():
            if time.monotonic() > deadline:
                tails = "\n".join(worker.tail() for worker in self.workers)
                raise AssertionError(f"within {seconds} s: not {what}\n{tails}")
            await asyncio.sleep(0.05)

    # -- what goes in ------------------------------------------------------------------------------

    def publish(self, events: Iterable[Event], **producer: object) -> None:
        """Publish the events with confluent-kafka, in their order, with the partitioner of the Java client.

        Without idempotence a retried batch could come behind its successor, and its events late.
        """
        options = {"partitioner": "murmur2_random", "linger.ms": 5, "enable.idempotence": True} | producer
        out = Producer({"bootstrap.servers": self.settings.brokers, **options})
        for event in events:
            key = event.key.encode() or None
            out.produce(self.settings.topic_prefix + event.topic, event.data(), key)
            out.poll(0)
        assert out.flush(30) == 0

    # -- what has come out -------------------------------------------------------------------------

    def read(self, topic: Topic) -> list[Message]:
        """Every committed record of the topic, up to its present end, in the order of each partition."""
        return read_topic(self.settings, topic)

    def records(self) -> list[SignalRecord]:
        return [SIGNAL_RECORD.validate_json(_value(message)) for message in self.read(SIGNALS)]

    def counters(self) -> dict[str, dict[str, int]]:
        return counted(self.records())

    def cases(self) -> list[EvalCase]:
        return [EvalCase.model_validate_json(_value(message)) for message in self.read(CASES)]

    def dead_letters(self) -> list[DeadLetter]:
        return [DeadLetter.model_validate_json(_value(message)) for message in self.read(DEAD_LETTERS)]

    def rolling_state(self) -> dict[tuple[int, str], bytes]:
        """The state of every observations partition, as its next owner would read it."""
        state: dict[tuple[int, str], bytes] = {}
        for message in self.read(ROLLING_STATE):
            place = (message.partition() or 0, _key(message))
            value = message.value()
            if value is None:
                state.pop(place, None)
            else:
                state[place] = value
        return state

    def outcome(self) -> Outcome:
        records = self.records()
        alarms = {record.id: record for record in records if isinstance(record, Signal)}
        repeated = [r for r in records if isinstance(r, Signal) and alarms[r.id] != r]
        assert not repeated, f"one id, two signals: {repeated[0]}"
        cases: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {}
        for case in self.cases():
            cases.setdefault((case.app, case.trace_id), {})[case.event_id] = tuple(map(str, case.reasons))
        return Outcome(
            alarms,
            windows_of(records),
            {place: Counter(events.values()) for place, events in cases.items()},
            counted(records),
        )

    async def reached(self, expected: Outcome, seconds: float = PATIENCE) -> None:
        """Wait until nothing of ``expected`` is missing; what is there too much shows when all have ended."""

        def there() -> bool:
            records = self.records()
            if counted(records) != expected.counters:
                return False
            now = self.outcome()
            return (
                now.alarms.keys() >= expected.alarms.keys()
                and now.windows.keys() >= expected.windows.keys()
                and all(now.cases.get(place) == reasons for place, reasons in expected.cases.items())
            )

        deadline = time.monotonic() + seconds
        while not there():
            if time.monotonic() > deadline:
                tails = "\n".join(worker.tail() for worker in self.workers)
                difference = self.outcome().difference(expected)
                raise AssertionError(f"not reached within {seconds} s:\n{difference}\n{tails}")
            for worker in self.workers[-1:]:
                assert worker.process.poll() is None, f"the last worker has ended\n{worker.tail()}"
            await asyncio.sleep(0.2)

    async def until_lag_is(self, messages: int, role: str, seconds: float = PATIENCE) -> None:
        deadline = time.monotonic() + seconds
        while (behind := await lag(self.settings, role)) and sum(behind.values()) != messages:
            assert time.monotonic() < deadline, f"the lag of {role} is {behind} after {seconds} s"
            await asyncio.sleep(0.1)

    async def finish(self, expected: Outcome) -> Outcome:
        """Wait for ``expected``, end the running workers as an operator would, and see what there is."""
        await self.reached(expected)
        running = [worker for worker in self.workers if worker.process.poll() is None]
        for worker in running:
            worker.signal(signal.SIGTERM)
        for worker in running:
            assert worker.wait() == 0, worker.tail()
        outcome = self.outcome()
        assert outcome == expected, outcome.difference(expected)
        return outcome


def expected(events: Sequence[Event], directory: Path) -> Outcome:
    """What a replay of the same events concludes, which is what production must conclude of them."""
    done = replay([write(events, directory / "events.jsonl")])
    assert not done.dead_letters
    cases: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {}
    for request in done.requests:
        reasons = tuple(map(str, request.reasons))
        cases.setdefault((request.app, request.trace_id), {})[request.event_id] = reasons
    return Outcome(
        {signal.id: signal for signal in done.alarms()},
        windows_of(done.signals),
        {place: Counter(events.values()) for place, events in cases.items()},
        done.counters,
    )


def windows_of(records: Iterable[object]) -> dict[WindowKey, WindowSums]:
    """What the parts of each window add up to, totals to nine digits: a score that came in another part is
    added to other numbers first."""
    windows = added_up(records)
    return {key: sums._replace(total=float(f"{sums.total:.9g}")) for key, sums in windows.items()}


def counted(records: Iterable[object]) -> dict[str, dict[str, int]]:
    """The counters of the latest report of each partition; an app is in one of them."""
    latest: dict[int, RollingReport] = {}
    for record in records:
        if isinstance(record, RollingReport):
            known = latest.get(record.partition)
            if known is None or record.position >= known.position:
                latest[record.partition] = record
    counters: dict[str, dict[str, int]] = {}
    for report in latest.values():
        for app, counts in report.counters.items():
            assert app not in counters, f"two partitions have counted {app}"
            counters[app] = counts
    return counters


def read_topic(settings: Settings, topic: Topic) -> list[Message]:
    reader = Consumer(
        {
            "bootstrap.servers": settings.brokers,
            "group.id": f"read-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 20,
        }
    )
    try:
        partitions = range(settings.partitions_of(topic))
        reader.assign([TopicPartition(settings.topic(topic), number, 0) for number in partitions])
        found: list[Message] = []
        ended: set[int | None] = set()
        deadline = time.monotonic() + PATIENCE
        while len(ended) < len(partitions):
            assert time.monotonic() < deadline, f"{topic.name} could not be read to its end"
            message = reader.poll(1.0)
            if message is None:
                continue
            error = message.error()
            if error is None:
                found.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                ended.add(message.partition())
            else:
                raise AssertionError(str(error))
        return found
    finally:
        reader.close()


def least_session_ms(brokers: str) -> int:
    """The least session timeout that the broker lets a member have."""
    admin = AdminClient({"bootstrap.servers": brokers})
    broker = next(iter(admin.list_topics(timeout=30).brokers))
    resource = ConfigResource(ConfigResource.Type.BROKER, str(broker))
    found: Mapping[str, Any] = admin.describe_configs([resource])[resource].result()
    return int(found["group.min.session.timeout.ms"].value)


def _value(message: Message) -> bytes:
    value = message.value()
    assert isinstance(value, bytes)
    return value


def _key(message: Message) -> str:
    key = message.key()
    assert isinstance(key, bytes)
    return key.decode()
