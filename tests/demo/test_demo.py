"""``gleaner demo`` as it is run: the JSON contract, the three incidents, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from schemas.incident import Incident
from sinks.evalstore import open_for_reading
from streams.replay import replay

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-P", "-m", "streams.cli", "demo"]
CAUSES = {
    "support-bot": ("faithfulness", "served_model", "gpt-4o-2024-08-06", "gpt-4o-2024-11-20"),
    "policy-bot": ("escalation_rate", "index_version", "policies-2026-02-27", "policies-2025-11-14"),
    "contract-extractor": ("cost_per_success", "user_id", None, "u-7731"),
}


class Run(NamedTuple):
    summary: dict[str, Any]
    keep: Path
    seconds: float
    status: int


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run with ``--json --keep``."""
    keep = tmp_path_factory.mktemp("demo") / "kept"
    begun = time.monotonic()
    done = subprocess.run(
        [*COMMAND, "--json", "--keep", str(keep)], capture_output=True, text=True, check=False, timeout=240
    )
    assert done.stdout.count("\n") == 1, done.stdout + done.stderr
    return Run(json.loads(done.stdout), keep, time.monotonic() - begun, done.returncode)


def test_every_event_is_counted_at_both_ends(run: Run) -> None:
    assert run.status == 0
    assert set(run.summary) == {"events", "incidents", "cases", "distinct_cases", "seconds"}
    events = run.summary["events"]
    assert events["in"] == events["processed"] + events["dead_lettered"] == 12_000
    assert run.summary["cases"] >= run.summary["distinct_cases"] > 500
    assert 0 < run.summary["seconds"] < run.seconds


def test_three_incidents_with_their_causes(run: Run) -> None:
    found = {
        incident["app"]: (incident["signal"], *incident["cause"].values())
        for incident in run.summary["incidents"]
    }
    assert found == CAUSES
    assert len(run.summary["incidents"]) == 3


def test_replay_of_its_events_is_the_same(run: Run) -> None:
    replayed = replay([run.keep / "events.jsonl"]).incidents()
    assert [incident.summary() for incident in replayed] == run.summary["incidents"]


def test_what_is_kept_can_be_read(run: Run) -> None:
    with open_for_reading(run.keep / "store.duckdb", now=0) as store:
        (body,) = store.execute("SELECT body FROM incidents WHERE app = 'support-bot'").fetchone() or ("",)
        assert Incident.model_validate_json(body).cases, "no example case beside the page"
    for role in ("worker", "judge", "store", "notify"):
        assert "Traceback" not in (run.keep / "logs" / f"{role}.log").read_text()


def test_its_slack_is_left_as_a_page_with_buttons_and_charts(run: Run) -> None:
    page = (run.keep / "slack.html").read_text(encoding="utf-8")
    assert page.count("<h3>") == 3
    assert page.count("Acknowledge") == 3
    assert "data:image/png;base64," in page
    assert "<script" not in page


def test_the_same_folder_again_is_refused(run: Run) -> None:
    done = subprocess.run([*COMMAND, "--keep", str(run.keep)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_no_process_and_no_folder(tmp_path: Path, number: int) -> None:
    """Its own folder stays, in the current one; the temporary one is as it was."""
    here, temporary = tmp_path / "here", tmp_path / "tmp"
    here.mkdir()
    temporary.mkdir()
    log = here / "gleaner-data" / "demo" / "logs" / "worker.log"
    process = subprocess.Popen(
        COMMAND,
        cwd=here,
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # As from a terminal: a shell that puts a test run into the background has SIGINT ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 90
    # The broker and the four roles; the worker is the last of them to be started.
    while not (log.exists() and "worker: started" in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    children = _children(process.pid)
    process.send_signal(number)
    output, _ = process.communicate(timeout=240)
    assert len(children) == 5, output.decode()
    assert process.returncode == 130, output.decode()
    assert not [child for child in children if Path(f"/proc/{child}").exists()]
    assert list(temporary.iterdir()) == []


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []
