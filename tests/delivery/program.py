"""A worker that is to die, or to freeze, at a chosen place: started by the harness, never imported.

    python -P program.py [--only ROLE] [--session MS] [--slow-until FILE] [--fault PLACE:N:kill|stop]

A fault happens at the N-th passage of its place, in this process, by a signal to itself: nothing that a
handler or a ``finally`` could tidy up. ``stop`` is SIGSTOP; whoever sent SIGCONT later sees it go on
from exactly there. Until FILE is there, ingest takes its time over each flush, so that what is to happen
in mid-stream does so on any machine.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from streams.harvest import Harvest
from streams.ingest import Ingest
from streams.rolling import Partition
from streams.settings import Settings
from streams.state.kafka import KafkaState
from streams.state.sqlite import SqliteState
from streams.worker import run_worker

Method = Callable[..., Any]
SLOW_SECONDS = 0.25

PLACES: dict[str, tuple[type[Any], str, bool]] = {
    # the order of effects of ingest: observations, then requests and dead letters, then the acknowledgement
    "ingest-before": (Ingest, "flush", False),
    "ingest-between-sends": (Ingest, "_note", False),
    "ingest-sent": (Ingest, "flush", True),
    # rolling with Kafka's transactions: begin, send, offsets, commit; then the ledger
    "rolling-absorbed": (Partition, "commit", False),
    "rolling-committed": (KafkaState, "commit", True),
    # rolling with SQLite: send, write; then the ledger
    "sqlite-sent": (SqliteState, "_write", False),
    "sqlite-committed": (SqliteState, "commit", True),
    # harvest: cases and previews, then the acknowledgement
    "harvest-sent": (Harvest, "flush", True),
}
"""Class, method, and whether the fault lies behind it; ``rolling-in-transaction`` is patched by itself."""


class Fault:
    def __init__(self, passages: int, action: str) -> None:
        self.left, self.action = passages, action

    def pass_by(self) -> None:
        self.left -= 1
        if self.left == 0:
            # To this very thread: a signal to the process may let it run on for a moment.
            number = signal.SIGKILL if self.action == "kill" else signal.SIGSTOP
            signal.pthread_kill(threading.get_ident(), number)


def arm(place: str, fault: Fault) -> None:
    if place == "rolling-in-transaction":
        _in_transaction(fault)
        return
    owner, name, behind = PLACES[place]
    original: Method = getattr(owner, name)
    setattr(owner, name, _wrapped(original, fault, behind))


def _wrapped(original: Method, fault: Fault, behind: bool) -> Method:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if not behind:
            fault.pass_by()
            return original(*args, **kwargs)
        return _then(original(*args, **kwargs), fault)

    return wrapped


async def _then(result: Awaitable[Any], fault: Fault) -> Any:
    value = await result
    fault.pass_by()
    return value


def slow_down(until: Path) -> None:
    original = Ingest.flush

    exists = until.exists

    async def flush(self: Ingest, events: Sequence[Any]) -> None:
        await asyncio.sleep(0 if exists() else SLOW_SECONDS)
        await original(self, events)

    Ingest.flush = flush  # type: ignore[method-assign]


def _in_transaction(fault: Fault) -> None:
    """Everything of a transaction is sent and acknowledged, and it is not committed."""
    opened = KafkaState.open

    async def open_patched(self: KafkaState) -> Any:
        result = await opened(self)
        producer = self._producer
        assert producer is not None
        producer.commit_transaction = _wrapped(producer.commit_transaction, fault, False)
        return result

    KafkaState.open = open_patched  # type: ignore[method-assign]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=["ingest", "rolling"])
    parser.add_argument("--session", type=int)
    parser.add_argument("--slow-until", type=Path)
    parser.add_argument("--fault")
    options = parser.parse_args()
    if options.slow_until:
        slow_down(options.slow_until)
    if options.fault:
        place, passages, action = options.fault.split(":")
        arm(place, Fault(int(passages), action))
    settings = Settings()
    if options.session:
        # Below what an operator may set: the test broker allows it, and no test waits out six seconds.
        timing = {"session_timeout_ms": options.session, "heartbeat_ms": options.session // 6}
        settings = settings.model_copy(update=timing)
    run_worker(settings, options.only)


if __name__ == "__main__":
    main()
