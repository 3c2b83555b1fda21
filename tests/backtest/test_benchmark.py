"""The benchmark of backtests runs, and its events are what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.replay import DAY_MS, DAYS, START_MS, parse, write
from streams.replay import replay


def test_its_files_are_all_accepted_and_joined(tmp_path: Path) -> None:
    files = write(tmp_path, 2_000)
    done = replay(files)
    assert done.events == done.processed == parse(files)
    assert 1_900 < done.events < 2_100
    assert START_MS < done.span[0] < done.span[1] <= START_MS + (DAYS + 1) * DAY_MS
    assert not any(app.get("unjoined") or app.get("duplicates") for app in done.counters.values())
    assert {"traces", "feedback"} <= set(done.counters["support-bot"])


def test_it_measures_every_case_in_a_process_of_its_own(tmp_path: Path) -> None:
    files = write(tmp_path, 1_000)
    for case in ("parsing alone", "backtest"):
        command = [sys.executable, "-m", "benchmarks.replay", "--case", case, *map(str, files)]
        used = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=120).stdout)
        assert used["events"] == parse(files)
        assert used["user"] > 0
        assert used["bytes"] > 1_000_000
