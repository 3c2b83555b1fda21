"""Reading while cases stream in: the store's owner in a process of its own, and who reads beside it.

A store of so many cases; then new ones at a steady rate through the owner's batches, as the role writes
them. Beside it, over and over: the command line, ``gleaner sql``, the helper for notebooks, and the API. Any
error of theirs is one too many. Freshness is the time from the end of a commit until the last case of its
batch is seen: by the API, and in the newest snapshot.
"""

from __future__ import annotations

import json
import multiprocessing
import multiprocessing.synchronize
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from multiprocessing.queues import Queue
from pathlib import Path
from queue import Empty
from typing import Any, NamedTuple

from benchmarks.evalstore.corpus import START, corpus, requests

TOKEN = "benchmark"
EVERY = 0.5
"""Seconds between batches of the writer: as often as the role flushes at such a rate, or less."""
FRESH_API, FRESH_SNAPSHOT = 1.0, 60.0


class Seen(NamedTuple):
    """``seconds`` of each read, or how late each watched case was."""

    who: str
    seconds: list[float]
    errors: list[str]

    def __str__(self) -> str:
        if not self.seconds:
            return f"{self.who}: nothing measured; {len(self.errors)} errors"
        return (
            f"{self.who}: {len(self.seconds):,} times, p50 {statistics.median(self.seconds) * 1000:,.0f} ms, "
            f"p95 {self.p95 * 1000:,.0f} ms, longest {max(self.seconds) * 1000:,.0f} ms; "
            f"{len(self.errors)} errors"
        )

    @property
    def p95(self) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, len(ordered) * 95 // 100)] if ordered else float("inf")


def read_under_load(cases: int, rate: int, seconds: float, seed: int, say: Callable[[str], None]) -> bool:
    """True if nobody met an error, all was written, and 95 of 100 cases were seen in time both ways."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.duckdb"
        context = multiprocessing.get_context("spawn")
        # Daemons: whatever ends this process, its writer ends with it.
        queue: Queue[Any] = context.Queue()
        stop = context.Event()
        writer = context.Process(
            target=_own, args=(path, cases, rate, seconds, seed, queue, stop), daemon=True
        )
        writer.start()
        try:
            port = _take(queue, "port", writer)
            say(f"reading: a store of {cases:,} cases; {rate} a second come in for {seconds:.0f} s")
            seen = _read(path, port, seconds, queue)
            stop.set()
            written, late = _take(queue, "written", writer)
        finally:
            stop.set()
            writer.join(60)
            if writer.is_alive():
                writer.terminate()
    for each in seen:
        say(f"  {each}")
        for error in sorted(set(each.errors))[:3]:
            say(f"    {error}")
    say(f"  written: {written:,} cases in {seconds:.0f} s; the writer was behind by {late:.1f} s at most")
    fresh = {each.who: each.p95 for each in seen}
    return (
        not any(each.errors for each in seen)
        and all(each.seconds for each in seen)
        and fresh["freshness, API"] <= FRESH_API
        and fresh["freshness, snapshots"] <= FRESH_SNAPSHOT
        and written >= 0.98 * rate * seconds
    )


def _own(
    path: Path,
    cases: int,
    rate: int,
    seconds: float,
    seed: int,
    queue: Queue[Any],
    stop: multiprocessing.synchronize.Event,
) -> None:
    """The writing process: what ``gleaner store`` does, without Kafka in between."""
    import asyncio

    asyncio.run(_owning(path, cases, rate, seconds, seed, queue, stop))


async def _owning(
    path: Path,
    cases: int,
    rate: int,
    seconds: float,
    seed: int,
    queue: Queue[Any],
    stop: multiprocessing.synchronize.Event,
) -> None:
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    from streams.settings import Settings
    from streams.steps.harvest import harvest
    from streams.store.work import StoreWork

    whole = corpus(cases + int(rate * seconds) + rate, 0, seed)
    given = [harvest(request, event, None).case for request, event in requests(whole.traces, seed)]
    settings = Settings.model_validate(
        {"store_path": path, "api": "127.0.0.1:0", "api_token": TOKEN, "state_dir": path.parent}
    )
    with ThreadPoolExecutor(1) as thread:
        work = StoreWork(settings, thread, {})
        await work.open()
        assert work.api is not None

        async def write(some: Sequence[Any]) -> None:
            await work._in_thread(lambda: work.owner.write(some, now=START))

        for first in range(0, cases, 1_000):
            await write(given[first : min(first + 1_000, cases)])
        await work._publish()
        queue.put(("port", work.api.port))
        begun, done, late = time.monotonic(), cases, 0.0
        while (passed := time.monotonic() - begun) < seconds:
            due = cases + int(rate * passed)
            late = max(late, (due - done) / rate - EVERY)
            if due > done:
                await write(given[done:due])
                queue.put(("case", (given[due - 1].case_id, time.time())))
                done = due
            await work.between_batches()
            await asyncio.sleep(max(0.0, EVERY - (time.monotonic() - begun - passed)))
        # The last watched case must come into a snapshot, too.
        while not stop.is_set():
            await work.between_batches()
            await asyncio.sleep(0.1)
        queue.put(("written", (done - cases, max(late, 0.0))))
        await work.close()


def _take(queue: Queue[Any], kind: str, writer: Any) -> Any:
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        try:
            found, value = queue.get(timeout=1)
        except Empty:
            if not writer.is_alive():
                raise RuntimeError("the writing process has ended: see above") from None
            continue
        if found == kind:
            return value
    raise RuntimeError(f"the writing process said no {kind}")


def _read(path: Path, port: int, seconds: float, queue: Queue[Any]) -> list[Seen]:
    ending = time.monotonic() + seconds
    seen: list[Seen] = []
    threads = []

    def over_and_over(who: str, read: Callable[[], None], pause: float) -> None:
        mine = Seen(who, [], [])
        seen.append(mine)

        def run() -> None:
            while time.monotonic() < ending:
                begun = time.perf_counter()
                try:
                    read()
                    mine.seconds.append(time.perf_counter() - begun)
                except Exception as error:
                    mine.errors.append(f"{type(error).__name__}: {str(error)[:200]}")
                time.sleep(pause)

        threads.append(threading.Thread(target=run))

    store = ["--store", str(path)]
    over_and_over("CLI, cases list", lambda: _command("cases", "list", *store), 10)
    query = "SELECT app, count(*) AS n FROM case_list GROUP BY app"
    over_and_over("CLI, sql", lambda: _command("sql", query, *store), 10)
    over_and_over("helper, top 20 by rank as Arrow", lambda: _helper(path), 5)
    over_and_over("API, newest 50 cases", lambda: _api(port, "/v1/cases?limit=50"), 1)
    over_and_over("API, one case", _one_case(port), 1)
    over_and_over("API, review queue", lambda: _api(port, "/v1/clusters?limit=20&verdict=none"), 5)
    over_and_over("API, sql on the snapshot", lambda: _sql(port, query), 5)
    fresh = [Seen("freshness, API", [], []), Seen("freshness, snapshots", [], [])]
    threads.append(threading.Thread(target=_watch, args=(path, port, queue, ending, *fresh)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [*seen, *fresh]


def _watch(path: Path, port: int, queue: Queue[Any], ending: float, by_api: Seen, by_snapshot: Seen) -> None:
    """One committed case after the other, until the API shows it; some of them in snapshots, too."""
    from sinks.evalstore.frames import open_store

    waiting: list[tuple[str, float]] = []
    looked = 0.0
    while time.monotonic() < ending + 90 and (time.monotonic() < ending or waiting):
        try:
            kind, value = queue.get(timeout=0.2)
        except Empty:
            kind, value = "none", None
        while not queue.empty():
            kind, value = queue.get()  # the latest: the earlier ones are older than what is asked now
        try:
            if kind == "case":
                case_id, committed = value
                while not _has(port, case_id):
                    time.sleep(0.02)
                by_api.seconds.append(max(0.0, time.time() - committed))
                if not waiting and time.monotonic() < ending:
                    waiting.append((case_id, committed))
            if waiting and time.monotonic() - looked > 1:
                looked = time.monotonic()
                with open_store(path) as store:
                    case_id, committed = waiting[0]
                    if store.query("SELECT 1 FROM cases WHERE case_id = ?", [case_id]).rows():
                        by_snapshot.seconds.append(time.time() - committed)
                        waiting.clear()
        except Exception as error:
            by_api.errors.append(f"{type(error).__name__}: {str(error)[:200]}")


def _command(*arguments: str) -> None:
    command = [sys.executable, "-m", "streams.cli", *arguments, "--json", "--limit", "50"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-200:])
    if not done.stdout.strip():
        raise RuntimeError("no rows")


def _helper(path: Path) -> None:
    from sinks.evalstore.frames import open_store

    with open_store(path) as store:
        if store.query("SELECT * FROM cluster_list ORDER BY rank DESC LIMIT 20").arrow().num_rows != 20:
            raise RuntimeError("not twenty rows")


def _api(port: int, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            raise RuntimeError(f"{error.code}: {error.read().decode()[:200]}") from None


def _one_case(port: int) -> Callable[[], None]:
    newest = _api(port, "/v1/cases?limit=1")["items"][0]["case_id"]
    return lambda: _api(port, f"/v1/cases/{newest}") and None


def _has(port: int, case_id: str) -> bool:
    try:
        return bool(_api(port, f"/v1/cases/{case_id}"))
    except RuntimeError as error:
        if str(error).startswith("404"):
            return False
        raise


def _sql(port: int, query: str) -> None:
    _api(port, "/v1/sql", {"query": query})
