"""``python -m benchmarks.soak``: does the owner of a partition stay the same size, and what does it cost?

Feeds millions of generated observations over thousands of segments to the owner's pure steps, its state
written down every 20,000 rows as in production, identities in RocksDB. Prints, as it goes, traces per
CPU-second, the resident memory, and the size of what is written. Exit status 1: memory has grown by more
than a tenth between the half and the end, or a segment's state is larger than 32 KiB (beside the sample of
costs that it learns from in its first days), what is hot of it 4 KiB.
"""

from __future__ import annotations

import argparse
import gc
import resource
import sys
import tempfile
from pathlib import Path
from random import Random
from time import process_time

import orjson

from benchmarks.machine import machine
from schemas.observation import (
    ObservationBatch,
    PriceStatus,
    Profile,
    Progress,
    Source,
    SourceProgress,
    TraceRow,
)
from streams.memory import collect_rarely
from streams.state.rocks import RocksLedger
from streams.steps.ledger import Ledger
from streams.steps.owner import Owner, OwnerPolicy

FLUSH = 4_000
"""Rows between two looks at the watermark, as ingest's flushes bring them."""
SOURCE = Source("stream", "traces", 0)
START = 1_772_323_200_000
HOT, SEGMENT = 4 * 1024, 32 * 1024
LEARNED = "apart:learned:"


class Generator:
    """Traces of a fleet: segments of one volume, hour after hour, 1 in 50 conversations escalated."""

    def __init__(self, segments: int, per_second: float, seed: int) -> None:
        self.random = Random(seed)
        apps = max(segments // 100, 1)
        self.places = [(f"app-{at % apps}", f"route-{at // apps}") for at in range(segments)]
        self.profiles = {
            route: [
                Profile("prod", route, "openai", "gpt-4o", f"gpt-4o-{n}", "v12", None, "2026-03", "2026.03")
                for n in range(2)
            ]
            for _, route in self.places
        }
        self.step = 1_000 / per_second
        self.count = 0

    def flush(self, rows: int) -> tuple[list[ObservationBatch], Progress]:
        """The next rows, one batch per app, and how far they have come."""
        by_app: dict[str, tuple[list[Profile], dict[Profile, int], list[TraceRow]]] = {}
        random, price = self.random, int(PriceStatus.PRICED)
        time = START
        for _ in range(rows):
            app, route = self.places[int(random.random() * len(self.places))]
            profiles, known, batch = by_app.setdefault(app, ([], {}, []))
            profile = self.profiles[route][random.random() < 0.3]
            if profile not in known:
                known[profile] = len(profiles)
                profiles.append(profile)
            time = START + int(self.count * self.step)
            flags = 2 if random.random() < 0.005 else 0
            score = random.choice((1.0, 1.0, 1.0, 0.75, 0.8, 5 / 6, 0.5))
            row = (time, f"{random.getrandbits(128):032x}", 1, 0, self.count, 0, known[profile], None)
            more = (f"u-{random.randrange(100_000)}", flags, random.lognormvariate(-5.5, 0.7), price)
            batch.append(
                TraceRow(*row, *more, 800, 200, 900.0, score, *[None] * (len(TraceRow._fields) - 16))
            )
            self.count += 1
        batches = [ObservationBatch(app, [SOURCE], p, list(b)) for app, (p, _, b) in by_app.items()]
        return batches, Progress(time, {"traces": 1}, [SourceProgress(SOURCE, self.count, time, False)])


def resident() -> int:
    """Bytes of this process in memory now; its peak where the system doesn't tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run(
    events: int, segments: int, per_second: float, seed: int, commit: int, horizon_ms: int, folder: Path
) -> int:
    generator = Generator(segments, per_second, seed)
    collect_rarely()  # as every role does
    ledger = RocksLedger(folder, logged=False)
    owner = Owner(0, OwnerPolicy(join_horizon_ms=horizon_ms), Ledger(ledger, horizon_ms))
    sizes: dict[str, int] = {}
    seconds, uncommitted, alarms, memory = 0.0, 0, 0, []
    while generator.count < events:
        batches, progress = generator.flush(FLUSH)
        begun = process_time()
        for batch in batches:
            owner.absorb(batch)
        owner.absorb(progress)
        uncommitted += FLUSH
        if uncommitted >= commit:
            outputs = owner.take_outputs()
            entries = owner.changes()
            owner.flush_ledger(generator.count)
            uncommitted = 0
            seconds += process_time() - begun
            alarms += sum(getattr(signal, "pages", False) for signal in outputs.signals)
            for key, data in entries.items():
                sizes.pop(key, None) if data is None else sizes.__setitem__(key, len(data))
        else:
            seconds += process_time() - begun
        if generator.count % max(events // 10 // FLUSH * FLUSH, FLUSH) == 0:
            gc.collect()
            memory.append(resident())
            rate = f"{generator.count:>12,} events  {generator.count / seconds:>9,.0f} per CPU-second"
            print(f"{rate}  {_line(memory[-1], sizes)}", flush=True)
    ledger.close()
    return _verdict(memory, sizes, alarms)


def _parts(sizes: dict[str, int]) -> dict[tuple[str, ...], dict[str, int]]:
    segments: dict[tuple[str, ...], dict[str, int]] = {}
    for key, size in sizes.items():
        if key.startswith("segment:"):
            *place, part = orjson.loads(key.removeprefix("segment:"))
            segments.setdefault(tuple(place), {})[part] = size
    return segments


def _sizes(sizes: dict[str, int]) -> tuple[int, int, int]:
    """The largest hot part of a segment, its largest whole without the sample that it learns, and that."""
    segments = _parts(sizes).values()
    hot = max((parts["hot"] + parts["windows"] for parts in segments), default=0)
    samples = [sum(n for part, n in parts.items() if part.startswith(LEARNED)) for parts in segments]
    whole = max((sum(p.values()) - n for p, n in zip(segments, samples, strict=True)), default=0)
    return hot, whole, max(samples, default=0)


def _line(memory: int, sizes: dict[str, int]) -> str:
    hot, whole, sample = _sizes(sizes)
    state = f"a segment's state at most {whole:,} bytes, {hot:,} hot, and {sample:,} being learned"
    return f"{memory / 1e6:>7,.0f} MB resident  {state}"


def _verdict(memory: list[int], sizes: dict[str, int], alarms: int) -> int:
    hot, whole, _ = _sizes(sizes)
    growth = memory[-1] / memory[len(memory) // 2] - 1.0
    print(f"{len(_parts(sizes)):,} segments, {alarms} alarms")
    held = growth <= 0.1 and hot <= HOT and whole <= SEGMENT
    print(f"memory from the half to the end: {growth:+.1%} (at most +10 %)")
    print(f"largest segment {whole:,} bytes (at most {SEGMENT:,}), hot {hot:,} (at most {HOT:,})")
    print("holds" if held else "MISSED")
    return 0 if held else 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--segments", type=int, default=1_000)
    parser.add_argument("--per-second", type=float, default=200.0, help="of event time, all segments (200)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--commit", type=int, default=20_000, help="rows between two commits (20000)")
    parser.add_argument("--horizon-days", type=float, default=14, help="of event time, for identities (14)")
    given = parser.parse_args()
    if given.events < FLUSH * 10 or given.segments < 1 or given.per_second <= 0:
        parser.error(f"--events at least {FLUSH * 10}, --segments at least 1, --per-second above 0")
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        return run(
            given.events,
            given.segments,
            given.per_second,
            given.seed,
            given.commit,
            round(given.horizon_days * 86_400_000),
            Path(folder) / "ledger",
        )


if __name__ == "__main__":
    sys.exit(main())
