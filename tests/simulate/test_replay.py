"""What the detectors make of the simulated week: three incidents with their causes, or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.incident import Incident
from streams.replay import replay
from streams.simulate.generate import lines, simulate
from streams.simulate.scenarios import ONSETS, SCENARIOS, Fault

TRUTH = {
    Fault.SILENT_UPDATE: ("support-bot", "chat", "faithfulness", "served_model", "gpt-4o-2024-11-20"),
    Fault.STALE_INDEX: ("policy-bot", "policy", "escalation_rate", "index_version", "policies-2025-11-14"),
    Fault.COST_SPIKE: ("contract-extractor", "extract", "cost_per_success", "user_id", "u-7731"),
}


def incidents(tmp_path: Path, name: str, seed: int) -> list[Incident]:
    path = tmp_path / f"{name}-{seed}.jsonl"
    path.write_bytes(b"".join(lines(simulate(SCENARIOS[name], seed=seed))))
    done = replay([path])
    assert done.events == done.processed
    return done.incidents()


def told(incident: Incident) -> tuple[str, str, str, str, str | None]:
    cause = incident.cause
    assert cause is not None, incident.summary()
    return incident.app, incident.route, incident.signal.value, cause.dimension, cause.current


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3, 7])
def test_demo_is_three_incidents_with_their_causes(tmp_path: Path, seed: int) -> None:
    found = incidents(tmp_path, "demo", seed)
    assert {told(incident) for incident in found} == set(TRUTH.values())
    assert len(found) == 3
    onsets = {TRUTH[fault][0]: onset for fault, onset in ONSETS.items()}
    for incident in found:
        # Onsets of rates are estimates: of the order of an hour at a handful of conversations in it.
        assert abs(incident.onset - onsets[incident.app]) < 2 * 3_600_000
        assert onsets[incident.app] < incident.detected_at < onsets[incident.app] + 4 * 3_600_000


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5, 7])
def test_healthy_week_is_silent(tmp_path: Path, seed: int) -> None:
    assert incidents(tmp_path, "healthy", seed) == []


@pytest.mark.slow
@pytest.mark.parametrize("fault", list(Fault))
def test_one_fault_is_one_incident(tmp_path: Path, fault: Fault) -> None:
    (found,) = incidents(tmp_path, fault.value, 7)
    assert told(found) == TRUTH[fault]
