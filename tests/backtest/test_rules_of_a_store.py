"""``gleaner rules check`` with a store: the figures are those of its segments."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from detectors.rules import DEFAULT_RULES
from schemas.signal import SignalName, WindowStat
from sinks.evalstore import StoreOwner, open_for_reading
from sinks.evalstore.volumes import DAY_MS, day_volumes
from streams.cli import app

HOUR_MS = 3_600_000
MARCH = 1_772_323_200_000
"""2026-03-01T00:00:00Z."""


def window(at: int, signal: SignalName, n: int, total: float, route: str = "chat") -> WindowStat:
    start = MARCH + at * HOUR_MS
    return WindowStat(
        app="shop",
        environment="prod",
        route=route,
        signal=signal,
        start=start,
        end=start + HOUR_MS,
        n=n,
        total=total,
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "store.duckdb"
    with StoreOwner.open(path) as owner:
        windows = [window(at, SignalName.ESCALATION, 50, 1.0) for at in range(48)]
        windows += [window(at, SignalName.COST, 60, 0.12) for at in range(48)]
        windows += [window(-40 * 24, SignalName.COST, 9_999, 0.12, "closed")]
        owner.write(windows=windows, now=MARCH)
        owner.publish(MARCH)
    return path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["rules", *[str(argument) for argument in arguments]])
    assert result.exit_code == 0, result.exception
    return result.stdout


def test_volumes_are_summed_day_by_day_and_old_ones_left_out(store: Path) -> None:
    with open_for_reading(store, MARCH) as con:
        found = day_volumes(con)
    assert {(v.signal, v.day - MARCH // DAY_MS, v.n, round(v.total, 6)) for v in found} == {
        ("escalation_rate", 0, 1_200, 24.0),
        ("escalation_rate", 1, 1_200, 24.0),
        ("cost_per_request", 0, 1_440, 2.88),
        ("cost_per_request", 1, 1_440, 2.88),
    }
    assert {(v.start - MARCH, v.end - MARCH) for v in found} == {(0, DAY_MS), (DAY_MS, 2 * DAY_MS)}


def test_each_rule_is_explained_by_its_segments(store: Path) -> None:
    rules = {
        rule["name"]: rule
        for rule in map(json.loads, run("explain", "--store", store, "--json").splitlines())
    }
    assert [*rules] == [rule.name for rule in DEFAULT_RULES]
    (escalation,) = rules["escalation_spike"]["segments"]
    assert (escalation["app"], escalation["route"], escalation["days"]) == ("shop", "chat", 2.0)
    assert (escalation["units_per_day"], escalation["usual"]) == (1_200.0, pytest.approx(0.02))
    assert escalation["threshold"] == 1_200 * 7 * 4
    assert escalation["days_to_arm"] == round(200 / 1_200, 3)
    for seen in escalation["sees"]:
        assert seen["days"] == pytest.approx(seen["units"] / 1_200, abs=1e-3)
    assert rules["faithfulness_drop"]["segments"][0]["sees"] == []
    assert rules["served_model_change"]["segments"] == []


def test_it_is_said_in_a_table(store: Path) -> None:
    told = run("check", "--store", store)
    assert "shop · prod · chat" in told
    assert "2.0% → 3.0%" in told
    assert "1,200" in told
    assert "no conversations" in told


def test_a_rule_for_no_segment_says_so(store: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("defaults: false\nrules: [{name: escalation_spike, where: {app: nobody}}]")
    assert "covers no segment of the store" in run("check", rules, "--store", store)


def test_the_configured_store_is_taken_where_it_is_there(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "sees" in json.loads(run("check", "--json").splitlines()[0])
    monkeypatch.setenv("GLEANER_STORE_PATH", str(store))
    assert "segments" in json.loads(run("check", "--json").splitlines()[0])
    assert "sees" in json.loads(run("check", "--json", "--per-day", "500").splitlines()[0])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--store", "nowhere"], "no eval store at nowhere"),
        (["--store", "s", "--per-day", "5"], "one of the two"),
    ],
)
def test_wrong_use_is_said(arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(app, ["rules", "check", *arguments])
    assert says in str(result.exception)
